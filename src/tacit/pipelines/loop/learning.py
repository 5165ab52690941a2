"""A candidate out of the log, by `tacit learn`; or one that is made by hand, to try the loop without learning."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tacit.dialogue.reward.verdict import ValidationReport
from tacit.labels.settings import LabelSettings
from tacit.pipelines.learn import rounds
from tacit.pipelines.learn.config import LearnConfig
from tacit.pipelines.learn.round import run_round
from tacit.pipelines.loop import candidates
from tacit.pipelines.loop.place import Loop, Told
from tacit.run.files import read_json

UNCAPPED = 10**9  # sessions an account may count as, where nothing is to be capped


def learn(loop: Loop, name: str) -> Told:
    """``until`` is when the log it was made from ends."""
    time.sleep(loop.config.label_window_s)
    if loop.config.learner == "log":
        return _from_log(loop)
    policy = candidates.scaled(loop.registry.path(loop.current), loop.folder / "candidates" / name, candidates.SHARPER)
    return {"policy": loop.within(policy), "until": 0, "exam": None, "by": "by hand: logits made sharper"}


def _from_log(loop: Loop) -> Told:
    """A round of its own, which goes on where it was killed."""
    made = rounds.once(_asked(loop), loop.folder / "start").folder
    told = read_json(made / "round.json", "delete the round's folder, and it is done again.")
    return {
        "policy": loop.within(made / "step" / "policy"),
        "until": told["labels"]["as_of"],
        # the other methods train on labels, and use no reward model
        "exam": ValidationReport.load(made / "reward" / "validation.json").passed
        if loop.config.learn.method == "ppo"
        else None,
        "by": f"tacit learn, {loop.config.learn.method}",
        "round": told,
    }


def without_cap(loop: Loop, name: str, until: int) -> Path:
    """What would have been learnt from the same log if an account counted as all of its sessions; never served."""
    asked = _asked(loop)
    all_count = replace(asked.labels, sessions_per_account=UNCAPPED)
    out = str(loop.folder / "uncapped" / name)
    run = run_round(replace(asked, labels=all_count, as_of=until, out=out), with_reward=False)
    return run.folder / "step" / "policy"


def _asked(loop: Loop) -> LearnConfig:
    policy = str(loop.registry.path(loop.current))
    return replace(loop.config.learn, store=str(loop.store), policy=policy, labels=labels(loop), seed=loop.config.seed)


def labels(loop: Loop) -> LabelSettings:
    return replace(loop.config.learn.labels, window_s=loop.config.label_window_s)
