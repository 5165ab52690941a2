"""Ctrl-C and SIGTERM on the real command: one sentence, the shell's exit code, nothing half written, it goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import DEMO, TINY

from tacit.cli.stopping import Stopped, tell
from tacit.run.processes import processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
COMMAND = [sys.executable, "-m", "tacit.cli.main"]


def start(*arguments: str) -> subprocess.Popen[str]:
    """In a group of its own, and with signals as a terminal gives them, whatever this process ignores."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def stopped_at(process: subprocess.Popen[str], there: Callable[[], bool], number: signal.Signals) -> tuple[int, str]:
    """(exit code, stderr) of a process that gets the signal as soon as something is ``there``."""
    while process.poll() is None and not there():
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate()
    return process.returncode, told


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.suffix in (".part", ".old")]


def test_a_run_that_is_stopped_anywhere_says_so_leaves_nothing_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    points = [
        (signal.SIGINT, lambda: (run / "run.json").exists()),
        (signal.SIGTERM, lambda: any((run / "sft").glob("checkpoints/step-*"))),
        (signal.SIGINT, lambda: any((run / "reward" / "logs").glob("*"))),
        (signal.SIGTERM, lambda: any((run / "ppo" / "rollouts").glob("*"))),
    ]
    for number, there in points:
        code, told = stopped_at(start("run", DEMO, f"out={run}", *TINY), there, number)
        assert code == 128 + number, told
        assert told.splitlines()[-1] == "tacit: stopped; the same command goes on" and "Traceback" not in told, told
        assert told.count("tacit: stopped") == 1 and not unfinished(tmp_path), unfinished(tmp_path)
    ended = subprocess.run([*COMMAND, "run", DEMO, f"out={run}", *TINY], capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and (run / "report.html").is_file(), ended.stderr
    assert "sft: done already" in ended.stderr and not unfinished(tmp_path)


def test_commands_that_begin_again_promise_nothing(tiny_run: Path) -> None:
    process = start("chat", str(tiny_run))
    assert process.stderr is not None
    greeting = process.stderr.readline()  # it waits for a person now
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert "An empty line ends" in greeting
    assert process.returncode == 130 and told.splitlines()[-1] == "tacit: stopped"


def test_the_sentence_and_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(Stopped(signal.SIGTERM), goes_on=True) == 143
    assert tell(KeyboardInterrupt(), goes_on=False) == 130
    assert capsys.readouterr().err == "tacit: stopped; the same command goes on\ntacit: stopped\n"


def test_workers_end_with_the_parent_that_is_stopped() -> None:
    """Without waiting for what they are at."""
    with pytest.raises(KeyboardInterrupt), processes(1) as pool:
        pool.submit(time.sleep, 1e6)
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()
