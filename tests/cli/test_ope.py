"""``tacit ope`` on a table: the verdict, ope.json and the page; and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from typer.testing import CliRunner, Result

from tacit.cli.main import app
from tacit.offpolicy.worlds import World


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["ope", *words])


def table(folder: Path, n: int = 1500) -> Path:
    generator = np.random.default_rng(0)
    made = World.random(generator)
    logged = made.policy(generator)
    log = made.log(logged, logged + 0.8 * made.strength, n, generator)
    frame = pl.DataFrame(
        {
            "slate": np.repeat(np.arange(n), 3), "pscore": log.logged.ravel(), "new": log.target.ravel(),
            "click": log.rewards.ravel(), "user": np.repeat(log.users.astype(int), 3),  # type: ignore[union-attr]
        }
    )  # fmt: skip
    frame.write_parquet(folder / "log.parquet")
    return folder / "log.parquet"


MAP = ("--map", "round=slate", "--map", "logged=pscore", "--map", "reward=click", "--map", "target=new")


def test_a_table_gets_a_verdict_a_file_and_a_page(tmp_path: Path) -> None:
    result = call(str(table(tmp_path)), *MAP, "--out", str(tmp_path / "out"), "--name", "v<2>", "--draws", "200")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("better: v<2>\n")
    found = json.loads((tmp_path / "out" / "ope.json").read_text())
    assert (found["verdict"], found["target"], found["reward"]) == ("better", "v<2>", "click")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "“v&lt;2&gt;” would have earned more than what was served" in page
    assert "v<2>" not in page
    assert all(check["said"][:20].replace("'", "&#x27;") in page for check in found["checks"].values())


def test_the_estimator_that_decides_is_named_in_the_report(tmp_path: Path) -> None:
    result = call(str(table(tmp_path)), *MAP, "--out", str(tmp_path / "out"), "--primary", "snRIPS", "--draws", "200")
    assert result.exit_code == 0, result.output
    assert "its sign alone counts" in result.stdout
    assert json.loads((tmp_path / "out" / "ope.json").read_text())["primary"] == "snRIPS"
    assert "snRIPS decides, named beforehand" in (tmp_path / "out" / "report.html").read_text()


def test_a_page_without_evidence_says_that_its_numbers_are_not_to_be_believed(tmp_path: Path) -> None:
    result = call(str(table(tmp_path, 150)), *MAP, "--out", str(tmp_path / "out"), "--draws", "200")
    assert result.stdout.startswith("insufficient evidence: target\n")
    assert "Not to be believed, for the reasons above." in (tmp_path / "out" / "report.html").read_text()


def test_a_table_may_say_what_is_judged_and_the_option_has_the_last_word(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("logged,target,reward,target_version\n0.5,0.5,1,3f1c9a52\n0.5,0.5,0,3f1c9a52\n")
    given = [str(log), "--out", str(tmp_path / "out"), "--draws", "100"]
    assert call(*given).stdout.startswith("insufficient evidence: 3f1c9a52\n")
    assert call(*given, "--name", "v2").stdout.startswith("insufficient evidence: v2\n")
    log.write_text(log.read_text() + "0.5,0.5,0,77\n")
    assert "row 3: target_version is another than in the first row: judge one" in call(*given).stderr


def test_four_digits_of_a_small_reward_are_told(tmp_path: Path) -> None:
    frame = pl.DataFrame({"logged": [0.5] * 1000, "target": [0.5] * 1000, "reward": [1, *[0] * 999]})
    frame.write_csv(tmp_path / "rare.csv")
    result = call(str(tmp_path / "rare.csv"), "--out", str(tmp_path / "out"), "--draws", "200")
    assert "as served: 0.001 " in result.stdout and "SNIPS: 0.001 " in result.stdout


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    for words, said in {
        (str(tmp_path / "none.csv"),): "does not exist",
        (str(table(tmp_path, 9)),): "no column 'logged'",
        (str(table(tmp_path, 9)), "--map", "p=q"): "no column 'p'",
        (str(table(tmp_path, 9)), "--labels", "labels"): "--labels is for our own log, which needs --policy: leave it",
        (
            str(tmp_path / "log.sqlite"),
            "--policy",
            "run",
            "--state",
            str(tmp_path),
        ): "holds no registry: give the folder",
        (
            str(tmp_path / "log.sqlite"),
            "--policy",
            "run",
            "--map",
            "logged=p",
        ): "--map is for a table, without --policy",
        (str(table(tmp_path, 9)), "--primary", "snrips"): "give one of both, SNIPS, snRIPS",
    }.items():
        result = call(*words, "--out", str(tmp_path / "out"))
        assert result.exit_code == 2, result.output
        assert said in result.stderr and result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()
