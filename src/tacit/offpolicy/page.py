"""The report of an evaluation: one page that says in words what may be believed."""

from __future__ import annotations

import json
import math
from html import escape
from pathlib import Path

from tacit.metrics.intervals import Estimate
from tacit.metrics.results import grouped
from tacit.offpolicy.evaluate import NO_VERSION, Evaluation
from tacit.offpolicy.verdict import LEADING, percent
from tacit.report import page
from tacit.report.page import Cell, short
from tacit.run.files import atomic_write

FILE = "ope.json"
_LEAD = {
    "better": "“{target}” would have earned more than what was served, as far as this log can tell.",
    "worse": "“{target}” would have earned less than what was served, as far as this log can tell.",
    "not told apart": "This log does not tell “{target}” and what was served apart.",
    "insufficient evidence": "This log does not say what “{target}” would have earned.",
}
# Of each estimator, when it is right, and what to make of it.
READ = {
    "SNIPS": ("always, with support", "rests on least; leads"),
    "snRIPS": ("where people read from the top", "leads, for lists"),
    "cascade-DR": ("as snRIPS, whatever the reward model", "narrower where the model is good"),
    "snPI": ("where places add up and are drawn one without the other", "a second opinion"),
    "IIPS": ("where places do not influence each other", "a diagnostic"),
    "DM": ("where the reward model is right", "never decides; no interval knows the error of the model"),
    "IPS": ("always, with support", "for reference: swings with the largest weight"),
    "RIPS": ("as snRIPS", "for reference"),
    "PI": ("as snPI", "for reference"),
    "CIPS": ("where the click model is right", "for logs without chance"),
    "CDR": ("where the click model is right", "for logs without chance"),
}


def write(folder: Path, found: Evaluation, meta: str = "") -> Path:
    """``ope.json`` and ``report.html`` in ``folder``."""
    atomic_write(folder / FILE, json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")
    persons = f"{grouped(found.persons)} persons, " if found.persons else ""
    sessions = f"{grouped(found.sessions)} sessions, " if found.sessions else ""
    versions = "" if found.loggers == (NO_VERSION,) else f" of {', '.join(found.loggers)}"
    counts = f"{persons}{sessions}{grouped(found.rounds)} rounds{versions}; reward: {found.reward}"
    decides = {"both": "both intervals decide"}.get(found.primary, f"{found.primary} decides, named beforehand")
    sections = [
        ("estimates", "What it would have earned", _estimates(found)),
        ("weights", "What that rests on", _weights(found)),
        ("checks", "What was checked", _checks(found)),
    ]
    meta = f'<p class="meta">{escape(counts)}; {decides}{"; " + escape(meta) if meta else ""}</p>'
    return page.write(folder, meta, _lead(found), sections, title=f"Off-policy evaluation of {found.target}")


def _lead(found: Evaluation) -> str:
    style = {"better": "up", "worse": "down", "insufficient evidence": "down"}.get(found.verdict, "")
    said = escape(_LEAD[found.verdict].format(target=found.target))
    because = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.because)
    return (
        f'<ul class="verdicts"><li class="{style}"><b>{escape(found.verdict.capitalize())}.</b> {said}</li></ul>'
        f"<ul>{because}</ul>"
    )


def _estimates(found: Evaluation) -> str:
    names = [name for name in READ if name in found.estimates]
    rows = [("strong", [Cell("as served"), _value(found.logged_value), Cell("")])]
    for name in names:
        cells = [_value(found.estimates[name]), _value(found.differences[name], signed=True)]
        rows.append(("strong" if name in LEADING else "", [Cell(name), *cells]))
    caption = (
        "Reward a round, with 95 % intervals over persons (sessions, where persons are not known). Differences are "
        "paired: the same rounds. An interval knows chance alone, not a wrong assumption or probability."
    )
    if found.verdict == "insufficient evidence":
        caption = f"<b>Not to be believed, for the reasons above.</b> {caption}"
    meanings = [("", [Cell(name), *(Cell(words, left=True) for words in READ[name])]) for name in names]
    table = page.table(["", "value", "difference"], rows, caption)
    return table + page.table(["", "right", "use"], meanings, "When each estimator is right, and what it is for.")


def _weights(found: Evaluation) -> str:
    seen = found.diagnostics
    places = ", ".join(f"{ess:.0f}" for ess in seen.ess_by_place)
    tail = "not told" if seen.tail_index is None else f"{seen.tail_index:.2f}"
    values = {
        "effective rounds": f"{seen.ess:.0f} of {grouped(found.rounds)} ({percent(seen.ess_share)})",
        "up to each place": places,
        **{f"of version {name}": f"{ess:.0f}" for name, ess in seen.ess_by_version.items()},
        "largest weight": f"{percent(seen.max_weight_share)} of all weight",
        "weights, 99 % and 99.9 % below": f"{seen.weight_p99:.3g}, {seen.weight_p999:.3g}",
        "tail index (below 2: no variance)": tail,
        "hardly ever served": f"{percent(seen.unsupported_mass)} of what the policy would do",
        "mean weight (should be 1)": str(seen.mean_weight),
    }
    body = page.pairs(values, ("", ""))
    if seen.q_calibration:
        rows = [("", [Cell(short(p)), Cell(short(o)), Cell(grouped(n))]) for p, o, n in seen.q_calibration]
        table = page.table(["predicted", "earned", "places"], rows, "The reward model, by tenths of its predictions.")
        body += page.details("How good the reward model is", table)
    if seen.recount:
        counts = [("", [Cell(short(p)), Cell(short(e, 1)), Cell(short(o, 0))]) for p, e, o in seen.recount]
        table = page.table(
            ["probability", "expected", "drawn"], counts, "Items at the first place, where contexts repeat."
        )
        body += page.details("How often items were really drawn", table)
    return body


def _checks(found: Evaluation) -> str:
    words = {True: "holds", False: "fails", None: "not looked at"}
    rows = [
        ("", [Cell(name), Cell(words[check.passed], bad=check.passed is False), Cell(check.said, left=True)])
        for name, check in found.checks.items()
    ]
    return page.table(["", "", ""], rows)


def _value(estimate: Estimate, signed: bool = False) -> Cell:
    if not math.isfinite(estimate.value):
        return Cell("not told")
    ends, value = estimate.ends, _digits(estimate.value)
    sign = "+" if signed and estimate.value > 0 and value.strip("0.") else ""
    interval = f"{_digits(ends[0])} to {_digits(ends[1])}" if ends else "no interval"
    return Cell(sign + value, interval)


def _digits(number: float) -> str:
    """Small rewards, such as click rates of a few in a thousand, need more than three decimals."""
    return short(number, 5 if abs(number) < 0.1 else 3)
