"""Want of memory is one sentence, in whatever words it was reported, and nothing else is taken for it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from tacit.run.files import says_when_damaged
from tacit.run.lines import lines
from tacit.run.memory import says_when_memory_ends
from tacit.types import InputError


class Panic(BaseException):
    """As pyo3 raises it."""


WANTS = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("can't start new thread"),
    RuntimeError("could not create a primitive"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    Exception("I/O error: Cannot allocate memory (os error 12)"),
    Panic("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)"),
]
OTHERS = [
    InputError("a sentence"),
    KeyboardInterrupt(),
    ValueError("memory"),
    RuntimeError("could not create a primitive descriptor for an inner product"),
    SystemExit(3),
]


@pytest.mark.parametrize("error", WANTS, ids=repr)
def test_want_of_memory_is_one_sentence(error: BaseException) -> None:
    with pytest.raises(InputError, match=r"^The memory .* goes on where this one stopped\.$"), says_when_memory_ends():
        raise error


def test_it_is_seen_behind_another_error() -> None:
    with pytest.raises(InputError, match="The memory"), says_when_memory_ends():
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("no such thing") from error


def test_torch_reports_it_in_these_words() -> None:
    with pytest.raises(InputError, match="The memory"), says_when_memory_ends():
        torch.empty(2**55)


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, says_when_memory_ends():
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", WANTS, ids=repr)
def test_a_file_that_memory_is_too_small_to_read_is_not_called_damaged(error: BaseException) -> None:
    with pytest.raises(InputError, match=r"^The memory"), says_when_memory_ends(), says_when_damaged(Path("x"), "no"):
        raise error


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.zip/a.jsonl"])
def test_data_that_memory_is_too_small_to_unpack_are_not_called_damaged(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    (tmp_path / "a.zip").touch()
    monkeypatch.setattr("gzip.open", fails)
    monkeypatch.setattr("zipfile.ZipFile", fails)
    with pytest.raises(InputError, match=r"^The memory"), says_when_memory_ends():
        list(lines(tmp_path / name))
