"""`tacit data get`: fetch a data set from its publisher, resume broken downloads, and remember every file's hash."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tacit.data.dialogues.local_copy import local_files, look_into
from tacit.data.lines import read_json
from tacit.run.files import atomic_write, says_when_full, sha256
from tacit.run.progress import progress
from tacit.types import InputError

HASHES = "sha256.json"  # {file name: {"url", "sha256", "bytes"}} beside the files
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Remote:
    """A publisher's file. ``sha256`` is pinned where it is known; else the first one seen is trusted from then on."""

    url: str
    sha256: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_KG = "https://raw.githubusercontent.com/facebookresearch/opendialkg/main/data"
_MOVIELENS = "https://files.grouplens.org/datasets/movielens"
DATASETS: dict[str, tuple[Remote, ...]] = {
    "redial": (
        Remote(
            "https://github.com/ReDialData/website/raw/data/redial_dataset.zip",
            "b48756681ec6f84e0af36979c5e9baa21ea8d9e7036b8764ea9b787bb0baf69b",
        ),
    ),
    "opendialkg": tuple(
        Remote(f"{_KG}/{name}")
        for name in (
            "opendialkg.csv",
            "opendialkg_triples.txt",
            "opendialkg_entities.txt",
            "opendialkg_relations.txt",
        )
    ),
    "ml-1m": (Remote(f"{_MOVIELENS}/ml-1m.zip", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),),
    "ml-100k": (
        Remote(f"{_MOVIELENS}/ml-100k.zip", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"),
    ),
}
LICENCES = {
    "redial": "CC BY 4.0",
    "opendialkg": "CC BY-NC 4.0: not for commercial use",
    "ml-1m": "GroupLens: for research, with acknowledgement; no redistribution or commercial use without permission",
}
LICENCES["ml-100k"] = LICENCES["ml-1m"]
# Where the publishers' addresses lead, redirects included; nothing is fetched from anywhere else.
HOSTS = {
    "github.com",
    "raw.githubusercontent.com",
    "objects.githubusercontent.com",
    "media.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "files.grouplens.org",
}
SCHEMES = {"https"}
REDIRECTS = 5


def get(
    name: str,
    folder: Path,
    local: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    pause_s: float = 1.0,
) -> list[Path]:
    """Bring every file of data set ``name`` into ``folder`` and return their paths.

    A file already there is only checked against its hash. ``local`` is a copy to use in place of the network: a
    folder (or zip) in any form that the loader reads, or one file of it. ``say`` hears of every address before it is
    called. ``pause_s`` is the first wait between attempts; it doubles.
    """
    if name not in DATASETS:
        raise InputError(f"data set {name!r} is unknown: choose one of {', '.join(sorted(DATASETS))}.")
    is_new = not folder.exists()
    try:
        with says_when_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if name in LICENCES:
                say(f"{name} is under {LICENCES[name]}")
            if local is not None:
                return _copy(name, local, folder, say)
            return [_bring(remote, folder, say, pause_s) for remote in DATASETS[name]]
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error}): give another folder.") from None
    finally:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _bring(remote: Remote, folder: Path, say: Callable[[str], None], pause_s: float) -> Path:
    target = folder / remote.name
    if target.is_file():
        say(f"{target} is there, checking its hash")
        expected = _recorded(folder, remote.name) or remote.sha256
        if not expected:
            look_into(target)
        _check(remote, target, folder, expected)
        return target
    part = folder / f"{remote.name}.part"
    for path in (part, _tag(part)):
        if path.is_symlink():  # whoever put it there would have us write elsewhere
            path.unlink()
    say(f"fetching {remote.url}")
    _download(remote.url, part, target, pause_s)
    try:
        look_into(part, remote.name)
        _check(remote, part, folder, remote.sha256 or _recorded(folder, remote.name))
    except InputError:
        part.unlink()
        raise
    finally:
        _tag(part).unlink(missing_ok=True)
    part.replace(target)
    return target


def _copy(name: str, local: Path, folder: Path, say: Callable[[str], None]) -> list[Path]:
    """Files of a local copy: all are looked into before the first takes its place.

    A copy may be a part of the release, so the pinned hash does not bind it; one recorded here before does.
    """
    sources = local_files(name, local)
    remotes = {remote.name: remote for remote in DATASETS[name]}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".get-") as staging:
        copies = [Path(staging) / source.name for source in sources]
        for source, copy in zip(sources, copies, strict=True):
            say(f"copying {source}")
            shutil.copyfile(source, copy)
            look_into(copy)
            _refuse_other(copy, _recorded(folder, copy.name), f"{folder / HASHES} says")
        for copy in copies:
            copy.replace(folder / copy.name)
    for copy in copies:
        _check(remotes.get(copy.name) or Remote(copy.name), folder / copy.name, folder, "")
    return [folder / copy.name for copy in copies]


def _check(remote: Remote, path: Path, folder: Path, expected: str) -> None:
    """Compare with the pinned or recorded hash, and record it (trust on first use where there is none)."""
    origin = "the publisher's is" if expected == remote.sha256 else f"{folder / HASHES} says"
    actual = _refuse_other(path, expected, origin)
    entry = {"url": remote.url, "sha256": actual, "bytes": path.stat().st_size}
    records = _records(folder)
    if records.get(remote.name) != entry:
        atomic_write(folder / HASHES, json.dumps({**records, remote.name: entry}, indent=2, sort_keys=True) + "\n")


def _refuse_other(path: Path, expected: str, origin: str) -> str:
    """The file's sha256; InputError where another one is expected."""
    actual = sha256(path)
    if expected and expected != actual:
        raise InputError(
            f"{path} has sha256 {actual[:12]}… but {origin} {expected[:12]}…: delete the file and fetch it again, "
            f"or, if the publisher changed it, delete its entry in {HASHES}."
        )
    return actual


def _recorded(folder: Path, name: str) -> str:
    return str(_records(folder).get(name, {}).get("sha256", ""))


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / HASHES
    if not path.is_file():
        return {}
    try:
        records = read_json(path)
        if isinstance(records, dict) and all(isinstance(entry, dict) for entry in records.values()):
            return records
    except InputError:
        pass
    raise InputError(f"{path} is not readable JSON: delete it, and the hashes are recorded anew.")


def _download(url: str, part: Path, target: Path, pause_s: float) -> None:
    """Stream ``url`` into ``part``, going on from what is there, with a few attempts."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            _stream(url, part)
            return
        except httpx.HTTPStatusError as error:
            reason = f"HTTP status {error.response.status_code}"
            if error.response.status_code < 500 and error.response.status_code not in (408, 416, 429):
                break
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = str(error) or type(error).__name__
    raise InputError(
        f"could not fetch {url} ({reason}): run the command again to go on, or download the file by hand and put it "
        f"at {target}, or give --from PATH."
    )


def _stream(url: str, part: Path) -> None:
    """One request. The ``If-Range`` tag makes a server send the whole file anew when it has changed meanwhile."""
    have = part.stat().st_size if part.is_file() else 0
    tag = _tag(part).read_text(encoding="utf-8") if _tag(part).is_file() else ""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers.update({"If-Range": tag} if tag else {})
    with _following(url, headers) as answer:
        if answer.headers.get("content-type", "").startswith("text/html") and answer.is_success:
            raise InputError(f"{url} answered with a web page in place of the file: is a login page in between?")
        if answer.status_code == 416:
            # The part is already whole, or longer than the file: the size after "bytes */" tells.
            if answer.headers.get("content-range", "").rpartition("/")[2] == str(have):
                return
            part.unlink()
        answer.raise_for_status()
        resumed = answer.status_code == 206 and answer.headers.get("content-range", "").startswith(f"bytes {have}-")
        if answer.status_code == 206 and not resumed:
            part.unlink(missing_ok=True)
            raise httpx.RemoteProtocolError("the server resumed at the wrong place")
        _tag(part).write_text(_strong(answer.headers.get("etag", "")), encoding="utf-8")
        behind = have if resumed else 0
        size = int(answer.headers.get("content-length", -behind)) + behind  # 0 when the server does not say
        with part.open("ab" if resumed else "wb") as file, progress(size, f"{part.stem} (bytes)") as bar:
            bar.resume(behind)
            for piece in answer.iter_bytes():  # as it arrives: a broken connection loses nothing
                file.write(piece)
                bar.advance(len(piece))


@contextlib.contextmanager
def _following(url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """The answer after redirects, each of which must stay among the named hosts."""
    for _ in range(REDIRECTS + 1):
        target = httpx.URL(url)
        if target.scheme not in SCHEMES or target.host not in HOSTS:
            raise InputError(f"{url} is not at a host of the publisher, or not https: nothing was fetched from there.")
        with httpx.stream("GET", url, headers=headers, follow_redirects=False, timeout=30.0) as answer:
            if not answer.has_redirect_location:
                yield answer
                return
            url = str(target.join(answer.headers["location"]))
    raise InputError(f"{url}: more than {REDIRECTS} redirects: download the file by hand and give --from PATH.")


def _strong(tag: str) -> str:
    """Only strong tags may stand in If-Range (RFC 9110, section 13.1.5)."""
    return "" if tag.startswith("W/") else tag


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")
