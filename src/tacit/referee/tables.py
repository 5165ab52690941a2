"""A verdict as tables for the terminal, and as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tacit.metrics.markdown import markdown
from tacit.metrics.results import Combined, Row
from tacit.referee.candidates import write_candidates
from tacit.referee.cases import cases
from tacit.referee.form import CONTEXTS, RUN, SCORES
from tacit.referee.judge import Verdict
from tacit.referee.published import Published, beside
from tacit.referee.replies import PROTOCOL as REPLIES
from tacit.run.files import atomic_write, sha256

FILE = "referee.json"
HEADLINES = ("HR@1", "HR@5", "HR@10", "HR@50", "NDCG@10", "MRR@10")
LISTS = ("coverage@10", "Gini@10", "novelty@10", "diversity@10")
SLICES = ("all", "new", "repeated", "liked")


def terminal(verdict: Verdict, slices: Sequence[str] = SLICES) -> str:
    """Markdown: the headline metrics by protocol and slice, published numbers below those they stand beside, lists,
    replies, leaks and remarks. Everything else is in the JSON file."""
    parts = []
    for protocol in verdict.protocols:
        mine = [row for row in verdict.rows if row.protocol == protocol.name]
        for slice in slices:
            rows = [row for row in mine if row.slice == slice and row.name in HEADLINES]
            if not rows:
                continue
            parts.append(_table(rows))
            datasets = dict.fromkeys(row.dataset for row in rows)
            parts += [_published(found) for data in datasets if (found := beside(data, protocol, slice))]
        parts += _tables(row for row in mine if row.slice.startswith("lists") and row.name in LISTS)
    parts += _tables(row for row in verdict.rows if row.protocol == REPLIES and "distinct-" not in row.metric)
    for system, findings in verdict.leaks.items():
        parts.append(f"**leaks, {system}**\n\n" + "\n".join(f"- {finding}" for finding in findings))
    parts += ["\n".join(f"- {remark}" for remark in verdict.remarks)] if verdict.remarks else []
    return "\n\n".join(parts) + "\n"


def _tables(rows: Iterator[Row]) -> Iterator[str]:
    found = list(rows)
    for slice in dict.fromkeys(row.slice for row in found):
        yield _table([row for row in found if row.slice == slice])


def _table(rows: Sequence[Row]) -> str:
    combined = [Combined(row, (row.value,), (row.seed,)) for row in rows if row.value is not None]
    return markdown(combined).strip().split("\n\n", 1)[-1] if combined else ""


def _published(found: Sequence[Published]) -> str:
    told = [f"{row.source}{f'; {row.note}' if row.note else ''}" for row in found]
    sources = list(dict.fromkeys(told))
    lines = ["published under the same protocol:", "", "| system | " + " | ".join(HEADLINES) + " | source |"]
    lines.append("|---" * (len(HEADLINES) + 2) + "|")
    for row, source in zip(found, told, strict=True):
        values = [f"{row.values[name]:.4g}" if name in row.values else "" for name in HEADLINES]
        lines.append(f"| {row.system} | {' | '.join(values)} | {1 + sources.index(source)} |")
    return "\n".join([*lines, "", *(f"{number}. {source}" for number, source in enumerate(sources, start=1))])


def save(verdict: Verdict, folder: Path, seed: int) -> Path:
    """``referee.json``, and ``candidates-<protocol>.jsonl`` for every sampled protocol."""
    content = {
        "systems": {name: _file(verdict, name) for name in verdict.systems},
        "rows": [asdict(row) for row in verdict.rows],
        "published": [
            {"protocol": protocol.name, **asdict(row)}
            for protocol in verdict.protocols
            for data in dict.fromkeys(run.dataset for run in verdict.systems.values())
            for slice in dict.fromkeys(row.slice for row in verdict.rows)
            for row in beside(data, protocol, slice)
        ],
        "leaks": {system: [asdict(finding) for finding in findings] for system, findings in verdict.leaks.items()},
        "remarks": verdict.remarks,
    }
    atomic_write(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    scored = [run for run in verdict.systems.values() if run.scores is not None]
    keys = list(dict.fromkeys(key for run in scored for key in cases(run).keys))  # the first file's come first
    for protocol in verdict.protocols:
        if lists := verdict.lists.get(protocol.name):
            path = folder / f"candidates-{protocol.name}.jsonl"
            ours = {key: lists[key] for key in keys if key in lists}
            write_candidates(path, protocol, seed, ours, len(scored[0].catalog))
    return folder / FILE


def _file(verdict: Verdict, name: str) -> dict[str, Any]:
    """What was judged, with hashes of what the numbers come from."""
    run = verdict.systems[name]
    hashes = {file: sha256(run.folder / file) for file in (RUN, CONTEXTS, SCORES) if (run.folder / file).is_file()}
    return {
        "folder": str(run.folder),
        "dataset": run.dataset,
        "items": len(run.catalog),
        "contexts": len(run.contexts),
        "cases": sum(len(context.gold) for context in run.contexts),
        "made": dict(run.made),
        "sha256": hashes,
    }
