"""``tacit rerank protocol``: the card of a list protocol, and its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tacit.data.ratings.sources import load_ratings
from tacit.metrics.intervals import Estimate
from tacit.metrics.lists import METRICS
from tacit.pipelines.rerank import load_config
from tacit.rerank.evaluate.bounds import Row, bounds, sort_variants
from tacit.rerank.lists.lists import IN_WORDS, build
from tacit.run.terminal import printable

_HEAD = {"kar_map": "MAP@5 (KAR)", "standard_map": "MAP@5", "ndcg": "NDCG@5", "consumed_ndcg": "NDCG@5 consumed"}


def protocol(config_file: str, overrides: Sequence[str], every_order: bool) -> None:
    """Print the card and the rows on the test lists, as Markdown."""
    config = load_config(config_file, overrides)
    ratings = load_ratings(config.data)
    if every_order:
        for variant in sort_variants(ratings, config.lists):
            print(f"## {ratings.name}, {IN_WORDS['kar_lists']}, {variant.rule} order\n")
            print(_table(variant.rows), "\n")
        return
    split, test, card = build(ratings, replace(config.lists))
    print(f"## {ratings.name}\n")
    print("\n".join(printable(f"- {name}: {value}") for name, value in card.items()), "\n")
    print(_table(bounds(split, test.lists)))


def _table(rows: Sequence[Row]) -> str:
    """Values with their 95 % intervals over test users."""
    names = [name for name in METRICS if name in _HEAD]
    lines = ["| | " + " | ".join(_HEAD[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        lines.append(f"| {row.name} | " + " | ".join(_cell(row.values[name]) for name in names) + " |")
    return "\n".join(lines)


def _cell(estimate: Estimate) -> str:
    ends = estimate.ends
    interval = f"[{ends[0]:.3f}, {ends[1]:.3f}]" if ends else f"not told ({estimate.groups} test users)"
    return f"{estimate.value:.3f} {interval}"
