"""Rows of results printed as Markdown, and the names that their lines carry in print."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.metrics.results import CUTOFFS, MODELS, Combined, Row, grouped


def line_name(row: Row) -> str:
    """What a row's line is called in print: ``sft``, ``ppo − sft``, ``dlcm · base``, ``dlcm · round 0 − base``."""
    name = " · ".join(part for part in (row.model, row.arm) if part)
    return f"{name} − {row.against}" if row.against else name


def markdown(combined: Sequence[Combined]) -> str:
    """Tables for a document: mean ± sd over seeds, or the value and its 95 % interval for a single seed."""
    sections = []
    for dataset in dict.fromkeys(entry.row.dataset for entry in combined):
        mine = [entry for entry in combined if entry.row.dataset == dataset]
        sections.append(f"## {dataset}")
        for place in dict.fromkeys((entry.row.protocol, entry.row.slice) for entry in mine):
            entries = [entry for entry in mine if (entry.row.protocol, entry.row.slice) == place]
            sections.append(_table(entries))
    return "\n\n".join(sections) + "\n"


def _table(entries: Sequence[Combined]) -> str:
    first = entries[0]
    names = list(dict.fromkeys(entry.row.name for entry in entries))
    ranking = first.row.k is not None
    if ranking:
        order = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in CUTOFFS]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    candidates = " or ".join(dict.fromkeys(entry.row.candidates for entry in entries)) if ranking else ""
    parts = [first.row.slice, candidates, f"n={grouped(max(e.row.n for e in entries))}"]
    parts += [f"{len(first.seeds)} seed{'s' if len(first.seeds) > 1 else ''}"]
    rows = [entry.row for entry in entries]
    parts += [resampled(rows)] if len(first.seeds) == 1 and any(row.unit for row in rows) else []
    parts += ["**emulated**: simulated users"] if first.row.emulated else []
    lines = [f"**{first.row.protocol}** ({', '.join(part for part in parts if part)})", ""]
    lines += ["| model | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    by_cell = {(line_name(entry.row), entry.row.name): entry for entry in entries}
    for line in dict.fromkeys(line_name(entry.row) for entry in sorted(entries, key=_place)):
        cells = [cell(by_cell.get((line, name))) for name in names]
        lines.append("| " + " | ".join([line.replace("|", r"\|"), *cells]) + " |")  # a name may hold a bar
    return "\n".join(lines)


def _place(entry: Combined) -> tuple[bool, int]:
    """Differences last, models in their order; sorting is stable, so that arms stay as they were measured."""
    model = entry.row.model
    return bool(entry.row.against), MODELS.index(model) if model in MODELS else len(MODELS)


def cell(entry: Combined | None) -> str:
    if entry is None:
        return ""
    sign = "+" if entry.row.against and entry.mean > 0 else ""
    if len(entry.values) > 1:
        return f"{sign}{number(entry.mean)} ± {number(entry.sd)}"
    ends = entry.row.ends
    interval = f" [{number(ends[0])}, {number(ends[1])}]" if ends else f" {entry.row.not_told}"
    return f"{sign}{number(entry.mean)}{interval}".rstrip()


def resampled(rows: Sequence[Row]) -> str:
    """``95 % intervals over 97 seekers``: what the intervals of these rows resample."""
    units = [unit for unit in dict.fromkeys(row.unit for row in rows) if unit]
    sizes = {unit: max(row.clusters for row in rows if row.unit == unit) for unit in units}
    names = [f"{grouped(size)} {unit}" if size else unit for unit, size in sizes.items()]
    return f"95 % intervals over {' and '.join(names)}" if names else "no intervals"


def number(value: float) -> str:
    """Four decimals below 1, fewer above: 0.0312, 2.41, 63."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
