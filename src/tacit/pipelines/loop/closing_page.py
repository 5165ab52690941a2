"""The page's part on whether people are served better: what ``closing`` found, in sentences and in a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tacit.metrics.results import grouped
from tacit.report.page import EMULATED, Cell, short, table

Told = dict[str, Any]


SAID = {1: "People are served better", -1: "People are served worse", 0: "That people are served better is not shown"}


def served_better(found: Told) -> tuple[bool | None, str]:
    """Does the version that is served in the end serve the same people better than the first? None: not told, or it
    was not promoted."""
    one = next((one for one in found["others"] if one["role"] != "refused"), None)
    if one is None:
        said = "Nothing was promoted, and every candidate was the first version over again"
        return None, f"{said}: nobody is served better."
    gain = one["gain"]["hidden utility"]
    among = f"of the same {grouped(found['people'])} people, whom no other step has met"
    if one["role"] == "not promoted":
        said = f"Nothing was promoted. The best candidate, not promoted ({one['name']}), beside the first version:"
        return None, f"{said} hidden utility {_with_ends(gain)}, {among}."
    sign = _sign(gain)
    said = f"{SAID[sign]}: hidden utility {_with_ends(gain)}, what is served in the end beside the first version"
    return {1: True, -1: False, 0: None}[sign], f"{said}, {among}."


def controls(found: Told) -> Iterator[tuple[bool | None, str]]:
    """Versions that were refused, and served the same people all the same: they must be seen to be worse."""
    for one in found["others"]:
        if one["role"] == "refused":
            gain = one["gain"]["hidden utility"]
            said = (
                f"As a control, the worst version that was refused: {_with_ends(gain)}, beside the first, of the same"
            )
            yield {-1: True, 0: None, 1: False}[_sign(gain)], f"{said} people."


def _sign(ends: Told) -> int:
    """1 or -1 where the whole interval is above or below zero."""
    return int((ends["low"] or 0.0) > 0.0) - int((ends["high"] or 0.0) < 0.0)


def _with_ends(ends: Told) -> str:
    if ends["low"] is None or ends["high"] is None:
        return f"{_signed(ends['value'])} (no interval)"
    return f"{_signed(ends['value'])} [{short(ends['low'])}, {short(ends['high'])}]"


def _signed(number: float) -> str:
    return ("+" if number > 0 else "") + short(number)


def section(found: Told) -> str:
    named = {
        "promoted": "served in the end",
        "not promoted": "best candidate, not promoted",
        "refused": "worst, refused",
    }
    everyone: list[tuple[str, Told, Told]] = [("served first", found["first"], {})]
    everyone += [(named[one["role"]], one, one["gain"]) for one in found["others"]]
    rows = []
    for name, one, gain in everyone:
        cells = [_level(one["hidden utility"]), _level(gain.get("hidden utility"), signed=True)]
        cells += [Cell(f"{one[key]['value']:.0%}") for key in ("accepted", "left")]
        rows.append(("strong" if one.get("role") == "promoted" else "", [Cell(name, one["version"][:8]), *cells]))
    caption = (
        f"Each version talked to the same {grouped(found['people'])} fresh people: the same tastes, patience, luck and "
        "opening words, met by no other step. Differences are paired by person; intervals are 95 %, over people. In "
        "one process, as the server draws, without its ε. "
    )
    head = ["version", "hidden utility", "beside the first", "accepted", "left"]
    return table(head, rows, caption + EMULATED)


def _level(ends: Told | None, signed: bool = False) -> Cell:
    if ends is None:
        return Cell("")
    interval = "" if ends["low"] is None else f"{short(ends['low'])} to {short(ends['high'])}"
    return Cell((_signed if signed else short)(ends["value"]), interval)
