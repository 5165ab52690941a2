"""``tacit users check``: simulated users against what real people did next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.data.dialogues.sources import load_test, load_training
from tacit.dialogue.users.acts import ACTS, Decision, decisions
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.fairness import SIMULATED, Scores, best, broken, check_all, simulated, trivial
from tacit.dialogue.users.iard import Agreement, agreement
from tacit.metrics.intervals import Estimate
from tacit.pipelines.dialogue import load_config
from tacit.run.files import atomic_write
from tacit.run.folder import commit
from tacit.types import Dialogue, InputError

FEWEST = 50  # moments below which a table tells nothing


def check(
    path: str, overrides: Sequence[str], test: bool, most: int, iard: Path | None, to: Path | None
) -> Iterator[str]:
    """Lines of Markdown."""
    config = load_config(path, overrides)
    catalog, split = load_training(config.data)
    people = _some(load_test(config.data).dialogues if test else split.valid, most, config.seed)
    train, moments = _moments(split.train, catalog), _moments(people, catalog)
    if min(len(train), len(moments)) < FEWEST:
        raise InputError(
            f"{path}: {len(train)} and {len(moments)} replies to an agent, and a check needs {FEWEST} of training and "
            "of other people: give more dialogues, or --test."
        )
    world = UserWorld.fit(catalog, split.train, config.users, config.seed)
    plain = trivial(train)
    predictors = {SIMULATED: simulated(world, config.seed), **plain, **broken(world, config.seed)}
    rows = check_all(predictors, best(plain, train), moments, config.seed)
    read = agreement(iard, {dialogue.id for dialogue in people}) if iard else None
    seekers = len({moment.seeker for moment in moments})
    yield from _page(
        rows, read, moments, f"{'test' if test else 'validation'}: {len(people)} dialogues, {seekers} seekers"
    )
    if to:
        record = _record(rows, read, moments, config.seed, test)
        atomic_write(to, json.dumps(record, indent=1) + "\n")


def _some(dialogues: Sequence[Dialogue], most: int, seed: int) -> Sequence[Dialogue]:
    if not 0 < most < len(dialogues):
        return dialogues
    chosen = np.random.default_rng([seed, 30]).choice(len(dialogues), size=most, replace=False)
    return [dialogues[i] for i in sorted(chosen.tolist())]


def _moments(dialogues: Sequence[Dialogue], catalog: Catalog) -> list[Decision]:
    return [moment for dialogue in dialogues for moment in decisions(dialogue, catalog)]


def _page(rows: Sequence[Scores], read: Agreement | None, moments: Sequence[Decision], side: str) -> Iterator[str]:
    done = Counter(moment.act for moment in moments)
    yield f"{side}, {len(moments)} moments; acts: " + ", ".join(f"{act} {done[act] / len(moments):.3f}" for act in ACTS)
    yield ""
    yield "| | log loss | against the best trivial | Brier | accuracy | macro-F1 | calibration error | accepts | latency, Spearman | needs the future |"  # noqa: E501
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        cells = [row.name, _cell(row.log_loss), _cell(row.against, "+"), _cell(row.brier), _cell(row.accuracy)]
        cells += [_cell(row.macro_f1), f"{row.gap:.3f}", f"{row.accepts:.3f}", _cell(row.latency), f"{row.future:.0%}"]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield f"People accepted {done['accept'] / len(moments):.3f} of the time."
    ours, trivial_row = rows[0], next(row for row in rows if row.against is None)
    assert ours.against is not None
    if ours.against.low > 0:
        yield f"**The simulated users foretell acts worse than `{trivial_row.name}`.**"
    elif ours.against.high < 0:
        yield f"The simulated users foretell acts better than `{trivial_row.name}`, the best trivial guess."
    else:
        yield f"The simulated users foretell acts about as well as `{trivial_row.name}`."
    if read:
        yield ""
        yield f"Acts read from words, on {read.replies} replies of {read.dialogues} dialogues that IARD labels: {read}"


def _cell(estimate: Estimate | None, sign: str = "") -> str:
    if estimate is None:
        return "–"
    if estimate.ends is None:
        return f"{estimate.value:{sign}.3f}"
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def _record(
    rows: Sequence[Scores], read: Agreement | None, moments: Sequence[Decision], seed: int, test: bool
) -> dict[str, Any]:
    return {
        "commit": commit(),
        "seed": seed,
        "side": "test" if test else "validation",
        "moments": len(moments),
        "acts": dict(Counter(moment.act for moment in moments)),
        "rows": [asdict(row) for row in rows],
        "read": asdict(read) if read else None,
    }
