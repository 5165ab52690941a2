"""Small pieces of an HTML page: tables, notes, figures. Text is escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from tacit.metrics.results import DIFFERENCE, Row, grouped, in_order
from tacit.run.files import atomic_write


@dataclass(frozen=True)
class Cell:
    """A value and what stands small below it. ``bad`` is printed in red."""

    text: str
    small: str = ""
    bad: bool = False
    left: bool = False


EMULATED = '<span class="label">emulated</span>'
NAMES = {
    "sft": "SFT (before)",
    "ppo": "PPO (after)",
    DIFFERENCE: "PPO − SFT",
    "copy": "copy the context",
    "co-occurrence+copy": "co-occurrence + copy",
    "human": "people",
    "literal": "titles written as text",
}


def write(folder: Path, meta: str, lead: str, sections: Sequence[tuple[str, str, str]]) -> Path:
    """``report.html`` of a run folder; ``sections``: (anchor, title, body). All but the titles is markup."""
    template = Template(files("tacit.report").joinpath("report.html").read_text(encoding="utf-8"))
    content = template.substitute(
        title=escape(f"{folder.name}: Tacit report"),
        heading=escape(folder.resolve().name),
        meta=meta,
        lead=lead,
        contents=" ".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in sections),
        sections="\n".join(
            f'<section id="{name}"><h2>{escape(title)}</h2>{body}</section>' for name, title, body in sections
        ),
    )
    atomic_write(folder / "report.html", content)
    return folder / "report.html"


def table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], caption: str = "") -> str:
    """``rows``: (class of the row, cells); the first cell names the row. ``caption`` may hold markup."""
    above = f'<p class="caption">{caption}</p>' if caption else ""
    lines = ["<thead><tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr></thead><tbody>"]
    for style, cells in rows:
        lines.append(f'<tr class="{style}">' + "".join(map(_cell, cells)) + "</tr>")
    return f'{above}<div class="wide"><table>' + "\n".join(lines) + "</tbody></table></div>"


def _cell(cell: Cell) -> str:
    style = " ".join(name for name, on in (("bad", cell.bad), ("text", cell.left)) if on)
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return f'<td class="{style}">{escape(cell.text)}{small}</td>'


def model_table(rows: Sequence[Row], names: Sequence[str], caption: str) -> str:
    """One line a model, one column a metric, intervals below the values; PPO − SFT last."""
    cells = {(row.model, row.name): row for row in rows}
    present = [name for name in names if any(row.name == name for row in rows)]
    lines = []
    for model in in_order({row.model for row in rows if row.name in present}):
        style = "strong" if model in ("sft", "ppo") else "difference" if model == DIFFERENCE else ""
        lines.append((style, [Cell(NAMES.get(model, model)), *(value(cells.get((model, name))) for name in present)]))
    return table(["", *present], lines, caption)


def value(row: Row | None) -> Cell:
    if row is None or row.value is None:
        return Cell("")
    sign = "+" if row.model == DIFFERENCE and row.value > 0 else ""
    return Cell(f"{sign}{short(row.value)}", interval(row))


def interval(row: Row, decimals: int | None = None) -> str:
    if row.ci_low is None or row.ci_high is None:
        return ""
    return f"{short(row.ci_low, decimals)} to {short(row.ci_high, decimals)}"


def short(number: float, decimals: int | None = None) -> str:
    """Three decimals below 10, fewer above, unless told; a true minus sign."""
    if decimals is None and abs(number) >= 1000:
        text = grouped(round(number))
    else:
        places = decimals if decimals is not None else 3 if abs(number) < 10 else 1
        text = f"{number:.{places}f}"
    zero = text.lstrip("-").strip("0.") == ""
    return text.lstrip("-") if zero else text.replace("-", "−")


def missing(what: str, remedy: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(f"{what} {remedy}"))
    return f'<p class="missing">{text}</p>'


def alert(title: str, text: str) -> str:
    return f'<div class="alert"><b>{escape(title)}</b> {escape(text)}</div>'


def figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def details(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def pairs(values: Mapping[str, object], head: tuple[str, str], caption: str = "") -> str:
    rows = [("", [Cell(name), Cell(str(item), left=True)]) for name, item in values.items()]
    return table(head, rows, caption)
