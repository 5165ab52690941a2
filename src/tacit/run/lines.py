"""Reading outside files of any size: plain, gzipped or inside a zip; lines one at a time, each with its number.

Whatever the bytes are, what comes out is data, ``ValueError`` with a plain reason (one line), or ``InputError`` (the
file): never another exception.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

MAX_LINE = 64 * 1024 * 1024  # bytes: a longer "line" is a broken file, and must not fill the memory

_HALF_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")  # surrogates, which are only valid in pairs
# What the decompressors raise on damage; RuntimeError and NotImplementedError stand for a password and for a method
# of compression that Python does not have.
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError)


class _Unpacked(io.RawIOBase):
    """The bytes of a packed file, with damage (a bad checksum, a cut end) as one sentence."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._file.read(len(buffer))
        except _DAMAGE as error:
            pass_on_want_of_memory(error)
            raise InputError(f"{self._path} is damaged ({error}): fetch it again.") from None
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


def _buffered(path: Path, packed: IO[bytes]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path, packed), 1 << 20))


def open_binary(path: Path) -> BinaryIO:
    """Open a plain file, a ``.gz``, or ``archive.zip/member`` for reading bytes."""
    archive = next((parent for parent in path.parents if parent.suffix == ".zip" and parent.is_file()), None)
    try:
        if archive is not None:
            return _buffered(path, zipfile.ZipFile(archive).open(path.relative_to(archive).as_posix()))
        if path.suffix == ".gz":
            return _buffered(path, cast(IO[bytes], gzip.open(path, "rb")))
        return path.open("rb")
    except (*_DAMAGE, KeyError) as error:
        pass_on_want_of_memory(error)
        raise InputError(f"{path} cannot be read ({error}): check the path and the file.") from None


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes) of each non-blank line, at constant memory. An over-long line comes as its first part."""
    with open_binary(path) as file:
        number = 0
        try:
            while raw := file.readline(MAX_LINE + 1):
                number += 1
                if not raw.isspace():
                    yield number, raw
                part = raw
                while len(part) > MAX_LINE and not part.endswith(b"\n"):
                    part = file.readline(MAX_LINE + 1)
        except OSError as error:
            raise InputError(f"{path}:{number + 1}: the file cannot be read ({error}): fetch it again.") from None


def blocks(path: Path, size: int = 1 << 17) -> Iterator[tuple[int, int, bytes]]:
    """(number of the first line from 1, how many lines, bytes) of whole lines together, some ``size`` bytes at a time.

    What ``lines`` gives, but for the blank lines; an over-long line comes as more than ``MAX_LINE`` bytes of it.
    """
    with open_binary(path) as file:
        number = 1
        try:
            while block := file.read(size):
                if not block.endswith(b"\n"):
                    part = file.readline(MAX_LINE + 1)
                    block += part
                    while len(part) > MAX_LINE and not part.endswith(b"\n"):
                        part = file.readline(MAX_LINE + 1)
                count = block.count(b"\n") + (not block.endswith(b"\n"))
                yield number, count, block
                number += count
        except OSError as error:
            raise InputError(f"{path}:{number}: the file cannot be read ({error}): fetch it again.") from None


def read_bytes(path: Path) -> bytes:
    """A whole (small) file, plain, gzipped or in a zip."""
    with open_binary(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error}): check the path and the file.") from None


def decode(raw: bytes) -> Any:
    """One line as JSON; ValueError with a plain reason otherwise."""
    if len(raw) > MAX_LINE:
        raise ValueError(f"the line is longer than {MAX_LINE >> 20} MiB: write one object a line")
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """JSON of any length; ValueError with a plain reason otherwise. Numbers beyond 4,300 digits are refused too."""
    try:
        value = json.loads(raw.decode("utf-8-sig"))
        if _HALF_ESCAPE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise ValueError("a \\ud800-style escape stands alone: write the whole character") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}: re-encode the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno}): write one JSON object a line") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply: write one object a line") from None
    except ValueError:
        raise ValueError("a number has more than 4,300 digits: write a shorter one") from None


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, parsed line); InputError naming file and line for the first that cannot be parsed."""
    for number, raw in lines(path):
        try:
            yield number, decode(raw)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}.") from None


def read_json(path: Path) -> Any:
    """A whole (small) JSON file, plain, gzipped or in a zip."""
    try:
        return parse_json(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}): fetch it again.") from None
