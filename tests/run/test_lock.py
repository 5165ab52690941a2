"""One process a run folder, and a lock that dies with its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tacit.run.lock import FILE, exclusive
from tacit.types import InputError

HOLDER = """
import sys
from tacit.run.lock import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    return child


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as child:
        with (
            pytest.raises(InputError, match=f"in use by process {child.pid} on .* since 20"),
            exclusive(tmp_path / "run"),
        ):
            pass
        child.communicate()
    with exclusive(tmp_path / "run"):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as child:
        child.kill()
        child.wait()
    assert (tmp_path / FILE).is_file()  # the file stays, the lock does not
    with exclusive(tmp_path):
        pass


def test_one_process_may_hold_a_folder_twice(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        with exclusive(tmp_path / "." / ""):
            pass
        reached = subprocess.run([sys.executable, "-c", HOLDER, str(tmp_path)], capture_output=True, input=b"")
        assert b"InputError" in reached.stderr  # still held after the inner one was left
    with holder(tmp_path) as child:
        child.communicate()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot be written.*choose another folder"),
        exclusive(tmp_path / "file" / "run"),
    ):
        pass
