"""A run whose data or models changed behind its back, or that two processes want at once, says so in a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import DEMO, TINY
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.data.dialogues.form import to_json
from tacit.data.dialogues.synthetic import load_test, load_training
from tacit.run.lock import FILE


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("tacit: ") and "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented world as own logs, and a run on them that has done its first two stages."""
    folder = tmp_path_factory.mktemp("own")
    catalog, split = load_training(0, 1.0)
    catalog.save(folder / "data" / "items.jsonl")
    for name, dialogues in (
        ("train", split.train[:60]),
        ("valid", split.valid[:12]),
        ("test", load_test(0, 1.0).dialogues[:12]),
    ):
        lines = [json.dumps(to_json(dialogue)) for dialogue in dialogues]
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["sft", DEMO, *TINY, *settings(folder)])
    assert result.exit_code == 0, result.output
    return folder


def settings(folder: Path) -> list[str]:
    return ["data.name=logs", f"data.path={folder / 'data'}", f"out={folder / 'run'}", "data.limit=1"]


def reverse(path: Path) -> None:
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


def drop_a_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def edit_a_title(path: Path) -> None:
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | {"title": "Another (1999)"}), *rest]) + "\n")


def edit_a_word(path: Path) -> None:
    first, *rest = path.read_text().splitlines()
    row = json.loads(first)
    row["turns"][0]["text"] += " indeed"
    path.write_text("\n".join([json.dumps(row), *rest]) + "\n")


def training_in_its_place(path: Path) -> None:
    path.write_text("".join((path.parent / "train.jsonl").read_text().splitlines(keepends=True)[:12]))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("items", reverse, "the items stand in another order"),
        ("items", edit_a_title, "the items are 300 as before, with other contents"),
        ("train", drop_a_line, "the training dialogues were 60 and are 59"),
        ("train", edit_a_word, "the training dialogues are 60 as before, with other contents"),
        ("train", reverse, "the training dialogues are 60 as before, with other contents"),
        ("valid", drop_a_line, "the validation dialogues were 12 and are 11"),
        ("test", edit_a_word, "the test dialogues are 12 as before, with other contents"),
        ("test", drop_a_line, "the test dialogues were 12 and are 11"),
        ("test", training_in_its_place, ""),  # refused by whichever check comes first
    ],
)
def test_changed_data_are_refused_by_the_next_stage(
    own: Path, name: str, change: Callable[[Path], None], said: str
) -> None:
    path = own / "data" / f"{name}.jsonl"
    before = path.read_bytes()
    try:
        change(path)
        for command in (("reward", str(own / "run")), ("run", DEMO, *TINY, *settings(own))):
            message = refused(*command)
            assert said in message and (not said or "out=" in message)
    finally:
        path.write_bytes(before)


def test_data_put_back_are_taken_again(own: Path) -> None:
    """The stages before are done, so this only reads; a gzipped copy of the same lines is the same data."""
    result = CliRunner().invoke(app, ["sft", str(own / "run")])
    assert result.exit_code == 0, result.output


def test_one_flipped_byte_of_a_model_is_refused_unless_told_otherwise(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    weights = run / "ppo" / "policy" / "policy.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "policy.safetensors is not the file that was saved" in refused("chat", str(run))
    loaded = CliRunner().invoke(app, ["chat", str(run), "--no-verify"], input="hello\n\n")
    assert loaded.exit_code == 0 and "agent>" in loaded.stdout
    reward = run / "reward" / "model" / "config.json"
    reward.write_text(reward.read_text() + " ")
    (run / "one.jsonl").write_text('{"id": "a", "user": "u", "turns": [{"speaker": "user", "text": "hi"}]}\n')
    assert "config.json is not the file that was saved" in refused("score", str(run), str(run / "one.jsonl"))
    assert CliRunner().invoke(app, ["score", str(run), str(run / "one.jsonl"), "--no-verify"]).exit_code == 0


HOLDER = """
import sys
from tacit.run.lock import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_write_one_run(tiny_run: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tiny_run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:  # fmt: skip
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        for command in ("run", "evaluate", "report"):
            assert f"is in use by process {child.pid}" in refused(command, str(tiny_run))
        child.communicate()
    assert CliRunner().invoke(app, ["run", str(tiny_run)]).exit_code == 0
    assert (tiny_run / FILE).exists()


def test_what_a_killed_process_left_half_written_is_cleared_away(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "sft" / ".metrics.json.1.part").write_text("half")
    (run / "ppo" / ".policy.part").mkdir()
    (run / "reward" / "model").rename(run / "reward" / ".model.old")  # killed between two renames
    assert CliRunner().invoke(app, ["run", str(run)]).exit_code == 0
    assert [path for path in run.rglob(".*") if path.name != FILE] == []
    assert (run / "reward" / "model" / "config.json").is_file()
