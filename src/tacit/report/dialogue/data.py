"""The report's first section: what the run was given."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tacit.metrics.results import grouped
from tacit.report import page
from tacit.report.dialogue.sources import source_of
from tacit.report.page import Cell
from tacit.report.run_files import RunFiles

COUNTS = ("dialogues", "turns", "agent turns", "agent turns that recommend", "users", "items")
PARTS = {"train": "training", "valid": "validation", "test": "test"}
MEANING = {
    "dwell": "how long the user looked",
    "scroll depth": "how far the user scrolled",
    "clicks": "which items were clicked",
    "latency": "how long the user took to answer",
    "sentiment": "the mood of the answer, stored with the turn",
    "accepted": "whether an item was taken",
    "left": "whether the user went away",
    "time of the turn": "when it was said",
    "propensities": "how likely the shown items were",
    "liked": "the user's own word on a shown item",
}


def your_data(run: RunFiles) -> str:
    name = escape(run.dataset)
    if not run.data:
        done = run.prepared
        if not done:
            return page.missing(f"{run.dataset}: nothing was prepared yet.", "Run `tacit run`.")
        sizes = f"{done.get('train')} training and {done.get('valid')} validation dialogues, {done.get('items')} items"
        return f"<p>{name}: {escape(sizes)}. This run was prepared before signals were counted.</p>"
    parts = {title: run.data[part] for part, title in PARTS.items() if part in run.data}
    counts = [("", [Cell(what), *(Cell(_count(card.get(what))) for card in parts.values())]) for what in COUNTS]
    whole = f"{name}, {grouped(run.data['items'])} items in the catalogue. " if "items" in run.data else f"{name}. "
    if source_of(run).invented:
        whole += "The demo's world is made up: dialogues, items and users were generated, nobody said any of it. "
    return page.table(["", *parts], counts, f"{whole}Items below are those mentioned or shown.") + _signals(parts)


def _signals(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Shares of agent turns; what was never observed is one line."""
    observed = {title: card.get("observed") or {} for title, card in parts.items()}
    names = list(dict.fromkeys(name for shares in observed.values() for name in shares))
    seen = [name for name in names if any(shares.get(name) for shares in observed.values())]
    never = [name for name in names if name not in seen]
    lines = [
        ("", [Cell(name, MEANING.get(name, "")), *(Cell(_percent(shares.get(name))) for shares in observed.values())])
        for name in seen
    ]
    caption = "Share of agent turns with each signal of what the user did: the feedback that a reward can learn from."
    table = page.table(["", *parts], lines, caption) if lines else ""
    if never:
        table += f"<p>Never observed in this data: {escape(', '.join(never))}.</p>"
    return table


def _count(value: int | None) -> str:
    return "" if value is None else grouped(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
