"""``tacit baseline``: a ranker that a reviewer asks for, on the same data and validation, as a run file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tacit.data import fingerprint
from tacit.data.dialogues.sources import load_test, load_training
from tacit.dialogue.evaluate.baselines.table import BASELINES, BaselineConfig, Inputs
from tacit.dialogue.evaluate.protocols import cases, contexts
from tacit.dialogue.evaluate.run_files import write_run_file
from tacit.pipelines.dialogue import load_config
from tacit.run import config as settings
from tacit.run.folder import commit
from tacit.run.stages import settle
from tacit.run.terminal import printable
from tacit.types import InputError


def baseline(name: str, run: str, overrides: Sequence[str]) -> None:
    """Write RUN/baselines/NAME. ``overrides``: settings of the baseline (``sasrec.width=32``) and of the run."""
    if name not in BASELINES:
        raise InputError(f"there is no baseline {name!r}: choose of {', '.join(BASELINES)}.")
    own = tuple(f"{key}." for key in asdict(BaselineConfig()))
    config = load_config(run, [word for word in overrides if not word.startswith(own)])
    mine = settings.load(BaselineConfig, None, [word for word in overrides if word.startswith(own)])
    settle("cpu", config.threads)
    catalog, split = load_training(config.data)
    test = load_test(config.data)
    fingerprint.require_same(Path(config.out), fingerprint.of_training(catalog, split) | fingerprint.of_test(test))
    found = cases(test, catalog)
    folder = Path(config.out) / "baselines"
    asked = [group[0].context for group in contexts(found)]
    built = BASELINES[name](Inputs(catalog, split, asked, mine, folder, config.seed))
    made: dict[str, Any] = {"commit": commit(), "chosen": built.chosen, "validation": dict(built.validation)}
    made["settings"] = asdict(mine).get(name, {})
    what = found, test, catalog, config.data.label, config.seed, config.evaluate.batch
    write_run_file(folder / name, name, built.score, *what, made=made)
    print(printable(folder / name))
