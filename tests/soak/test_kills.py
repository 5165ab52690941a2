"""Kill -9 of a whole process group at random moments: what goes on ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from whole_runs import SYSTEMS, differing, finish

KILLS = int(os.environ.get("TACIT_SOAK_KILLS", "20"))
SEED = int(os.environ.get("TACIT_SOAK_SEED", "0") or 0)


def run(words: list[str], out: str) -> None:
    os.setpgrp()
    from tacit.cli.main import app

    app(["run", *words, f"out={out}"])


@pytest.mark.parametrize("system", SYSTEMS)
def test_killed_at_random_moments_a_run_ends_in_the_same_bits(system: str, tmp_path: Path) -> None:
    """The unkilled run is the command itself; those to be killed are forked from a process that has read the modules,
    so that time goes into the run and not into its start."""
    words = SYSTEMS[system](tmp_path / "data")
    began = time.monotonic()
    code, said = finish(words, tmp_path / "whole")
    whole_s = time.monotonic() - began
    assert code == 0, said
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tacit.pipelines.dialogue", "tacit.pipelines.rerank"])
    chance, kills, folders = random.Random(SEED), 0, 0
    while kills < KILLS or not folders:
        folders += 1
        folder = tmp_path / f"killed{folders}"
        while True:
            patience = chance.uniform(0.0, 0.15 * whole_s)
            child = context.Process(target=run, args=(words, str(folder)))
            child.start()
            child.join(patience if kills < KILLS else None)
            if child.exitcode is not None:
                break
            assert child.pid is not None
            while os.getpgid(child.pid) != child.pid:
                time.sleep(0.001)
            os.killpg(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
            stages = sorted(path.parent.name for path in folder.glob("*/done.json"))
            print(f"{system}: seed {SEED}, kill {kills} after {patience:.2f} s, done by then: {', '.join(stages)}")
        assert child.exitcode == 0
        assert differing(folder, tmp_path / "whole") == []
        print(f"{system}: folder {folders} is equal after {kills} kills")
        shutil.rmtree(folder)
