"""``tacit wishes`` on a saved policy of a tiny catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from typer.testing import CliRunner, Result
from wish_catalogs import films

from tacit.cli.main import app
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.text.lm import LMConfig
from tacit.types import Dialogue, Turn

WESTERN = {"id": "w", "turns": ["a western, please"], "want": [{"genre": ["western"]}]}
CALM = {"id": "c", "turns": ["no horror please, a comedy"], "want": [{"genre": ["comedy"]}]}
CALM |= {"avoid": [{"genre": ["horror"]}]}
MISSING = {"id": "m", "turns": ["a musical"], "want": [{"genre": ["musical"]}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose one finished stage is supervised fine-tuning; the policy is as it was made."""
    folder = tmp_path_factory.mktemp("run")
    encoder = tiny.save_encoder(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    lm = LMConfig(layers=1, heads=2, width=32, vocabulary=600)
    talk = Dialogue("d", "u", (Turn("user", "hello"), Turn("agent", "hi, what do you like?")))
    policy = Policy.fresh(films(), [talk], PolicyConfig(encoder=str(encoder), lm=lm, slate_size=2))
    policy.save_pretrained(folder / "sft" / "policy")
    (folder / "sft" / "done.json").write_text("{}")
    return folder


def wishes(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["wishes", str(folder), *words])


def write(file: Path, *rows: object) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_lists_of_ones_own(run: Path, tmp_path: Path) -> None:
    mine, more = write(tmp_path / "mine.jsonl", WESTERN, CALM, MISSING), write(tmp_path / "more.jsonl", WESTERN)
    result = wishes(run, "--file", mine, "--file", more)
    assert result.exit_code == 0, result.output
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith("| m")]
    table = {(name[2:], model, decision): share for name, _, model, decision, share in rows}
    assert table["mine", "sft", "forced"].startswith("100.0%")
    assert table["mine", "popularity within the wish", "–"].startswith("100.0%")
    assert table["more", "popularity", "–"].startswith("0.0%")  # the western is not among the first two
    assert {name for name, *_ in table} == {"mine", "more"}
    assert {row[1] for row in rows if row[0] == "| mine"} == {"2"}
    assert "mine: 1 wishes left out" in result.stdout and "more: " not in result.stdout
    written = json.loads((run / "wishes.json").read_text())
    assert written["seed"] == 0 and len(written["rows"]) == len(rows)


def test_a_policy_folder_will_do_and_nothing_is_written_into_it(run: Path, tmp_path: Path) -> None:
    folder = run / "sft" / "policy"
    before = sorted(path.name for path in folder.iterdir())
    result = wishes(folder, "--file", write(tmp_path / "mine.jsonl", WESTERN))
    assert result.exit_code == 0 and "| mine | 1 | policy | forced | 100.0%" in result.stdout, result.output
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((WESTERN, {"id": "x", "turns": []}), "mine.jsonl:2: key 'turns' of a wish"),
        ((WESTERN, CALM, WESTERN | {"wants": []}), "mine.jsonl:3: unknown key 'wants'"),
        ((MISSING,), "there is no wish that an item of the catalogue satisfies"),
        (None, "mine.jsonl does not exist"),
    ],
)
def test_a_bad_file_is_one_sentence(run: Path, tmp_path: Path, rows: tuple[object, ...] | None, message: str) -> None:
    file = tmp_path / "mine.jsonl"
    if rows is not None:
        write(file, *rows)
    result = wishes(run, "--file", str(file))
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("tacit: ") and result.stderr.count("\n") == 1 and message in result.stderr
