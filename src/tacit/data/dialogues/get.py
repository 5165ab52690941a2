"""`tacit data get`: fetch a data set from its publisher, resume broken downloads, and remember every file's hash."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from tacit.run.files import atomic_write, says_when_full, sha256
from tacit.run.progress import progress
from tacit.types import InputError

HASHES = "sha256.json"  # {file name: {"url", "sha256", "bytes"}} beside the files
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Remote:
    url: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


_KG = "https://raw.githubusercontent.com/facebookresearch/opendialkg/main/data"
DATASETS: dict[str, tuple[Remote, ...]] = {
    "redial": (Remote("https://github.com/ReDialData/website/raw/data/redial_dataset.zip"),),
    "opendialkg": tuple(
        Remote(f"{_KG}/{name}")
        for name in (
            "opendialkg.csv",
            "opendialkg_triples.txt",
            "opendialkg_entities.txt",
            "opendialkg_relations.txt",
        )
    ),
}


def get(
    name: str,
    folder: Path,
    local: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    pause_s: float = 1.0,
) -> list[Path]:
    """Bring every file of data set ``name`` into ``folder`` and return their paths.

    A file already there is only checked against its recorded hash. ``local`` is a copy to use in place of the
    network: a folder with the files, or the one file. ``say`` hears of every address before it is called.
    ``pause_s`` is the first wait between attempts; it doubles.
    """
    if name not in DATASETS:
        raise InputError(f"data set {name!r} is unknown: choose one of {', '.join(sorted(DATASETS))}.")
    with says_when_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return [_bring(remote, folder, local, say, pause_s) for remote in DATASETS[name]]


def _bring(remote: Remote, folder: Path, local: Path | None, say: Callable[[str], None], pause_s: float) -> Path:
    target = folder / remote.name
    if target.is_file():
        say(f"{target} is there, checking its hash")
        _check(remote, target, folder)
        return target
    part = folder / f"{remote.name}.part"
    if local is not None:
        source = local / remote.name if local.is_dir() else local
        if not source.is_file() or (not local.is_dir() and local.name != remote.name):
            raise InputError(f"--from {local} has no {remote.name}: give the file from {remote.url}, or its folder.")
        say(f"copying {source}")
        shutil.copyfile(source, part)
    else:
        say(f"fetching {remote.url}")
        _download(remote.url, part, target, pause_s)
    _check(remote, part, folder)
    part.replace(target)
    _tag(part).unlink(missing_ok=True)
    return target


def _check(remote: Remote, path: Path, folder: Path) -> None:
    """Compare with the recorded hash, or record it when there is none (trust on first use)."""
    record = folder / HASHES
    try:
        known = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        expected = known.get(remote.name, {}).get("sha256")
    except (ValueError, AttributeError):
        raise InputError(f"{record} is not readable JSON: delete it, and the hashes are recorded anew.") from None
    actual = sha256(path)
    if expected is None:
        known[remote.name] = {"url": remote.url, "sha256": actual, "bytes": path.stat().st_size}
        atomic_write(record, json.dumps(known, indent=2, sort_keys=True) + "\n")
    elif expected != actual:
        raise InputError(
            f"{path} has sha256 {actual[:12]}… but {record} says {expected[:12]}…: delete the file and fetch it again, "
            f"or, if the publisher changed it, delete its entry there."
        )


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
        except (httpx.HTTPError, httpx.InvalidURL) as error:
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
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30.0) as answer:
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


def _strong(tag: str) -> str:
    """Only strong tags may stand in If-Range (RFC 9110, section 13.1.5)."""
    return "" if tag.startswith("W/") else tag


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")
