"""The page's example of a run file is run as it stands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tacit.referee.judge import Settings, judge
from tacit.referee.read import read_run

PAGE = (Path(__file__).parents[2] / "docs" / "referee.md").read_text(encoding="utf-8")


def test_ten_lines_write_a_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line and not line.startswith(("import", "from"))]) <= 10
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/referee.md", "exec"), {})
    run = read_run(tmp_path / "mine")
    hits = {
        row.protocol: row.value
        for row in judge([run], ["full", "full-masked"], Settings(draws=20)).rows
        if row.name == "HR@1" and row.slice == "all"
    }
    assert hits == {"full": 0.0, "full-masked": 1.0}


def test_the_page_s_line_of_contexts_is_read(tmp_path: Path) -> None:
    (line,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "run.json").write_text('{"format": "tacit-run", "version": 1, "system": "mine", "dataset": "redial"}')
    items = [{"id": id, "title": id} for id in ("204334", "99583")]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "contexts.jsonl").write_text(json.dumps(json.loads(line)) + "\n")
    (context,) = read_run(folder).contexts
    assert context.reply and context.said == (("user", "I liked Heat (1995)"),)
