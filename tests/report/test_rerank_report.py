"""The report of a small rerank run: every comparison stands in its first lines, with what may be claimed of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.metrics.results import Row, save_rows
from tacit.report.rerank.report import write_rerank_report

GAPS = (
    ("dlcm", "round 0", "base", 0.0960, 0.0089, 0.1456),
    ("dlcm", "round 1", "round 0", -0.0153, -0.0666, 0.0258),
    ("dlcm", "empty text", "round 0", -0.0300, -0.0500, -0.0100),
    ("listwise", "round 1", "catalogue texts", 0.0045, 0.000003, 0.0138),
    ("listwise", "round 0", "catalogue texts", 0.0, 0.0, 0.0),
)


def build(folder: Path, dataset: str = "own") -> Path:
    here = (dataset, "literal lists", "test users")
    rows = []
    for metric in ("NDCG", "MAP (KAR)"):
        for model, arm, value in (("bound", "oracle", 0.9), ("dlcm", "base", 0.4), ("dlcm", "round 0", 0.5)):
            rows.append(Row(*here, metric, 5, value, value - 0.1, value + 0.1, 263, model, 0, arm=arm))
        for model, arm, against, *numbers in GAPS:
            rows.append(Row(*here, metric, 5, *numbers, 263, model, 0, arm=arm, against=against))
    save_rows(folder / "results.json", rows)
    (folder / "evaluate").mkdir()
    (folder / "knowledge").mkdir()
    (folder / "knowledge" / "done.json").write_text("{}")
    card = {
        "protocol": {"data": dataset, "users": 943, "items": 1682, "test": {"users": 15, "lists": 2622}},
        "settings": {"length": 10},
        "round chosen on validation": {"dlcm": "round 1"},
        "standard deviations of NDCG@5": {},
    }
    (folder / "evaluate" / "card.json").write_text(json.dumps(card))
    return folder


def part(page: str, section: str) -> str:
    return page.split(f'<section id="{section}">')[1].split("</section>")[0]


def test_the_headline_names_every_comparison(tmp_path: Path) -> None:
    page = write_rerank_report(build(tmp_path), "Films & more").read_text(encoding="utf-8")
    assert "<h1>Films &amp; more</h1>" in page
    dlcm, listwise = part(page, "short").split("<b>listwise</b>")
    assert "<strong>Higher</strong>: round 0 against base (+0.0960, 0.0089 to 0.1456)" in dlcm
    assert "<strong>Lower</strong>: empty text against round 0 (−0.0300, −0.0500 to −0.0100)" in dlcm
    assert "<strong>Not told from zero</strong>: round 1 against round 0 (−0.0153, −0.0666 to 0.0258)" in dlcm
    assert (
        "<strong>Not told from zero</strong>: round 1 against catalogue texts (+0.0045, 0.0000 to 0.0138)" in listwise
    )
    assert "<strong>Equal in every case</strong>: round 0 against catalogue texts" in listwise


def test_levels_and_differences_stand_apart(tmp_path: Path) -> None:
    page = write_rerank_report(build(tmp_path)).read_text(encoding="utf-8")
    assert "dlcm · round 0 − base" in part(page, "results") and "oracle" not in part(page, "results")
    assert "bound · oracle" in part(page, "tables") and "round 0 − base" not in part(page, "tables")
    assert "943 users, 1\u202f682 items" in part(page, "data") and "2\u202f622" in part(page, "data")


@pytest.mark.parametrize(("dataset", "there"), [("own", False), ("ml-1m", True)])
def test_the_papers_numbers_stand_beside_its_own_data_alone(tmp_path: Path, dataset: str, there: bool) -> None:
    table = part(write_rerank_report(build(tmp_path, dataset)).read_text(encoding="utf-8"), "paper")
    assert ("NDCG@5, paper" in table) is there and ("0.771" in table) is there
    assert "ours: round 0" in table and "0.500" in table
