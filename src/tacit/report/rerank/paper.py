"""The tables and the figure of RLRF4Rec's paper (arXiv 2410.05939) with a run's own numbers in them.

The paper's lists are not ours (docs/protocol-reranking.md), so its numbers stand beside ours for the differences
between rows, not for their level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from tacit.metrics.results import Row
from tacit.report import figures, page
from tacit.report.figures import FIRST, SECOND, THIRD, Line, Panel
from tacit.report.page import Cell, short

METRICS = ("MAP (KAR)", "NDCG")
# Table I; its rows are Table II's too. {data: {ranker: {row: (MAP@5, NDCG@5)}}}
PAPER = {
    "ml-1m": {
        "dlcm": {"base": (0.72815, 0.77053), "KAR": (0.73482, 0.77622), "RLRF4Rec": (0.73952, 0.77942)},
        "prm": {"base": (0.73471, 0.77558), "KAR": (0.74082, 0.78171), "RLRF4Rec": (0.74542, 0.78529)},
    },
    "amazon-books": {
        "dlcm": {"base": (0.63823, 0.66078), "KAR": (0.65794, 0.68434), "RLRF4Rec": (0.66563, 0.69310)},
        "prm": {"base": (0.63808, 0.65896), "KAR": (0.66707, 0.69481), "RLRF4Rec": (0.67360, 0.70131)},
    },
}
ABLATION = {"base": "without knowledge", "KAR": "without DPO", "RLRF4Rec": "whole"}  # Table II's names of the same rows


def paper_title(dataset: str) -> str:
    return "The paper's tables, beside ours" if dataset in PAPER else "The rows of the paper's tables"


def paper_tables(rows: Sequence[Row], chosen: Mapping[str, str]) -> str:
    """Tables I and II as one, and Figure 4. ``chosen``: for each ranker the round that validation users chose."""
    if not any(chosen.values()):
        return page.missing("No round of alignment was run.", "Set `align.rounds`.")
    cells = {(row.model, row.arm, row.metric): row for row in rows if not row.against}
    paper = PAPER.get(rows[0].dataset, {})
    lines = []
    for ranker, last in chosen.items():
        for name, arm in (("base", "base"), ("KAR", "round 0"), ("RLRF4Rec", last)):
            theirs = paper.get(ranker, {}).get(name, ())
            ours = [page.value(cells.get((ranker, arm, metric))) for metric in METRICS]
            beside = [Cell(short(value)) for value in theirs] if theirs or not paper else [Cell(""), Cell("")]
            lines.append(("", [Cell(f"{ranker.upper()} · {name}", f"{ABLATION[name]}; ours: {arm}"), *ours, *beside]))
    head = ["", "MAP@5, ours", "NDCG@5, ours", *(["MAP@5, paper", "NDCG@5, paper"] if paper else [])]
    caption = "KAR's MAP@5. The round of RLRF4Rec is the one that validation users chose."
    if paper:
        caption += (
            " The paper reads its best round off the test curve and tells no variance. Its lists are others: compare "
            "differences, not levels."
        )
    return page.table(head, lines, caption) + page.figure(
        _over_rounds(rows, list(chosen)),
        "The paper's Figure 4: test users, round by round; round 0 is the writer before any.",
    )


def _over_rounds(rows: Sequence[Row], rankers: Sequence[str]) -> str:
    """NDCG@5 and MAP@5 of every ranker over the rounds."""
    panels = []
    for metric in METRICS:
        lines = []
        for ranker, shade in zip(rankers, cycle((SECOND, FIRST, THIRD)), strict=False):
            points = {
                int(row.arm.removeprefix("round ")): row.value
                for row in rows
                if (row.model, row.metric, row.against) == (ranker, metric, "")
                and row.arm.startswith("round ")
                and row.value is not None
            }
            lines.append(Line(ranker.upper(), list(points), list(points.values()), shade))
        panels.append(Panel(f"{metric}@5", lines))
    return figures.curves(panels, "rounds", columns=2, xlabel="round")
