"""Downloads against a server on loopback, broken connections included."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tacit.run.progress
from tacit.data.dialogues import get as module
from tacit.data.dialogues.get import Remote, get
from tacit.types import InputError

CONTENT = bytes(range(256)) * 4000  # about 1 MB


class Server(http.server.ThreadingHTTPServer):
    content = CONTENT
    etag = '"one"'
    cut_after = 0  # bytes after which a connection is dropped; 0 = never
    cuts_left = 0
    status = 200
    ranges = True
    requests: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
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
    assert said[0].startswith("fetching http://127.0.0.1")
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
    server.content = b"another release"
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


def test_local_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.DATASETS, "redial", (Remote("http://127.0.0.1:9/data.zip"),))
    (tmp_path / "data.zip").write_bytes(CONTENT)
    for n, local in enumerate((tmp_path, tmp_path / "data.zip")):
        (path,) = get("redial", tmp_path / f"out{n}", local)
        assert path.read_bytes() == CONTENT
    with pytest.raises(InputError, match=r"has no data\.zip"):
        get("redial", tmp_path / "out2", tmp_path / "nowhere")
    with pytest.raises(InputError, match="choose one of opendialkg, redial"):
        get("reddit", tmp_path)


def test_published_addresses() -> None:
    assert all(remote.url.startswith("https://") for remotes in module.DATASETS.values() for remote in remotes)
    assert [remote.name for remote in module.DATASETS["redial"]] == ["redial_dataset.zip"]
