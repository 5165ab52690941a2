"""Scoring wishes: facts alone decide; short lists of satisfying items, turns without a slate, lists that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from wish_catalogs import books, films
from wish_shops import goods, novels

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.wish_lists import SHIPPED, Facts, read_cases
from tacit.dialogue.evaluate.wish_templates import TEMPLATES, generate
from tacit.dialogue.evaluate.wishes import popular, satisfied_share, score_lists, share_interval, within_wish
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.types import InputError

CATALOG = films()


def write(folder: Path, *rows: object) -> Path:
    file = folder / "list.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_facts_decide_and_unknown_attributes_hold_nothing() -> None:
    facts = Facts(CATALOG)
    ok = facts.satisfies([{"genre": ["comedy", "western"]}, {"year": [1960, 1985]}], [{"genre": ["horror"]}])
    assert np.flatnonzero(ok).tolist() == [2, 4]
    assert np.flatnonzero(facts.satisfies([{"director|star": ["lee marsh"]}], [])).tolist() == [0, 4, 8]
    assert facts.satisfies([], [{"genre": ["drama"]}])[12] and not facts.satisfies([{"year": [0, 3000]}], [])[12]


def test_a_title_and_words_of_the_text_are_facts() -> None:
    facts = Facts(novels())
    bees = facts.satisfies([{"text": ["bees", "space station"]}], [])
    assert [facts.catalog.items[row].title for row in np.flatnonzero(bees)] == ["Orbit of Bees"]
    assert not facts.satisfies([{"text": ["bee", "space stations"]}], []).any()  # words as they stand
    assert facts.satisfies([{"title": ["teeth"]}, {"genre": ["horror"]}], []).sum() == 1


LIBRARY = Catalog.load(Path(__file__).parents[2] / "fixtures/library.jsonl")


@pytest.mark.parametrize(
    ("name", "catalog"),
    [("goods", goods()), ("novels", novels()), ("library-development", LIBRARY), ("library", LIBRARY)],
)
def test_wishes_for_what_is_no_film(name: str, catalog: Catalog) -> None:
    cases, left_out = read_cases(Path(__file__).parents[2] / f"fixtures/wishes-{name}.jsonl", catalog)
    reader = WishReader(catalog)
    shares = [satisfied_share(within_wish(case, reader, 5), case, 5) for case in cases]
    by_popularity = [satisfied_share(popular(case, catalog, 5), case, 5) for case in cases]
    assert len(cases) == 15 and left_out == 0
    assert np.mean(shares) > 0.87 and np.mean(by_popularity) < 0.4


def test_shares_by_hand(tmp_path: Path) -> None:
    wish = {"id": "x", "turns": ["a western"], "want": [{"genre": ["western"]}]}
    (case,), _ = read_cases(write(tmp_path, wish), CATALOG)
    assert satisfied_share((), case, 2) == 0.0  # no slate
    assert satisfied_share((4, 0), case, 2) == 1.0  # one exists, and it is shown
    assert satisfied_share((0, 1), case, 2) == 0.0
    wish = {"id": "y", "turns": ["a comedy"], "want": [{"genre": ["comedy"]}], "avoid_items": ["Laugh Factory (1996)"]}
    (case,), _ = read_cases(write(tmp_path, wish), CATALOG)
    assert satisfied_share((2, 11), case, 2) == 0.5


def test_what_was_named_satisfies_nothing_and_the_impossible_is_left_out(tmp_path: Path) -> None:
    shown = {"text": "This?", "shown": ["Dust and Spurs (1968)"]}
    rows = [
        {"id": "named", "turns": ["a western", shown, "seen it"], "want": [{"genre": ["western"]}]},
        {"id": "unknown", "turns": ["like Heat"], "avoid_items": ["Heat (1995)"]},
        {"id": "good", "turns": ["a war film"], "want": [{"genre": ["war"]}]},
    ]
    cases, left_out = read_cases(write(tmp_path, *rows), CATALOG)
    assert [case.id for case in cases] == ["good"] and left_out == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "must be a JSON object"),
        ({"id": "x", "turns": []}, "ends with the user's words"),
        ({"id": "x", "turns": ["a"], "want": {"genre": "x"}}, "'want' of a wish must be a list"),
        ({"id": "x", "turns": ["a"], "want": [{"year": [1, 2, 3]}]}, "a list of strings, or two numbers"),
        ({"id": "x", "turns": ["a"], "wants": []}, "unknown key 'wants'"),
        ({"turns": ["a"]}, "'id' of a wish"),
    ],
)
def test_a_bad_line_is_named(row: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_cases(write(tmp_path, {"id": "ok", "turns": ["a comedy"]}, row), CATALOG)
    assert "list.jsonl:2" in str(error.value)


def test_wishes_are_made_for_any_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.dialogue.evaluate.wish_templates._COMMON", 1)
    for catalog in (CATALOG, books()):
        cases = generate(catalog, 40, seed=0)
        assert len(cases) > 20 and all(case.satisfies.any() for case in cases)
        again = generate(catalog, 40, seed=0)
        assert [c.context for c in cases] == [c.context for c in again]
        other = generate(catalog, 40, seed=1)
        assert [c.context for c in cases] != [c.context for c in other]
        reader = WishReader(catalog)
        parsed = [satisfied_share(within_wish(case, reader, 1), case, 1) for case in cases]
        plain = [satisfied_share(popular(case, catalog, 1), case, 1) for case in cases]
        assert np.mean(parsed) > 0.9 > np.mean(plain)
    assert len(TEMPLATES) == 10


def test_rows_of_every_list_without_a_policy(tmp_path: Path) -> None:
    rows = [{"id": f"w{n}", "turns": ["a comedy"], "want": [{"genre": ["comedy"]}]} for n in range(6)]
    cases, _ = read_cases(write(tmp_path, *rows), CATALOG)
    scored = score_lists({"mine": cases}, {}, CATALOG, 2, seed=0)
    assert [(row.model, row.share.value, row.share.n) for row in scored] == [
        ("popularity within the wish", 1.0, 6),
        ("popularity", 0.5, 6),  # film 1 of the first two
    ]


def test_an_interval_of_shares_by_hand() -> None:
    """All of 40 wishes met: (α/2)^(1/40); none: one minus that; one of two: what 2 p - p² and p² give."""
    edge = 0.025 ** (1 / 40)
    assert share_interval(np.ones(40))[0] == pytest.approx(edge) and share_interval(np.ones(40))[1] == 1.0
    assert share_interval(np.zeros(40)) == pytest.approx((0.0, 1.0 - edge))
    low, high = share_interval(np.array([1.0, 0.0]))
    assert 1 - (1 - low) ** 2 == pytest.approx(0.025) and 1 - high**2 == pytest.approx(0.025)
    low, high = share_interval(np.array([1.0] * 39 + [0.4]))  # one miss: no interval from nothing to all
    assert 0.85 < low < 0.985 < high < 1.0


def test_the_shipped_lists_are_well_formed() -> None:
    files = sorted(SHIPPED.glob("*.jsonl"))
    sizes = {"films-development": 50, "films-everyday": 90, "films-fresh": 50, "films-held-back": 50}
    sizes |= {f"films-blind-{n}": 40 for n in (1, 2, 3, 4)}
    sizes |= {
        "films-ordinary": 50,
        "films-other-writer": 40,
        "films-registers": 40,
        "films-registers-again": 24,
        "films-registers-development": 40,
    }
    assert {file.stem for file in files} == set(sizes)
    for file in files:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(rows) == sizes[file.stem] == len({row["id"] for row in rows})
        read_cases(file, CATALOG)


@pytest.mark.parametrize("kind", ["books", "goods"])
def test_the_lists_of_another_hand_can_be_met(kind: str) -> None:
    folder = Path(__file__).parents[2] / "fixtures"
    catalog = Catalog.load(folder / f"blind-{kind}.jsonl")
    sizes = [read_cases(folder / f"wishes-blind-{kind}-{n}.jsonl", catalog) for n in (1, 2, 3)]
    assert [(len(cases), left_out) for cases, left_out in sizes] == [(10 if kind == "books" else 5, 0)] * 3


@pytest.mark.parametrize("kind", ["recipes", "albums"])
def test_the_ordinary_lists_of_another_hand_can_be_met(kind: str) -> None:
    folder = Path(__file__).parents[2] / "fixtures"
    cases, left_out = read_cases(
        folder / f"wishes-ordinary-{kind}.jsonl", Catalog.load(folder / f"ordinary-{kind}.jsonl")
    )
    assert (len(cases), left_out) == (15, 0)


def test_the_list_of_holiday_lets_can_be_met() -> None:
    folder = Path(__file__).parents[2] / "fixtures"
    cases, left_out = read_cases(folder / "wishes-blind-stays.jsonl", Catalog.load(folder / "blind-stays.jsonl"))
    assert (len(cases), left_out) == (40, 0)
