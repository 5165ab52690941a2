"""A whole run on a disk that is too small: one sentence, exit code 2, and with more room the same command goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_runs import SYSTEMS, differing, finish, sentences

STEPS = 6  # sizes of the disk below what the run needs


def mount(*words: str) -> bool:
    return shutil.which("mount") is not None and subprocess.run(["mount", *words], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)):
        pytest.skip("mounting a tmpfs needs root on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_full_disk_is_one_sentence_and_the_run_goes_on(system: str, tmp_path: Path, disk: Path) -> None:
    words = SYSTEMS[system](tmp_path / "data")
    code, said = finish(words, tmp_path / "whole")
    assert code == 0, said
    need = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    refusals = 0
    for step in range(1, STEPS + 1):
        size = need * step // (STEPS + 1)
        assert mount("-o", f"remount,size={size}", str(disk))
        code, said = finish(words, disk / "run")
        print(f"{system}: {size:,} bytes of {need:,}: exit {code}: {sentences(said)}")
        assert code == 2 and "Traceback" not in said, said
        (sentence,) = sentences(said)
        assert "The disk is full while writing" in sentence and str(disk) in sentence
        refusals += 1
    assert mount("-o", f"remount,size={3 * need}", str(disk))
    code, said = finish(words, disk / "run")
    assert code == 0, said
    assert refusals == STEPS and differing(disk / "run", tmp_path / "whole") == []
