"""The referee's page: one HTML file of a verdict, with the same scores under every protocol first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tacit.referee.judge import Verdict
from tacit.referee.protocols import Protocol
from tacit.referee.published import Published, beside
from tacit.referee.replies import PROTOCOL as REPLIES
from tacit.referee.tables import HEADLINES
from tacit.report import page
from tacit.report.page import Cell, table

_LEAD = (
    "Every number here is computed from run files alone, ties counted against the system. A number belongs to its "
    "protocol: read the first table along its lines."
)


def write_page(verdict: Verdict, folder: Path, title: str = "") -> Path:
    """``folder``/report.html."""
    sections = [
        ("protocols", "The same scores under each protocol", _side_by_side(verdict)),
        *((one.name, f"Protocol {one.name}", _protocol(verdict, one)) for one in verdict.protocols),
        ("replies", "Replies", _replies(verdict)),
        ("leaks", "Leaks", _leaks(verdict)),
        ("files", "What was judged", _files(verdict)),
    ]
    datasets = ", ".join(dict.fromkeys(run.dataset for run in verdict.systems.values()))
    present = [(name, heading, body) for name, heading, body in sections if body]
    return page.write(folder, escape(datasets), _LEAD, present, title or f"Referee: {', '.join(verdict.systems)}")


def _side_by_side(verdict: Verdict) -> str:
    """HR@1 and HR@10 of each system, a column a protocol and slice."""
    body = ""
    for name in ("HR@1", "HR@10"):
        rows = [row for row in verdict.rows if row.name == name and not row.against and row.slice in ("all", "new")]
        columns = list(dict.fromkeys((row.protocol, row.slice) for row in rows))
        cells = {(row.model, row.protocol, row.slice): row for row in rows}
        lines = [
            ("", [Cell(system), *(page.value(cells.get((system, *column))) for column in columns)])
            for system in verdict.systems
        ]
        if columns:
            head = ["", *(f"{protocol}, {slice}" for protocol, slice in columns)]
            body += table(head, lines, f"{name}, 95 % intervals")
    return body


def _protocol(verdict: Verdict, protocol: Protocol) -> str:
    """A table a slice, headline metrics first, the rest folded; published numbers below those they stand beside."""
    rows = [row for row in verdict.rows if row.protocol == protocol.name]
    body = ""
    for slice in dict.fromkeys(row.slice for row in rows):
        mine = [row for row in rows if row.slice == slice]
        first = mine[0]
        caption = escape(f"{slice}: {first.candidates}, n = {max(row.n for row in mine)}")
        shown = page.model_table(mine, HEADLINES, caption, {system: system for system in verdict.systems})
        others = [column for column in dict.fromkeys(row.name for row in mine) if column not in HEADLINES]
        rest = page.model_table(mine, others, caption, {system: system for system in verdict.systems})
        headlines = any(row.name in HEADLINES for row in mine)
        body += shown + page.details("every other number", rest) if headlines else rest
        for data in dict.fromkeys(row.dataset for row in mine):
            body += _published(beside(data, protocol, slice))
    return body


def _published(found: Sequence[Published]) -> str:
    if not found:
        return ""
    lines = [
        (
            "",
            [
                Cell(row.system),
                *(Cell(page.short(row.values[name]) if name in row.values else "") for name in HEADLINES),
                Cell("; ".join(part for part in (row.source, row.note) if part), left=True),
            ],
        )
        for row in found
    ]
    return page.details("published under the same protocol", table(["", *HEADLINES, "source"], lines))


def _replies(verdict: Verdict) -> str:
    rows = [row for row in verdict.rows if row.protocol == REPLIES]
    names = list(dict.fromkeys(row.name for row in rows))
    caption = "BLEU × 100. No two of these formulas may be compared with each other."
    return page.metric_table(rows, names, caption) if rows else ""


def _leaks(verdict: Verdict) -> str:
    body = ""
    for system, findings in verdict.leaks.items():
        lines = [
            (
                "",
                [
                    Cell(finding.name),
                    Cell("not known" if finding.count is None else f"{finding.count} of {finding.of}"),
                    Cell(finding.note or "; ".join(finding.examples), left=True),
                ],
            )
            for finding in findings
        ]
        body += table([system, "found", "such as"], lines)
    return body


def _files(verdict: Verdict) -> str:
    lines = [
        (
            "",
            [
                Cell(system),
                Cell(run.folder.name, left=True),
                Cell(str(len(run.catalog))),
                Cell(str(len(run.contexts))),
                Cell(str(sum(len(context.gold) for context in run.contexts))),
                Cell("; ".join(f"{key}: {value}" for key, value in run.made.items()), left=True),
            ],
        )
        for system, run in verdict.systems.items()
    ]
    notes = "".join(f"<p>{escape(remark)}</p>" for remark in verdict.remarks)
    return table(["system", "folder", "items", "contexts", "cases", "made by"], lines) + notes
