"""Whole runs by torchrun, and conversations by a local Ray cluster: what one process makes, but for rounding."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from places import ROOT
from tiny_run import DEMO, TINY
from whole_runs import sentences

from tacit.run.folder import Stage

pytestmark = pytest.mark.integration

WORDS = [DEMO, *TINY, "ppo.group=3"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tacit"]
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'tacit-rec[ray]'"
)


def begin(*words: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, *words], text=True, start_new_session=True, env={**os.environ, "PYTHONPATH": paths}, **pipes
    )


def done(*words: str) -> str:
    """stdout of what must end well."""
    child = begin(*words)
    out, said = child.communicate(timeout=1800)
    assert child.returncode == 0, said
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "alone"
    done("-m", "tacit", "run", *WORDS, f"out={folder}")
    return folder


def like(one: Path, other: Path, stages: tuple[str, ...] = ("sft", "reward", "ppo")) -> None:
    """The same numbers in every row of metrics, but for rounding, and the same words in every conversation."""
    for name in stages:
        rows, others = (Stage(name, folder / name).log.rows() for folder in (one, other))
        assert len(rows) == len(others)
        for row, twin in zip(rows, others, strict=True):
            assert twin == pytest.approx(row, rel=1e-3, abs=1e-4, nan_ok=True)
    for path in sorted((one / "ppo" / "rollouts").iterdir()):
        table, twin = pl.read_parquet(path), pl.read_parquet(other / "ppo" / "rollouts" / path.name)
        for column in ("dialogue", "context", "reply", "slate", "ended"):
            assert table[column].to_list() == twin[column].to_list()
    for path in (one / "reward" / "logs").glob("*.jsonl"):
        assert (other / "reward" / "logs" / path.name).read_bytes() == path.read_bytes()


def test_two_processes_do_a_run_and_a_killed_one_goes_on_in_one(alone: Path, tmp_path: Path) -> None:
    assert done(*TORCHRUN, "run", *WORDS, f"out={tmp_path / 'two'}") == f"{tmp_path / 'two' / 'report.html'}\n"
    like(alone, tmp_path / "two")

    folder = tmp_path / "killed"
    child = begin(*TORCHRUN, "run", *WORDS, f"out={folder}")
    while not list((folder / "sft" / "checkpoints").glob("step-*")):
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.1)
    ranks = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    _, said = child.communicate(timeout=300)
    assert child.returncode != 0
    (sentence,) = sentences(said)
    assert "goes on" in sentence, sentence
    assert not (folder / "sft" / "done.json").exists()
    done("-m", "tacit", "run", str(folder))
    like(alone, folder)


def test_two_processes_that_hold_the_language_model_in_parts_do_the_same_run(alone: Path, tmp_path: Path) -> None:
    done(*TORCHRUN, "run", *WORDS, "sharding=always", f"out={tmp_path / 'parts'}")
    like(alone, tmp_path / "parts")


def test_what_one_process_does_is_refused_in_one_sentence(tmp_path: Path) -> None:
    child = begin(*TORCHRUN, "chat", str(tmp_path))
    _, said = child.communicate(timeout=300)
    assert child.returncode != 0
    assert sentences(said) == ["tacit: `tacit chat` is the work of one process: start it without torchrun."]


@needs_ray
def test_two_ray_workers_play_what_one_process_does(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    shutil.copytree(alone, folder)
    for name in ("reward", "ppo", "evaluate", "report.html"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for stage in ("reward", "ppo"):
        done("-m", "tacit", stage, str(folder), "rollout.ray_workers=2")
    like(alone, folder, ("reward", "ppo"))
