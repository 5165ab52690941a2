"""Downloads against a server on loopback, broken connections included."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

import tacit.run.progress
from tacit.data.dialogues import get as module
from tacit.data.dialogues.get import Remote, get
from tacit.types import InputError


def zipped(content: bytes, name: str = "data/train_data.jsonl") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


CONTENT = zipped(bytes(range(256)) * 4000)  # about 1 MB


class Server(http.server.ThreadingHTTPServer):
    content = CONTENT
    etag = '"one"'
    cut_after = 0  # bytes after which a connection is dropped; 0 = never
    cuts_left = 0
    status = 200
    ranges = True
    headers: ClassVar[dict[str, str]] = {}
    redirect = ""
    requests: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if self.server.redirect:
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        body, start = self.server.content, 0
        if wanted and self.server.ranges and self.headers.get("If-Range") in (None, self.server.etag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.server.etag)
        for header in self.server.headers.items():
            self.send_header(*header)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.server.cuts_left:
            self.server.cuts_left -= 1
            self.wfile.write(body[start : start + self.server.cut_after])
            return
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(body[start:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{running.server_address[1]}/files/data.zip"
        monkeypatch.setitem(module.DATASETS, "redial", (Remote(url),))
        monkeypatch.setattr(module, "HOSTS", {"127.0.0.1"})
        monkeypatch.setattr(module, "SCHEMES", {"http"})
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield running
        running.shutdown()
        thread.join()


def test_fetches_and_records_the_hash(server: Server, tmp_path: Path) -> None:
    said: list[str] = []
    (path,) = get("redial", tmp_path / "new", say=said.append)
    assert path.read_bytes() == CONTENT
    record = json.loads((tmp_path / "new" / "sha256.json").read_text())
    assert record["data.zip"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert record["data.zip"]["bytes"] == len(CONTENT)
    assert sorted(file.name for file in path.parent.iterdir()) == ["data.zip", "sha256.json"]
    assert said == ["redial is under CC BY 4.0", f"fetching {module.DATASETS['redial'][0].url}"]
    get("redial", tmp_path / "new")
    assert len(server.requests) == 1  # a checked file is not fetched again


def test_a_broken_connection_resumes(server: Server, tmp_path: Path) -> None:
    server.cut_after, server.cuts_left = 300_000, 2
    (path,) = get("redial", tmp_path, pause_s=0.01)
    assert path.read_bytes() == CONTENT
    assert server.requests[0] is None
    starts = [int((wanted or "").removeprefix("bytes=").rstrip("-")) for wanted in server.requests[1:]]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(CONTENT)


def test_a_long_download_says_how_far_it_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tacit.run.progress, "_EVERY_S", 0.0)
    server.cut_after, server.cuts_left = 300_000, 1
    get("redial", tmp_path, pause_s=0.01)
    lines = [line for line in capsys.readouterr().err.splitlines() if "data.zip (bytes): " in line]
    assert any(f"/{len(CONTENT)} (" in line and " left" in line for line in lines)
    assert any(f"{len(CONTENT)}/{len(CONTENT)} (100%)" in line for line in lines)


def test_a_later_command_resumes(server: Server, tmp_path: Path) -> None:
    server.cut_after, server.cuts_left = 100_000, 99
    with pytest.raises(InputError, match=r"could not fetch http://127.*run the command again.*data\.zip.*--from PATH"):
        get("redial", tmp_path, pause_s=0.001)
    assert not (tmp_path / "data.zip").exists()
    have = (tmp_path / "data.zip.part").stat().st_size
    assert 0 < have < len(CONTENT)
    server.cuts_left = 0
    (path,) = get("redial", tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == f"bytes={have}-"


def test_a_file_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(b"old" * 1000)
    (tmp_path / "data.zip.part.etag").write_text('"zero"')
    (path,) = get("redial", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data.zip.part").write_bytes(b"old" * 1000)
    (path,) = get("redial", tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_whole_part_needs_no_more(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    (path,) = get("redial", tmp_path)
    assert path.read_bytes() == CONTENT
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "data.zip.part").write_bytes(CONTENT + b"too long")
    (path,) = get("redial", tmp_path / "again", pause_s=0.001)
    assert path.read_bytes() == CONTENT


def test_a_changed_file_is_refused(server: Server, tmp_path: Path) -> None:
    (path,) = get("redial", tmp_path)
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"data\.zip has sha256 .* delete the file"):
        get("redial", tmp_path)
    path.unlink()
    server.content = zipped(b"another release")
    with pytest.raises(InputError, match="if the publisher changed it"):
        get("redial", tmp_path)
    (tmp_path / "sha256.json").write_text("{")
    with pytest.raises(InputError, match="not readable JSON"):
        get("redial", tmp_path)


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (503, 5)])
def test_failures_name_the_address_and_the_place(server: Server, tmp_path: Path, status: int, asked: int) -> None:
    server.status = status
    with pytest.raises(InputError, match=rf"files/data\.zip \(HTTP status {status}\).*{tmp_path}/data\.zip"):
        get("redial", tmp_path, pause_s=0.001)
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("https://evil.example/data.zip", "not at a host"),
        ("ftp://127.0.0.1/data.zip", "not at a host"),
        ("", "redirects"),
    ],
)
def test_redirects_stay_among_the_named_hosts(server: Server, tmp_path: Path, address: str, status: str) -> None:
    server.redirect = address or module.DATASETS["redial"][0].url
    with pytest.raises(InputError, match=status):
        get("redial", tmp_path / "new", pause_s=0.001)
    assert not (tmp_path / "new").exists()


def test_a_web_page_is_no_download(server: Server, tmp_path: Path) -> None:
    server.content = b"<!DOCTYPE html><p>Please log in"
    with pytest.raises(InputError, match="not a readable zip file"):
        get("redial", tmp_path / "new", pause_s=0.001)
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(InputError, match="answered with a web page"):
        get("redial", tmp_path / "new", pause_s=0.001)
    assert not (tmp_path / "new").exists()


def test_a_pinned_hash_binds_the_download(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(module.DATASETS["redial"][0].url, "0" * 64)
    monkeypatch.setitem(module.DATASETS, "redial", (remote,))
    with pytest.raises(InputError, match="but the publisher's is 000000000000"):
        get("redial", tmp_path, pause_s=0.001)
    assert not (tmp_path / "sha256.json").exists()


def test_nothing_is_written_through_a_link(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("data.zip.part", "data.zip.part.etag"):
        (folder / name).symlink_to(tmp_path / "mine.txt")
    (path,) = get("redial", folder)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert path.read_bytes() == CONTENT and not path.is_symlink()


def redial_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("redial/train_data.jsonl", "{}")
        archive.writestr("redial/test_data.jsonl", "{}")
    return file.getvalue()


def test_a_local_copy_in_any_form(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder in (plain, packed):
        folder.mkdir()
    (plain / "train_available.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    (plain / "test.jsonl").write_text("{}")
    (plain / "notes.txt").write_text("not copied")
    (packed / "redial_dataset.zip").write_bytes(redial_zip())
    names = [path.name for path in get("redial", tmp_path / "out0", plain)]
    assert names == ["train_available.jsonl.gz", "test.jsonl"]
    for n, local in enumerate((packed, packed / "redial_dataset.zip")):
        (path,) = get("redial", tmp_path / f"zip{n}", local)
        assert path.read_bytes() == redial_zip()
    (plain / "opendialkg.csv").write_text("Messages,User Rating,Assistant Rating\n")
    assert [path.name for path in get("opendialkg", tmp_path / "out1", plain)] == ["opendialkg.csv"]
    for name in ("u.data", "u.item", "u.user"):
        (plain / name).write_text("1|2|3\n")
    assert len(get("ml-100k", tmp_path / "out2", plain)) == 3
    with pytest.raises(InputError, match="choose one of ml-100k, ml-1m, opendialkg, redial"):
        get("reddit", tmp_path)


def test_a_bad_local_copy_leaves_nothing(tmp_path: Path) -> None:
    """An error page kept under the data set's name must not make its hash the right one."""
    page, good, out = tmp_path / "page", tmp_path / "good", tmp_path / "out"
    for folder in (page, good):
        folder.mkdir()
    (page / "redial_dataset.zip").write_text("<!DOCTYPE HTML>")
    (good / "redial_dataset.zip").write_bytes(redial_zip())
    with pytest.raises(InputError, match="not a readable zip file"):
        get("redial", out, page / "redial_dataset.zip")
    assert not out.exists()
    get("redial", out, good / "redial_dataset.zip")
    damaged = redial_zip().replace(b"{}", b"[]", 1)  # its checksum is that of the old content
    (good / "redial_dataset.zip").write_bytes(damaged)
    with pytest.raises(InputError, match="is damaged at redial/train_data"):
        get("redial", tmp_path / "out2", good)
    (page / "train.jsonl").write_text("<html>")
    (page / "test.jsonl").write_text("{}")
    (page / "redial_dataset.zip").unlink()
    with pytest.raises(InputError, match="is a web page"):
        get("redial", tmp_path / "out3", page)
    with pytest.raises(InputError, match="does not exist"):
        get("redial", tmp_path / "out4", tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be written"):
        get("redial", page / "test.jsonl", good)
    assert not any((tmp_path / f"out{n}").exists() for n in (2, 3, 4))


def test_published_addresses() -> None:
    assert all(remote.url.startswith("https://") for remotes in module.DATASETS.values() for remote in remotes)
    assert [remote.name for remote in module.DATASETS["redial"]] == ["redial_dataset.zip"]
