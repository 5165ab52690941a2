"""Damaged files of a run, and folders that are none: one sentence with the file and the remedy; caches are rebuilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from places import ROOT
from typer.testing import CliRunner

import tacit
from tacit.cli.main import app
from tacit.dialogue.reward.exam import ValidationReport
from tacit.dialogue.users.crowd import UserWorld
from tacit.recommender import load_reward
from tacit.report.rerank.report import NOISE, read_round, write_rerank_report
from tacit.report.run_files import RunFiles
from tacit.rerank.align.feedback import context, read_groups, write_groups
from tacit.rerank.align.pairs import Pair, export_llama_factory, export_trl, read_pairs
from tacit.rerank.writer.texts import load_texts, save_texts
from tacit.run.manifest import FILE as MANIFEST
from tacit.types import Group, InputError, Sample, Scored

DEMO = str(ROOT / "configs" / "demo.yaml")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "no text": lambda content: b"\xff\xfe\x00" + content[3:],
    "a list": lambda content: b"[]",
    "another object": lambda content: b'{"a": 1}',
}
FILES = [
    "ppo/policy/policy.json",
    "ppo/policy/policy.safetensors",
    "ppo/policy/catalog.jsonl",
    "ppo/policy/lm/config.json",
    "ppo/policy/lm/tokenizer.json",
    "ppo/policy/encoder/modules.json",
    "sft/policy/policy.json",
    "reward/model/config.json",
    "reward/model/model.safetensors",
]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run as an earlier version left it: without manifests, which would see damage first."""
    for part in ("ppo/policy", "sft/policy", "reward/model", "users"):
        shutil.copytree(tiny_run / part, tmp_path / "run" / part)
        (tmp_path / "run" / part / MANIFEST).unlink(missing_ok=True)
    for stage in ("sft", "reward", "ppo"):
        shutil.copy(tiny_run / stage / "done.json", tmp_path / "run" / stage / "done.json")
    return tmp_path / "run"


def one_sentence(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        read()
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_policy_or_reward(damage: str, run: Path) -> None:
    for name in FILES:
        file = run / name
        content = file.read_bytes()
        file.write_bytes(DAMAGES[damage](content))
        if name.startswith("ppo"):
            message = one_sentence(lambda: tacit.load(run, verify=False))
        else:
            message = one_sentence(lambda: load_reward(run, verify=False))
        assert str(run) in message, f"{name}: {message}"
        file.write_bytes(content)
    tacit.load(run, verify=False)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_world_and_exam(damage: str, run: Path, tiny_run: Path) -> None:
    catalog = load_reward(run, verify=False).catalog
    for name in ("world.json", "taste.safetensors"):
        content = (run / "users" / name).read_bytes()
        (run / "users" / name).write_bytes(DAMAGES[damage](content))
        assert "again" in one_sentence(lambda: UserWorld.load(run / "users", catalog))
        (run / "users" / name).write_bytes(content)
    exam = run / "reward" / "validation.json"
    exam.write_bytes(DAMAGES[damage]((tiny_run / "reward" / "validation.json").read_bytes()))
    assert f"delete {exam.parent} to learn the reward again" in one_sentence(lambda: ValidationReport.load(exam))


@pytest.mark.parametrize("damage", ["empty", "cut", "no text", "a list", "another object"])
def test_damaged_texts(damage: str, tmp_path: Path) -> None:
    save_texts(tmp_path, {3: ("a text",)})
    content = (tmp_path / "texts.json").read_bytes()
    (tmp_path / "texts.json").write_bytes(DAMAGES[damage](content))
    assert f"delete {tmp_path} to write the texts again" in one_sentence(lambda: load_texts(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "no text", "a list", "another object"])
def test_damaged_pairs_and_groups_of_a_round(damage: str, tmp_path: Path) -> None:
    pair = Pair("u", "What does u like?", "wild films", "calm films", 0.2, 4)
    export_trl([pair, pair], tmp_path / "pairs.jsonl")
    sample = Sample((), (), (), (), "wild films")
    scored = Scored(context("u", "What does u like?"), sample, 0.5, "lists", {"ndcg": 0.5})
    write_groups([Group((scored, scored))], tmp_path / "groups.jsonl")
    readers: dict[str, Callable[[Path], object]] = {"pairs.jsonl": read_pairs, "groups.jsonl": read_groups}
    for name, read in readers.items():
        file = tmp_path / name
        assert read(file)
        file.write_bytes(DAMAGES[damage](file.read_bytes()[:-3]))
        message = one_sentence(lambda read=read, file=file: read(file))  # type: ignore[misc]
        assert str(file) in message and "again" in message
    for content in ("{", "[]"):
        (tmp_path / "dataset_info.json").write_text(content)
        assert "dataset_info.json is damaged" in one_sentence(lambda: export_llama_factory([pair], tmp_path))


@pytest.mark.parametrize("damage", ["empty", "cut", "no text", "a list", "another object"])
def test_damaged_cards_and_tables_of_a_report(damage: str, tmp_path: Path) -> None:
    (tmp_path / "evaluate" / "users").mkdir(parents=True)
    round1 = tmp_path / "align" / "round1"
    round1.mkdir(parents=True)
    export_trl([], round1 / "pairs.jsonl")
    card = {"protocol": {}, "round chosen on validation": {}, "settings": {}, NOISE: {}}
    (tmp_path / "evaluate" / "card.json").write_text(json.dumps(card))
    (round1 / "card.json").write_text(json.dumps({"pairs": {}, "scored_by": "lists"}))
    read_round(round1)
    for file in (tmp_path / "evaluate" / "card.json", round1 / "card.json"):
        content = file.read_bytes()
        file.write_bytes(DAMAGES[damage](content))
        assert f"{file} is damaged" in one_sentence(lambda: write_rerank_report(tmp_path))
        file.write_bytes(content)
    table = tmp_path / "evaluate" / "users" / "sft.parquet"
    pl.DataFrame({"user": ["u"]}).write_parquet(table)
    RunFiles.read(tmp_path)
    if damage != "no text":  # polars reads a table by its end
        table.write_bytes(DAMAGES[damage](table.read_bytes()))
        assert f"{table} is damaged" in one_sentence(lambda: RunFiles.read(tmp_path))
    table.unlink()
    if damage not in ("empty", "another object"):
        for name in ("run.json", "prepare/data.json", "reward/validation.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(DAMAGES[damage](b'{"b": 2}'))
            assert name in one_sentence(lambda: RunFiles.read(tmp_path))
            (tmp_path / name).unlink()


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    return result.stderr


def test_a_file_where_a_folder_is_expected_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("I am a file\n")
    for out in (file, file / "below", Path("/proc/tacit")):
        assert str(out) in refused("run", DEMO, f"out={out}")
    assert str(file) in refused("run", DEMO, f"out={tmp_path / 'run'}", "data.name=redial", f"data.path={file}")
    assert str(file) in refused("chat", str(file))
    assert str(file) in refused("score", str(file), str(file))
    (tmp_path / "own").mkdir()
    dialogue = {"version": 1, "id": "d", "user": "u", "turns": [{"speaker": "user", "text": "hi"}]}
    (tmp_path / "own" / "train.jsonl").write_text(json.dumps(dialogue) + "\n")
    assert str(file) in refused("data", "get", "redial", str(file), "--from", str(tmp_path / "own"))


def test_a_folder_where_a_file_is_expected_is_one_sentence(tmp_path: Path) -> None:
    assert str(tmp_path) in refused("run", DEMO, str(tmp_path / "x.yaml"), f"out={tmp_path / 'run'}")
    (tmp_path / "c.yaml").mkdir()
    assert "c.yaml" in refused("run", str(tmp_path / "c.yaml"))
