"""What may be said of paired differences in words: never more than their printed intervals show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tacit.metrics.results import Row, grouped
from tacit.report.page import EMULATED, interval, short

FEW = 20  # fewer cases than this say nothing
HIGHER, LOWER, OPEN, EQUAL = "Higher", "Lower", "Not told from zero", "Equal in every case"
_ORDER = (HIGHER, LOWER, OPEN, EQUAL)


def claim(row: Row, decimals: int | None = None) -> str:
    """Of a difference: HIGHER or LOWER where the interval, as it is printed, lies beside zero; else OPEN or EQUAL."""
    if row.value is None or row.ends is None:
        return OPEN
    if row.value == 0.0 and row.ends == (0.0, 0.0):
        return EQUAL
    low, high = (float(short(end, decimals).replace("−", "-").replace("\u202f", "")) for end in row.ends)
    return HIGHER if low > 0 else LOWER if high < 0 else OPEN


def few(row: Row) -> bool:
    return row.n < FEW


def cases_of(rows: Sequence[Row]) -> str:
    return f"{grouped(max((row.n for row in rows), default=0))} cases"


def signed(row: Row, decimals: int | None = None) -> str:
    """``+0.0041, 0.0010 to 0.0070``."""
    value = row.value or 0.0
    span = interval(row, decimals)
    return f"{'+' if value > 0 else ''}{short(value, decimals)}{', ' + span if span else ''}"


def sentence(rows: Sequence[tuple[str, Row]], decimals: int | None = None, joint: str = " in") -> str:
    """Every (name, difference), by what may be claimed of it: ``Higher in HR@5 (+0.01, …)``, a line a claim.

    Markup; the names are escaped here. ``joint`` stands between the claim and the names.
    """
    groups: dict[str, list[str]] = {}
    for name, row in rows:
        if row.value is not None:
            word = claim(row, decimals)
            number = "" if word == EQUAL else f" ({signed(row, decimals)})"
            groups.setdefault(word, []).append(escape(f"{name}{number}"))
    if set(groups) == {EQUAL} and len(groups[EQUAL]) > 1:
        return f"<strong>Equal</strong> in every case and every measure ({', '.join(groups[EQUAL])})"
    return ".<br>".join(
        f"<strong>{word}</strong>{':' if word == EQUAL else joint} {_joined(groups[word])}"
        for word in _ORDER
        if word in groups
    )


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def point(
    title: str,
    rows: Sequence[tuple[str, Row]],
    decimals: int | None = None,
    noun: str = "cases",
    joint: str = " in",
) -> str:
    """One line of a list: the title, how many cases, and the sentence; too few cases are said and nothing more."""
    measured = [(name, row) for name, row in rows if row.value is not None]
    if not measured:
        return ""
    n = max(row.n for _, row in measured)
    label = f" {EMULATED}" if any(row.emulated for _, row in measured) else ""
    head = f"<b>{escape(title)}</b> ({grouped(n)} {noun})"
    if n < FEW:
        return f"<li>{head}: too few to say anything.{label}</li>"
    words = {claim(row, decimals) for _, row in measured}
    style = "up" if HIGHER in words and LOWER not in words else "down" if LOWER in words and HIGHER not in words else ""
    return f'<li class="{style}">{head}<br>{sentence(measured, decimals, joint)}.{label}</li>'


def points(lines: Sequence[str]) -> str:
    return '<ul class="verdicts">' + "".join(lines) + "</ul>" if any(lines) else ""
