"""``tacit doctor``: a line a finding, a remedy for each that is not fine, never a failure for what is missing."""

from __future__ import annotations

from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from places import ROOT
from typer.testing import CliRunner

from tacit.cli import doctor
from tacit.cli.main import app
from tacit.text import sentiment_names


def test_it_reports_the_machine_and_every_config_and_exits_0() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for what in ("Python", "torch", "cores", "instruction sets", "disk", "extra viz", "model all-MiniLM-L6-v2"):
        assert sum(line[5:].startswith(f"{what}: ") for line in lines) == 1, what
    for path in (ROOT / "configs").rglob("*.yaml"):
        assert (path.name in doctor.PARTS) != any(str(path.relative_to(ROOT)) in line for line in lines), path
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        assert not line.startswith("look") or below.startswith("     "), line


def test_data_and_models_that_a_config_lacks_are_named_with_a_remedy(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("data: {name: redial}\npolicy: {base: some/model}\nsignals: {sentiment: other/model}\n")
    (data, get), base, sentiment = doctor.needs(config)
    assert data == "needs the redial data" and "tacit data get redial DIR" in get and "data.path" in get
    assert base[0] == "policy.base is some/model, not on this machine" and "download" in base[1]
    assert sentiment[0].startswith("signals.sentiment is other/model")
    config.write_text(f"data: {{name: redial, path: {tmp_path}}}\npolicy: {{base: {tmp_path}}}\n")
    assert doctor.needs(config) == ()


def test_a_registered_sentiment_function_is_no_model_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs(name: str) -> tuple[doctor.Need, ...]:
        config = tmp_path / "mine.yaml"
        config.write_text(f"data: {{name: redial, path: {tmp_path}}}\nsignals: {{sentiment: '{name}'}}\n")
        return tuple(need for need in doctor.needs(config) if "sentiment" in need[0])

    assert needs("my-words") and not needs("some.module:function")
    point = EntryPoint(name="my-words", value="mine:score", group=sentiment_names.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: [point] if wanted["name"] == "my-words" else [])
    assert not needs("my-words") and needs("other-words")


def test_a_reranking_config_and_a_broken_one(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("system: rerank\ndata: {name: ml-1m, path: /nonexistent}\nknowledge: {encoder: some/bert}\n")
    (data, _), (encoder, _) = doctor.needs(config)
    assert data == "data.path /nonexistent does not exist" and encoder.startswith("knowledge.encoder is some/bert")
    config.write_text("polcy: 1\n")
    ((what, why),) = doctor.needs(config)
    assert what == "cannot be read" and "unknown key 'polcy'" in why


def test_what_is_not_installed_is_a_line_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "_on_disk", lambda name: False)
    remedies = {line.what: line.remedy for line in doctor.extras()}
    assert all(f"[{name}]" in remedies[f"extra {name}"] for name in ("offline", "viz", "postgres"))
    assert "[offline]" in remedies["model all-MiniLM-L6-v2"]


def test_memory_is_of_this_machine() -> None:
    assert doctor.memory_bytes() == 0 or doctor.memory_bytes() > 10**8
