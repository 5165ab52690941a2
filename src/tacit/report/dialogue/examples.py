"""Example conversations: one simulated user with both policies, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl

from tacit.report.page import NAMES, short

ENDS = {
    "accepted": "The simulated user takes an item of this slate.",
    "left": "The user leaves.",
    "cut": "Cut at the turn limit.",
}


def examples(sft: pl.DataFrame, ppo: pl.DataFrame, titles: Mapping[str, str]) -> str:
    """The user PPO helped most, the median one, and the one it hurt most."""
    parts = []
    for heading, user, before, after in chosen(sft, ppo):
        change = f"hidden utility {short(before)} before, {short(after)} after"
        parts.append(f"<h3>{escape(heading)}: {escape(change)}</h3><div class='pair'>")
        for model, table in (("sft", sft), ("ppo", ppo)):
            rows = table.filter(pl.col("dialogue") == user).sort("step").to_dicts()
            parts.append(f"<div><h4>{escape(NAMES[model])}</h4>{conversation(rows, titles)}</div>")
        parts.append("</div>")
    return "".join(parts)


def chosen(sft: pl.DataFrame, ppo: pl.DataFrame) -> list[tuple[str, str, float, float]]:
    """(heading, dialogue, hidden utility before, after), by the paired difference; ties go to the first id."""
    totals = [
        table.group_by("dialogue").agg(
            pl.col("hidden_total" if "hidden_total" in table.columns else "hidden_utility").mean().alias("h")
        )
        for table in (sft, ppo)
    ]
    both = (
        totals[0]
        .join(totals[1], on="dialogue")
        .with_columns(gain=pl.col("h_right") - pl.col("h"))
        .sort("gain", "dialogue")
    )
    if both.is_empty():
        return []
    places = {"Helped most": both.height - 1, "The median": both.height // 2, "Hurt most": 0}
    picked: list[tuple[str, str, float, float]] = []
    for heading, place in places.items():
        row = both.row(place, named=True)
        if row["dialogue"] not in [user for _, user, *_ in picked]:
            picked.append((heading, row["dialogue"], float(row["h"]), float(row["h_right"])))
    return picked


def conversation(rows: list[dict[str, Any]], titles: Mapping[str, str], most: int = 6) -> str:
    """One row a step: what the user had said since the last reply, then the reply with its slate."""
    parts: list[str] = []
    told = 0
    for row in rows[:most]:
        lines = utterances(row["context"])
        for speaker, text in lines[told:]:
            if speaker == "user":
                parts.append(f'<div class="turn user">{escape(text)}</div>')
        told = len(lines) + 1  # the next context begins with these and this reply
        items = "".join(f"<li>{escape(titles.get(item, item))}</li>" for item in row["slate"])
        slate = f"<ol>{items}</ol>" if items else ""
        parts.append(f'<div class="turn agent">{escape(row["reply"] or "(says nothing)")}{slate}</div>')
    end = ENDS.get(str(rows[-1]["ended"]), "") if rows else ""
    if len(rows) > most:
        end = f"{len(rows) - most} more turns. {end}"
    return "".join(parts) + f'<div class="turn"><span class="end">{escape(end)}</span></div>'


def utterances(context: str) -> list[tuple[str, str]]:
    """The ``user: …`` and ``agent: …`` lines of a logged context; other lines continue the one before."""
    found: list[tuple[str, str]] = []
    for line in context.split("\n"):
        speaker, colon, text = line.partition(": ")
        if colon and speaker in ("user", "agent"):
            found.append((speaker, text))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line}")
    return found
