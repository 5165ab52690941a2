"""A config, a run folder or a model's folder from a stranger runs no code: nothing they name is imported, no pickle is
opened."""

from __future__ import annotations

import ast
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
import tiny
import tiny_writer
import torch
from places import ROOT
from typer.testing import CliRunner

from tacit import pipelines
from tacit.cli.main import app
from tacit.pipelines import RunConfig
from tacit.text import sentiment_names
from tacit.text.encoder import TextEncoder
from tacit.text.lm import load_pretrained, load_tokenizer
from tacit.text.sentiment import load_sentiment
from tacit.text.sentiment_names import imports_allowed
from tacit.types import InputError

DEMO = str(ROOT / "configs" / "demo.yaml")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module on the path that leaves a file behind when it is imported; the file."""
    ran = tmp_path / "ran"
    (tmp_path / "stranger_trap.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n\ndef mood(texts):\n    return [0.0] * len(texts)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield ran
    sys.modules.pop("stranger_trap", None)


def test_a_file_cannot_have_a_module_imported(trap: Path, tmp_path: Path) -> None:
    config = tmp_path / "stranger.yaml"
    config.write_text(f"defaults: {DEMO}\nsignals: {{sentiment: 'stranger_trap:mood'}}\n")
    for command in ("run", "reward", "evaluate", "sft"):
        result = CliRunner().invoke(app, [command, str(config), f"out={tmp_path / 'run'}"])
        assert result.exit_code == 2 and "add --allow-import" in result.stderr and result.stderr.count("\n") <= 2
    again = CliRunner().invoke(app, ["run", str(tmp_path / "run")])  # the folder that this left
    assert again.exit_code == 2 and "--allow-import" in again.stderr
    settings = RunConfig(out=str(tmp_path / "python"))
    settings.signals.sentiment = "stranger_trap:mood"
    with pytest.raises(InputError, match="would import and run stranger_trap"):
        pipelines.run(settings)
    assert not trap.exists()


def test_whoever_asks_for_it_gets_it(trap: Path) -> None:
    with pytest.raises(InputError, match="--allow-import"):
        load_sentiment("stranger_trap:mood")
    assert not trap.exists()
    with imports_allowed():
        assert load_sentiment("stranger_trap:mood")(["a"]) == [0.0]
    assert trap.exists()
    with pytest.raises(InputError, match="--allow-import"):
        load_sentiment("stranger_trap:mood")
    for command in ("run", "sft", "reward", "ppo", "evaluate", "demo"):
        assert "--allow-import" in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout


def test_what_an_installed_package_registers_loads_by_its_name(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("mine", "stranger_trap:mood", sentiment_names.GROUP)
    monkeypatch.setattr(sentiment_names, "registered", lambda name: point if name == "mine" else None)
    assert load_sentiment("mine")(["a", "b"]) == [0.0, 0.0] and load_sentiment("mine").id == "callable:mine"


def pickled(folder: Path) -> Path:
    """The folder with its weights as a pickle in place of safetensors."""
    for file in folder.rglob("*.safetensors"):
        file.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    return folder


def test_pickled_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    writer = pickled(tiny_writer.save(tmp_path / "writer"))
    tiny_writer.tokenizer().save_pretrained(writer)
    encoder = pickled(tiny.save_encoder(tmp_path / "encoder", width=16))
    for load in (
        lambda: load_pretrained(writer, "auto", "policy.base"),
        lambda: load_sentiment(str(writer)),
        lambda: TextEncoder.load(str(encoder)),
    ):
        with pytest.raises(
            InputError, match=r"holds pytorch_model\.bin and no safetensors.*save the model as"
        ) as error:
            load()
        assert "\n" not in str(error.value)


def test_pickled_adapters_too(tmp_path: Path) -> None:
    base = tiny_writer.save(tmp_path / "base")
    tiny_writer.tokenizer().save_pretrained(base)
    adapters = tmp_path / "adapters"
    adapters.mkdir()
    (adapters / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    torch.save({}, adapters / "adapter_model.bin")
    with pytest.raises(InputError, match=r"adapter_model\.bin can run code"):
        load_pretrained(adapters, "auto", "policy.base")


def test_an_encoder_that_brings_its_own_class_is_refused(trap: Path, tmp_path: Path) -> None:
    encoder = tiny.save_encoder(tmp_path / "encoder", width=16)
    modules = json.loads((encoder / "modules.json").read_text())
    modules[0]["type"] = "stranger_trap.Module"
    (encoder / "modules.json").write_text(json.dumps(modules))
    (encoder / "stranger_trap.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(InputError, match=r"names the class 'stranger_trap\.Module', which is code of its own"):
        TextEncoder.load(str(encoder))
    assert not trap.exists()


def test_a_model_that_brings_its_own_code_is_refused(tmp_path: Path) -> None:
    folder = tiny_writer.save(tmp_path / "writer")
    tiny_writer.tokenizer().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "stranger", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(InputError, match=r"policy\.base=.*cannot be loaded"):
        load_pretrained(folder, "auto", "policy.base")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer |= {"tokenizer_class": "Stranger", "auto_map": {"AutoTokenizer": ["code.T", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match=r"policy\.base=.*cannot be loaded"):
        load_tokenizer(folder, "policy.base")


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    found = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                found.append((file, node))
    return found


def test_every_loader_of_transformers_is_told_to_run_nothing() -> None:
    """A call that loads by name or folder hands on NO_CODE or WEIGHTS; nothing anywhere trusts remote code."""
    ours = {"Policy", "RewardModel", "Foreteller", "PeftModel", "cls"}
    for file, call in calls("from_pretrained"):
        owner = call.func.value  # type: ignore[attr-defined]
        if isinstance(owner, ast.Name) and owner.id in ours:
            continue
        spread = {
            keyword.value.id for keyword in call.keywords if isinstance(keyword.value, ast.Name) and not keyword.arg
        }
        assert spread & {"NO_CODE", "WEIGHTS"}, f"{file}:{call.lineno}"
    for file in (ROOT / "src").rglob("*.py"):
        assert "trust_remote_code=True" not in file.read_text(encoding="utf-8"), file
    assert not calls("load_module") and not [
        c for f, c in calls("load") if isinstance(c.func.value, ast.Name) and c.func.value.id in ("pickle", "torch")
    ]  # type: ignore[attr-defined]
