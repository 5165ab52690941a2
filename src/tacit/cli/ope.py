"""``tacit ope``: the verdict on stdout, the page and ope.json in a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tacit.offpolicy import page
from tacit.offpolicy.evaluate import HEADLINE, Evaluation, Settings, evaluate
from tacit.offpolicy.table import read_mapping
from tacit.offpolicy.targets import read_table
from tacit.run.terminal import printable


def of_table(table: Path, pairs: Sequence[str], target: Path | None, name: str, out: Path, settings: Settings) -> None:
    mapping = read_mapping(pairs)
    log = read_table(table, mapping, target)
    reward = mapping.get("reward") or mapping.get("slate_reward") or ("reward" if log.by_place else "slate_reward")
    tell(evaluate(log, settings, name, reward), out, str(table))


def tell(found: Evaluation, out: Path, log: str) -> None:
    """The verdict and why; where the rest stands."""
    report = page.write(out, found, log)
    print(printable(f"{found.verdict}: {found.target}"))
    for sentence in found.because:
        print(printable(f"  {sentence}"))
    print(printable(f"as served: {found.logged_value}"))
    for name in HEADLINE:
        if name in found.estimates:
            print(printable(f"{name}: {found.estimates[name]}"))
    print(printable(f"effective rounds: {found.diagnostics.ess:.0f} of {found.rounds}"))
    print(printable(f"{report}"), file=sys.stderr)
