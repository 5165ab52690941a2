"""Small pieces of an HTML page: tables, notes, figures. Text is escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from string import Template

from tacit.metrics.results import Row, grouped, in_order
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
    "sft+recommend": "SFT, made to recommend in every turn",
    "sft+recommend+likeliest": "SFT, made to recommend its likeliest items",
    "ppo": "PPO (after)",
    "ppo+recommend+likeliest": "PPO, made to recommend its likeliest items",
    "copy": "copy the context",
    "co-occurrence+copy": "co-occurrence + copy",
    "human": "the replies of the data",
    "literal": "titles written as text",
}
_SHORT = {"sft": "SFT", "ppo": "PPO"}
_IN_DIFFERENCES = _SHORT | {
    "sft+recommend": "SFT recommending always",
    "sft+recommend+likeliest": "SFT recommending its likeliest",
    "ppo+recommend+likeliest": "PPO recommending its likeliest",
}


def write(folder: Path, meta: str, lead: str, sections: Sequence[tuple[str, str, str]], title: str = "") -> Path:
    """``report.html`` of a run folder; ``sections``: (anchor, title, body). All but the titles is markup.

    ``title`` stands in place of the folder's name.
    """
    template = Template(files("tacit.report").joinpath("report.html").read_text(encoding="utf-8"))
    content = template.substitute(
        title=escape(title or f"{folder.resolve().name}: Tacit report"),
        heading=escape(title or folder.resolve().name),
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
    left = [cell.left for cell in rows[0][1]] if rows else []
    names = [f'<th class="{"text" if on else ""}">{escape(name)}</th>' for name, on in zip_longest(head, left)]
    lines = ["<thead><tr>" + "".join(names) + "</tr></thead><tbody>"]
    for style, cells in rows:
        lines.append(f'<tr class="{style}">' + "".join(map(_cell, cells)) + "</tr>")
    return f'{above}<div class="wide"><table>' + "\n".join(lines) + "</tbody></table></div>"


def _cell(cell: Cell) -> str:
    style = " ".join(name for name, on in (("bad", cell.bad), ("text", cell.left)) if on)
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return f'<td class="{style}">{escape(cell.text)}{small}</td>'


def difference_name(model: str, against: str) -> str:
    """``PPO − SFT``, ``PPO − popularity``."""
    return " − ".join(_IN_DIFFERENCES.get(name, NAMES.get(name, name)) for name in (model, against))


def model_table(
    rows: Sequence[Row], names: Sequence[str], caption: str, called: Mapping[str, str] | None = None
) -> str:
    """One line a model, one column a metric, intervals below the values; the differences last.

    ``called``: names of models that are not those of ``NAMES``.
    """
    titles = NAMES | dict(called or {})
    present = [name for name in names if any(row.name == name for row in rows)]
    shown = [row for row in rows if row.name in present]
    cells = {(row.model, row.against, row.name): row for row in shown}
    levels = [(model, "") for model in in_order({row.model for row in shown if not row.against})]
    pairs = [(row.model, row.against) for row in shown if row.against]
    lines = []
    for model, against in dict.fromkeys([*levels, *pairs]):
        line = [cells.get((model, against, name)) for name in present]
        name = difference_name(model, against) if against else titles.get(model, model)
        style = "difference" if against else "strong" if model in _SHORT else ""
        lines.append((style, [Cell(name), *map(value, line)]))
    return table(["", *present], lines, caption)


def metric_table(rows: Sequence[Row], names: Sequence[str], caption: str) -> str:
    """The same turned round, for few models and many metrics: one line a metric, one column a model."""
    shown = [row for row in rows if row.name in names]
    cells = {(row.model, row.against, row.name): row for row in shown}
    levels = [(model, "") for model in in_order({row.model for row in shown if not row.against})]
    columns = list(dict.fromkeys([*levels, *((row.model, row.against) for row in shown if row.against)]))
    titles = [difference_name(*column) if column[1] else NAMES.get(column[0], column[0]) for column in columns]
    lines = [
        ("", [Cell(name), *(value(cells.get((*column, name))) for column in columns)])
        for name in names
        if any(row.name == name for row in shown)
    ]
    return table(["", *titles], lines, caption)


def value(row: Row | None) -> Cell:
    if row is None or row.value is None:
        return Cell("")
    sign = "+" if row.against and row.value > 0 else ""
    return Cell(f"{sign}{short(row.value)}", interval(row))


def interval(row: Row, decimals: int | None = None) -> str:
    """``0.001 to 0.007``, ``not told (3 seekers)``, or nothing where no interval was asked for."""
    ends = row.ends
    return f"{short(ends[0], decimals)} to {short(ends[1], decimals)}" if ends else row.not_told


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
