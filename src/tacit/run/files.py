"""Writing files so that a crash leaves the old version or the new one, never half of either."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

if TYPE_CHECKING:  # the command line imports this file, and must not wait for polars
    import polars as pl

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
    | {errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP}  # such as a folder in /proc
)


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Write beside the target, fsync, rename over it, fsync the folder."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = content.encode("utf-8") if isinstance(content, str) else content
    with says_when_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_parquet(path: str | Path, table: pl.DataFrame) -> None:
    """A table as one Parquet file, whole or not at all."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd")
    atomic_write(path, buffer.getvalue())


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A fresh folder to fill; on a clean exit it takes the place of ``path``, on an error it is removed."""
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    with says_when_unwritable(path):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    with says_when_full(path):
        try:
            yield part
            sync_tree(part)
            replace_folder(part, path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def replace_folder(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; a folder already there is moved aside first and then removed."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def says_when_full(path: str | Path) -> Iterator[None]:
    """A full disk becomes one sentence that says what to do; other errors pass through."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        # safetensors reports the system's error as text only
        if number in _FULL or "No space left on device" in str(error) or "os error 28" in str(error):
            raise InputError(
                f"The disk is full while writing {path}: free some space and run the same command again, it continues."
            ) from error
        raise


@contextlib.contextmanager
def says_when_unwritable(path: str | Path) -> Iterator[None]:
    """A folder one may not write to, and a full disk, become one sentence that says what to do."""
    try:
        with says_when_full(path):
            yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(
            f"{path} cannot be written ({error.strerror}): make it writable, or choose another folder."
        ) from error


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a small file of ours; ``InputError`` with the ``remedy`` where it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it readable.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path} is damaged, it holds no JSON: {remedy}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged, it holds {type(content).__name__} in place of an object: {remedy}")
    return content


def read_lines(path: Path, remedy: str) -> Iterator[dict[str, Any]]:
    """The JSON objects, one a line, of a file of ours; ``InputError`` with line and ``remedy`` where it is damaged."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number} is damaged, it holds no JSON object: {remedy}")
        yield row


def read_parquet(path: Path, remedy: str) -> pl.DataFrame:
    """A table of ours; ``InputError`` with the ``remedy`` where it is damaged."""
    import polars

    with says_when_damaged(path, remedy):
        return polars.read_parquet(path)


@contextlib.contextmanager
def says_when_damaged(path: Path, remedy: str) -> Iterator[None]:
    """Whatever goes wrong while ``path``, which is ours, is read becomes one sentence with the ``remedy``.

    Libraries raise anything on damaged files, tokenizers a bare ``Exception``. A full memory is no damage.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        pass_on_want_of_memory(error)
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged ({type(error).__name__}: {first}): {remedy}") from error


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed process left half written below ``folder``, which this process must hold alone."""
    for path in folder.rglob(".*.old"):  # the folder before, moved aside: in its place again where none is
        place = path.with_name(path.name.removeprefix(".").removesuffix(".old"))
        if path.is_dir() and not place.exists():
            os.replace(path, place)
    for path in [*folder.rglob(".*.part"), *folder.rglob(".*.old")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """fsync every file below a folder, and the folder's own entries."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            sync_file(path)
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)


def sync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: str | Path) -> str:
    """Hex digest of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
