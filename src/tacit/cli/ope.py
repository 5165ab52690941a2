"""``tacit ope``: the verdict on stdout, the page and ope.json in a folder."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np

from tacit.events.store import Store, open_store
from tacit.metrics.intervals import Estimate
from tacit.offpolicy import page
from tacit.offpolicy.evaluate import Evaluation, Settings, evaluate
from tacit.offpolicy.rewards import Earned, Rewards
from tacit.offpolicy.served import Judged, judged, same_again, to_log
from tacit.offpolicy.table import READERS, judged_version, read_mapping
from tacit.offpolicy.targets import log_of, read_tables
from tacit.offpolicy.verdict import LEADING, Check, Primary, Rules
from tacit.run.terminal import printable
from tacit.types import InputError

if TYPE_CHECKING:  # a table needs neither torch nor a server
    from tacit.dialogue.policy.policy import Policy
    from tacit.serve.rebuild import Rebuilt
    from tacit.serve.registry import Registry

BATCH = 16  # turns that a policy reads at once
ASKED_AGAIN = 200  # turns of each policy that was served
UNOBSERVED = "turns whose reward was not observed, or not yet"


def rules_of(primary: str) -> Rules:
    if primary not in get_args(Primary):
        raise InputError(f"--primary {primary}: give one of {', '.join(get_args(Primary))}.")
    return Rules(primary=cast(Primary, primary))


def only_of(what: str, given: Mapping[str, object]) -> None:
    """``InputError`` where an option was given that would say nothing here."""
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{option} is for {what}: leave it out.")


def of_table(
    table: Path, pairs: Sequence[str], target: Path | None, name: str | None, out: Path, settings: Settings
) -> None:
    if table.is_dir() or (table.is_file() and table.suffix.lower() not in READERS):
        raise InputError(f"{table} is no table ({', '.join(READERS)}): of our own log, give --policy RUN to be judged.")
    mapping = read_mapping(pairs)
    tables = read_tables(table, mapping, target)
    log, name = log_of(tables), name or judged_version(tables) or "target"
    reward = mapping.get("reward") or mapping.get("slate_reward") or ("reward" if log.by_place else "slate_reward")
    tell(evaluate(log, settings, name, reward), out, str(table))


def of_store(
    where: str,
    run: Path,
    reward: str,
    labels: Path | None,
    state: Path | None,
    past_sessions: int,
    out: Path,
    settings: Settings,
) -> None:
    from tacit.cli.versions import registry_of
    from tacit.dialogue.policy.policy import Policy
    from tacit.run.network import quiet_progress_bars
    from tacit.serve.live import policy_folder
    from tacit.serve.versions import version_of

    quiet_progress_bars()
    registry = None if state is None else registry_of(state)
    if Path(where).is_dir():
        raise InputError(
            f"{where} is a folder: an export holds no words, and without them no policy can say what it would have "
            "done; give the log itself."
        )
    rewards, folder = Rewards(reward, labels), policy_folder(run)
    store, left_out = open_store(where), Counter[str]()
    policy = Policy.from_pretrained(folder)
    generator = np.random.default_rng(settings.seed)
    turns = list(judge(store, policy, rewards, past_sessions, left_out, generator))
    for why, count in sorted(left_out.items()):
        _say(f"left out: {count:,} {why}")
    log = to_log(turns)
    checks = {"asked again": asked_again(store, turns, registry, past_sessions)}
    tell(evaluate(log, settings, version_of(folder), rewards.name, checks), out, where)


def judge(
    store: Store,
    policy: Policy,
    rewards: Rewards | None,
    past_sessions: int,
    left_out: Counter[str],
    generator: np.random.Generator,
    version: str | None = None,
) -> Iterator[Judged]:
    """Turns of the log as the policy would take them, all or those of one ``version``; without ``rewards`` all earn
    nothing."""
    from tacit.serve.rebuild import answers, rebuilt

    def wanted() -> Iterator[tuple[Rebuilt, Earned]]:
        for turn in rebuilt(store, policy.catalog, past_sessions, left_out):
            earned = rewards.of(turn.record) if rewards else Earned()
            if version is not None and turn.record.exposure.policy_version != version:
                continue
            if earned is None:
                left_out[UNOBSERVED] += 1
                continue
            yield turn, earned

    found = wanted()
    while batch := list(islice(found, BATCH)):
        shares, logits = answers(policy, [turn.asked for turn, _ in batch])
        for (turn, earned), p, row in zip(batch, shares.tolist(), logits, strict=True):
            size, sampled = policy.config.slate_size, 8 if rewards else 1
            yield judged(turn.record, earned, p, row, policy.catalog, size, generator, sampled)


def asked_again(store: Store, turns: Sequence[Judged], registry: Registry | None, past_sessions: int) -> Check:
    """The policies that were served, as far as the registry has them, against their logged probabilities."""
    from tacit.dialogue.policy.policy import Policy

    if registry is None:
        return Check(None, "Without --state, the policies that were served are not asked again.")
    again = list[Judged]()
    for version in sorted({turn.record.exposure.policy_version for turn in turns}):
        if version not in registry.versions():
            continue
        served = Policy.from_pretrained(registry.path(version))
        theirs = judge(store, served, None, past_sessions, Counter(), np.random.default_rng(0), version)
        again += islice(theirs, ASKED_AGAIN)
    return same_again(again)


def tell(found: Evaluation, out: Path, log: str) -> None:
    """The verdict and why; where the rest stands."""
    report = page.write(out, found, log)
    print(printable(f"{found.verdict}: {found.target}"))
    for sentence in found.because:
        print(printable(f"  {sentence}"))
    print(f"as served: {_value(found.logged_value)}")
    for name in LEADING:
        if name in found.estimates:
            print(f"{name}: {_value(found.estimates[name])}")
    print(printable(f"effective rounds: {found.diagnostics.ess:.0f} of {found.rounds}"))
    _say(str(report))


def _value(estimate: Estimate) -> str:
    """Four digits that count: clicks a round may be few in a thousand."""
    if not math.isfinite(estimate.value):
        return "not told"
    ends = estimate.ends
    return f"{estimate.value:.4g} " + (f"[{ends[0]:.4g}, {ends[1]:.4g}]" if ends else "without an interval")


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
