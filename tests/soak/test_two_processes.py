"""Two processes at once on one folder: one does the run, the other is told who does, and the run is as if alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from whole_runs import SYSTEMS, begin, differing, finish, sentences


@pytest.mark.parametrize("system", SYSTEMS)
def test_of_two_processes_one_runs_and_one_is_refused(system: str, tmp_path: Path) -> None:
    words = SYSTEMS[system](tmp_path / "data")
    code, said = finish(words, tmp_path / "whole")
    assert code == 0, said
    children = [begin(words, tmp_path / "run") for _ in range(2)]
    said_by = [child.communicate()[1] for child in children]
    codes = [child.returncode for child in children]
    print(f"{system}: exit codes {codes}")
    assert sorted(codes) == [0, 2], said_by
    (refusal,) = sentences(said_by[codes.index(2)])
    assert f"is in use by process {children[codes.index(0)].pid}" in refusal
    assert differing(tmp_path / "run", tmp_path / "whole") == []
