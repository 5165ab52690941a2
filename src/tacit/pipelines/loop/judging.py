"""What the log says of a candidate, as ``tacit ope`` does, on turns that it has not learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tacit.dialogue.policy.policy import Policy
from tacit.events.schema import Exposure
from tacit.events.store import Store
from tacit.offpolicy import page
from tacit.offpolicy.evaluate import Evaluation, Settings, evaluate
from tacit.offpolicy.rewards import Earned, Rewards
from tacit.offpolicy.served import Judged, judged, same_again, to_log
from tacit.pipelines.learn.exposures import is_held_out
from tacit.serve.rebuild import Rebuilt, answers, rebuilt
from tacit.serve.registry import Registry
from tacit.serve.settings import Settings as Serving
from tacit.text.encoder import TextEncoder
from tacit.types import InputError

BATCH = 16


@dataclass(frozen=True)
class Unseen:
    """Whom a candidate has not learnt from: who came after the log was read that it was made of, at ``until_ms``, and
    the share ``held_out`` of all people, whom a round of learning keeps apart."""

    until_ms: int
    held_out: float

    def __contains__(self, exposure: Exposure) -> bool:
        return exposure.created_ms > self.until_ms or is_held_out(exposure.user, self.held_out)


def judge(
    store: Store,
    rewards: Rewards,
    registry: Registry,
    version: str,
    unseen: Unseen,
    out: Path,
    settings: Settings,
    encoders: dict[str, TextEncoder] | None = None,
) -> Evaluation:
    """On turns of ``unseen`` people that the current version drew and that earned something or nothing, as far as it
    was observed; the current version must get the probabilities back that were logged. ``encoders``: of
    ``Policy.several``."""
    current = registry.current()
    if current is None:
        raise InputError(f"{registry.folder} has no current version: nothing was served.")
    candidate, served = Policy.several((registry.path(name) for name in (version, current)), encoders)
    past = Serving().past_sessions

    def turns(policy: Policy) -> Iterator[tuple[Rebuilt, Earned]]:
        for turn in rebuilt(store, policy.catalog, past, Counter()):
            exposure, earned = turn.record.exposure, rewards.of(turn.record)
            if exposure.policy_version == current and exposure in unseen and earned is not None:
                yield turn, earned

    checks = {"asked again": same_again(_judged(served, turns(served), settings.seed))}
    log = to_log(_judged(candidate, turns(candidate), settings.seed))
    found = evaluate(log, settings, version, rewards.name, checks)
    page.write(out, found, str(store.path or "the log"))
    return found


def _judged(policy: Policy, turns: Iterator[tuple[Rebuilt, Earned]], seed: int) -> list[Judged]:
    generator, found = np.random.default_rng(seed), list[Judged]()
    while batch := list(islice(turns, BATCH)):
        shares, logits = answers(policy, [turn.asked for turn, _ in batch])
        for (turn, earned), p, row in zip(batch, shares.tolist(), logits, strict=True):
            size = policy.config.slate_size
            found.append(judged(turn.record, earned, p, row, policy.catalog, size, generator))
    return found
