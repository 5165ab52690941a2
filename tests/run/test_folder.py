from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tacit.run.files import sha256
from tacit.run.folder import (
    Checkpoints,
    MetricLog,
    Run,
    atomic_folder,
    atomic_write,
    pack_optimizer,
    pack_rng,
    progress,
    unpack_optimizer,
    unpack_rng,
)
from tacit.types import InputError


def weights(step: int) -> dict[str, torch.Tensor]:
    return {"w": torch.full((64,), float(step)), "half": torch.tensor([step], dtype=torch.bfloat16)}


def filled(folder: Path, steps: tuple[int, ...] = (1, 2, 3)) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(step, weights(step), {"step": step, "third": 1 / 3})
    return checkpoints


def test_the_last_two_are_kept_and_read_back_exactly(tmp_path: Path) -> None:
    checkpoints = filled(tmp_path / "c")
    assert checkpoints.steps() == [3, 2]
    latest = checkpoints.latest()
    assert latest is not None and latest.step == 3
    assert latest.state == {"step": 3, "third": 1 / 3}
    assert torch.equal(latest.tensors["w"], weights(3)["w"])
    assert latest.tensors["half"].dtype == torch.bfloat16
    assert not list((tmp_path / "c").glob(".*"))


def test_none_when_nothing_was_saved(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "nothing").latest() is None


def test_tied_and_transposed_tensors_are_written_as_their_values(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    Checkpoints(tmp_path).save(1, {"a": matrix, "b": matrix, "c": matrix.T}, {})
    latest = Checkpoints(tmp_path).latest()
    assert latest is not None
    assert torch.equal(latest.tensors["b"], matrix) and torch.equal(latest.tensors["c"], matrix.T)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_refused_and_the_previous_taken(
    tmp_path: Path, name: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = filled(tmp_path)
    path = tmp_path / "step-00000003" / name
    if harm == "remove":
        path.unlink()
    elif harm == "truncate" or name == "manifest.json":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        flip(path)
    with caplog.at_level(logging.WARNING, "tacit"):
        latest = checkpoints.latest()
    assert latest is not None and latest.step == 2
    assert str(path) in caplog.text


def test_saving_again_after_a_fallback_replaces_the_damaged_and_the_later(tmp_path: Path) -> None:
    checkpoints = filled(tmp_path, (10, 20, 30))
    flip(tmp_path / "step-00000030" / "state.json")
    checkpoints.save(25, weights(25), {})
    assert checkpoints.steps() == [25, 20]
    checkpoints.save(25, weights(26), {})
    latest = checkpoints.latest()
    assert latest is not None and latest.tensors["w"][0] == 26


SAVER = """
import sys, torch
from tacit.run.folder import Checkpoints, MetricLog
checkpoints, log = Checkpoints(sys.argv[1] + "/c"), MetricLog(sys.argv[1] + "/m.jsonl")
latest = checkpoints.latest()
step = latest.step if latest else 0
assert step == 0 or torch.equal(latest.tensors["w"], torch.full((20000,), float(step)))
log.truncate(step)
print("ready", flush=True)
while True:
    step += 1
    log.append(step, loss=1 / step)
    checkpoints.save(step, {"w": torch.full((20000,), float(step))}, {"step": step})
"""


def test_kill_at_any_moment_leaves_a_whole_checkpoint_and_whole_lines(tmp_path: Path) -> None:
    last = 0
    for delay_s in (0.001, 0.013, 0.03):
        child = subprocess.Popen([sys.executable, "-c", SAVER, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        while child.poll() is None and last >= max(Checkpoints(tmp_path / "c").steps(), default=0):
            time.sleep(0.001)  # until it has saved at least once more
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        latest = Checkpoints(tmp_path / "c").latest()
        step = latest.step if latest else 0
        assert step > last
        last = step
        log = MetricLog(tmp_path / "m.jsonl")
        assert [row["step"] for row in log.rows()][:step] == list(range(1, step + 1))


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_sentence_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = filled(tmp_path / "c", (1,))
    atomic_write(tmp_path / "a.json", "old")
    log = MetricLog(tmp_path / "m.jsonl")
    log.append(1, loss=2.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        for write in (
            lambda: checkpoints.save(2, weights(2), {}),
            lambda: atomic_write(tmp_path / "a.json", "new"),
            lambda: log.append(2, loss=1.0),
            lambda: Run.open(tmp_path / "run", "seed: 0\n", 0),
        ):
            with pytest.raises(InputError, match=r"disk is full while writing .*free some space"):
                write()
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-00000001"]
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert not list(tmp_path.glob("**/*.part"))


def test_safetensors_own_full_disk_error_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def refuse(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("tacit.run.checkpoint.save_file", refuse)
    with pytest.raises(InputError, match="disk is full"):
        Checkpoints(tmp_path).save(1, weights(1), {})


def test_atomic_folder_replaces_or_leaves(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_folder(target) as part:
        (part / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target) as part:
        (part / "a").write_text("2")
        raise RuntimeError
    assert (target / "a").read_text() == "1"
    with atomic_folder(target) as part:
        (part / "b").write_text("3")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"abc")
    assert sha256(tmp_path / "t") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def train(steps: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
    for _ in range(steps):
        loss = model(torch.randn(4, 3, generator=generator)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def parts(seed: int) -> tuple[torch.nn.Linear, torch.optim.AdamW, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    groups = [{"params": [model.weight], "lr": 0.03}, {"params": [model.bias], "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.95)), generator


def test_optimizer_and_generator_continue_bit_for_bit(tmp_path: Path) -> None:
    straight = parts(0)
    train(7, *straight)

    model, optimizer, generator = parts(0)
    train(3, model, optimizer, generator)
    tensors, state = pack_optimizer(optimizer)
    saved = {**{f"model.{name}": value for name, value in model.state_dict().items()}, **tensors}
    Checkpoints(tmp_path).save(3, saved, {"optimizer": state, "rng": pack_rng(generator)})

    checkpoint = Checkpoints(tmp_path).latest()
    assert checkpoint is not None
    model, optimizer, generator = parts(1)  # everything different before it is restored
    model.load_state_dict({name: checkpoint.tensors[f"model.{name}"] for name in model.state_dict()})
    unpack_optimizer(optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
    unpack_rng(checkpoint.state["rng"], generator)
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)
    train(4, model, optimizer, generator)

    for ours, theirs in zip(model.parameters(), straight[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    packed, expected = pack_optimizer(optimizer), pack_optimizer(straight[1])
    assert packed[1] == expected[1]
    assert all(torch.equal(packed[0][name], expected[0][name]) for name in expected[0])


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_generators_survive_json(bits: type[np.random.BitGenerator]) -> None:
    ours, theirs = np.random.Generator(bits(3)), torch.Generator().manual_seed(3)
    ours.normal(size=3)
    torch.rand(3, generator=theirs)
    packed = json.loads(json.dumps(pack_rng(ours, theirs)))
    expected = ours.normal(size=5), torch.rand(5, generator=theirs)
    again, torch_again = np.random.Generator(bits(9)), torch.Generator()
    unpack_rng(packed, again, torch_again)
    assert np.array_equal(again.normal(size=5), expected[0])
    assert torch.equal(torch.rand(5, generator=torch_again), expected[1])
    with pytest.raises(ValueError, match="2 generator states"):
        unpack_rng(packed, again)


def test_metrics_are_truncated_on_resume_and_a_half_line_is_dropped(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "metrics.jsonl")
    for step in range(1, 6):
        log.append(step, loss=torch.tensor(0.5), share=np.float64(0.25), names=("a",))
    with open(log.path, "a") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in log.rows()] == [1, 2, 3, 4, 5]
    MetricLog(log.path).append(6, loss=float("nan"))
    assert log.rows()[-1] == {"step": 6, "loss": None}
    log.truncate(3)
    assert log.rows()[-1] == {"step": 3, "loss": 0.5, "share": 0.25, "names": ["a"]}
    log.append(4, loss=1.0)
    assert [row["step"] for row in log.rows()] == [1, 2, 3, 4]


def test_a_run_is_opened_again_only_with_its_own_settings(tmp_path: Path) -> None:
    folder = tmp_path / "demo-seed0"
    run = Run.open(folder, "seed: 0\nppo:\n  lr: 1.0\nreward:\n  force: false\n", 0)
    record = json.loads((folder / "run.json").read_text())
    assert record["seed"] == 0 and record["commit"] and record["versions"]["torch"]
    before = (folder / "run.json").read_bytes()
    Run.open(folder, "seed: 0\nppo:\n  lr: 1.0\nreward:\n  force: false\n", 0)
    assert (folder / "run.json").read_bytes() == before

    with pytest.raises(InputError, match=r"made with ppo.lr=1.0 and you ask for ppo.lr=2.0.*out="):
        Run.open(folder, "seed: 0\nppo:\n  lr: 2.0\nreward:\n  force: false\n", 0)
    Run.open(folder, "seed: 0\nppo:\n  lr: 1.0\nreward:\n  force: true\n", 0, may_change=["reward.force"])
    assert "force: true" in (folder / "config.yaml").read_text()
    later = json.loads((folder / "run.json").read_text())["later"]
    assert later[0]["settings"] == {"reward.force": [False, True]}
    assert run.stage("sft").folder == folder / "sft"


def test_a_stage_is_done_when_its_mark_is_written(tmp_path: Path) -> None:
    stage = Run.open(tmp_path / "r", "seed: 0\n", 0).stage("sft")
    assert not stage.done() and stage.summary() == {}
    stage.log.append(1, loss=1.0)
    stage.finish({"ndcg@5": np.float32(0.5), "nothing": float("nan")})
    assert stage.done() and stage.summary() == {"ndcg@5": 0.5, "nothing": None}


def test_progress_prints_plain_lines_when_not_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.run.progress._EVERY_S", 0.0)
    with progress(2, "sft") as bar:
        bar.advance(note="loss 1.50")
        bar.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("sft: 1/2 (50%), ") and lines[0].endswith("left, loss 1.50")
    assert lines[-1].startswith("sft: done in")


CONFIG = "seed: 0\nlr: 0.1\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'{"later": 3, "commit": "x"}'])
def test_a_damaged_run_json_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    Run.open(tmp_path / "run", CONFIG, 0)
    (tmp_path / "run" / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.json"):
        Run.open(tmp_path / "run", CONFIG, 0)
    (tmp_path / "run" / "run.json").unlink()  # the remedy
    Run.open(tmp_path / "run", CONFIG, 0)


@pytest.mark.parametrize("content", [b"", b"seed: [", b"\xff\xfe\x00", b"- 1\n", b"word"])
def test_a_damaged_config_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    Run.open(tmp_path / "run", CONFIG, 0)
    (tmp_path / "run" / "config.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.yaml is damaged"):
        Run.open(tmp_path / "run", CONFIG, 0)


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"\xff"])
def test_a_damaged_summary_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    stage = Run(tmp_path, 0).stage("sft")
    stage.finish({"loss": 1.0})
    (stage.folder / "done.json").write_bytes(content)
    with pytest.raises(InputError, match=r"done\.json is damaged.*delete .*sft to do the stage again"):
        stage.summary()


@pytest.mark.parametrize("line", [b"{", b"7", b"null", b"{}", b'{"step": "a"}', b"\xff\x00"])
def test_a_damaged_metric_names_its_line(tmp_path: Path, line: bytes) -> None:
    log = MetricLog(tmp_path / "metrics.jsonl")
    log.append(1, loss=2.0)
    with open(log.path, "ab") as file:
        file.write(line + b"\n")
    log.append(2, loss=1.0)
    with pytest.raises(InputError, match=r"metrics\.jsonl line 2 is damaged"):
        log.rows()


def test_another_torch_or_instruction_set_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Run.open(tmp_path, CONFIG, 0)
    record = json.loads((tmp_path / "run.json").read_text())
    record["versions"]["torch"], record["instructions"] = "0.0.1", "m68k"
    (tmp_path / "run.json").write_text(json.dumps(record))
    with caplog.at_level("WARNING", logger="tacit"):
        Run.open(tmp_path, CONFIG, 0)
        assert "torch 0.0.1 and goes on with" in caplog.text and "instructions m68k" in caplog.text
        caplog.clear()
        Run.open(tmp_path, CONFIG, 0)
        assert not caplog.text
