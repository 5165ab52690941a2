"""Turns with rewards in TRL's and verl's forms, by the command, down to what their readers ask for."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tiny_log import START_MS, Log, exposure
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.data.trainer_forms import Answer, Form, write
from tacit.types import InputError

LATER = "2026-09-23T00:00:00Z"


def labelled(folder: Path) -> tuple[str, str]:
    """One turn answered twice, the second answer clicked on and the first not; then a turn that nobody reported on."""
    with Log(folder) as log:
        for name, text in (("x1", "Try these."), ("x2", "Or these.")):
            shown = log.show(exposure(name, created_ms=START_MS + 1000 * int(name[1])), said=text)
            seen = log.event(shown, "visible", visible_ms=500, censored=False)
            log.send(seen, *([log.event(shown)] if name == "x2" else []))
        log.show(exposure("x3", turn=1, created_ms=START_MS + 9000), asked="And now?", said="These, too.")
    given = [str(folder / "log.sqlite"), "--out", str(folder / "labels"), "--as-of", LATER]
    assert CliRunner().invoke(app, ["labels", *given]).exit_code == 0
    return str(folder / "log.sqlite"), str(folder / "labels")


def exported(folder: Path, form: str) -> Path:
    log, labels = labelled(folder)
    to = folder / f"{form}.out"
    done = CliRunner().invoke(app, ["labels", "export", labels, "--store", log, "--form", form, "--to", str(to)])
    assert done.exit_code == 0, done.output
    return to


def test_kto(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in exported(tmp_path, "trl-kto").read_text().splitlines()]
    prompt = [{"role": "user", "content": "Something like Heat?"}]
    assert [(row["prompt"], row["completion"][0]["content"], row["label"]) for row in rows] == [
        (prompt, "Try these.", False),
        (prompt, "Or these.", True),
    ]
    assert rows[0]["reward"] < rows[1]["reward"] and {row["user"] for row in rows} == {"u1"}


def test_dpo(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in exported(tmp_path, "trl-dpo").read_text().splitlines()]
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows] == [
        ("Or these.", "Try these.")
    ]
    assert rows[0]["margin"] > 0


def test_verl(tmp_path: Path) -> None:
    table = pl.read_parquet(exported(tmp_path, "verl"))
    assert table.height == 2
    row = table.row(1, named=True)
    assert (row["data_source"], row["ability"], row["reward_model"]["style"]) == ("tacit", "recommendation", "rule")
    assert row["prompt"] == [{"role": "user", "content": "Something like Heat?"}]
    truth = json.loads(row["reward_model"]["ground_truth"])
    assert truth["items"] == ["a", "b"] and truth["response"] == "Or these." and -1 <= truth["reward"] <= 1
    assert row["extra_info"]["index"] == 1 and row["extra_info"]["exposure_id"] == "x2"


@pytest.mark.parametrize(
    ("form", "name", "said"), [("verl", "t.jsonl", "Parquet: give"), ("trl-dpo", "t.parquet", "JSON lines: give")]
)
def test_a_name_of_another_kind_of_file_is_refused(form: Form, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        write(tmp_path / name, [([], [Answer("Try these.", ("a",), 1.0, "u1", "x1")])], form, 0.0)
    assert not (tmp_path / name).exists()


def test_why_there_is_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    """One answer a turn makes no pair, and one reward for all no turn that was liked."""
    with Log(tmp_path) as log:
        for k in range(2):
            log.send(log.event(log.show(exposure(f"x{k}", session_id=f"s{k}"))))
    labels = str(tmp_path / "labels")
    assert (
        CliRunner().invoke(app, ["labels", str(tmp_path / "log.sqlite"), "--out", labels, "--as-of", LATER]).exit_code
        == 0
    )
    for form, said in {"trl-dpo": "no turn was answered twice", "trl-kto": "every turn has the reward"}.items():
        words = ["labels", "export", labels, "--store", str(tmp_path / "log.sqlite"), "--form", form]
        done = CliRunner().invoke(app, [*words, "--to", str(tmp_path / "t.jsonl")])
        assert done.exit_code == 2 and said in done.output and not (tmp_path / "t.jsonl").exists()


def test_nothing_to_write_is_told(tmp_path: Path) -> None:
    log, labels = labelled(tmp_path)
    early = [log, "--out", labels, "--as-of", "2026-09-21T14:00:00Z"]
    assert CliRunner().invoke(app, ["labels", *early]).exit_code in (0, 2)
    to = tmp_path / "none.jsonl"
    done = CliRunner().invoke(
        app, ["labels", "export", str(tmp_path), "--store", log, "--form", "verl", "--to", str(to)]
    )
    assert done.exit_code == 2 and "labels.json" in done.output and not to.exists()
