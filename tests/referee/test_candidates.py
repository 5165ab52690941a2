"""Candidate files: what the referee draws it publishes, and a system that scored only those is judged by them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import CATALOG, CONTEXTS, SCORES, make_run

from tacit.catalog import Catalog
from tacit.referee.candidates import read_candidates
from tacit.referee.cases import cases
from tacit.referee.judge import Settings, judge
from tacit.referee.read import read_run
from tacit.referee.tables import save
from tacit.types import InputError

FEW = Settings(seed=7, draws=20)


def scored_alone(folder: Path, published: Path) -> None:
    """A run file of a system that scored the published candidates only, as any system may write it."""
    make_run(folder, "alone", scores=None, contexts=[*CONTEXTS])
    (folder / "candidates.jsonl").write_bytes(published.read_bytes())
    lists = read_candidates(published, CATALOG)
    rows = {context.id: row for row, context in enumerate(CONTEXTS)}
    scores = [
        [SCORES[rows[place], column] for column in (CATALOG.index(gold), *others)]
        for (place, gold), others in zip(lists.keys, lists.rows.tolist(), strict=True)
    ]
    np.save(folder / "scores.npy", np.array(scores, dtype=np.float32))


@pytest.mark.parametrize("name", ["uniform-3", "popularity-2-masked", "sampled-3"])
def test_a_system_that_scored_the_candidates_alone_gets_the_same_numbers(tmp_path: Path, name: str) -> None:
    whole = make_run(tmp_path / "whole", "whole")
    verdict = judge([whole], [name], FEW)
    save(verdict, tmp_path / "out", FEW.seed)
    scored_alone(tmp_path / "alone", tmp_path / "out" / f"candidates-{name}.jsonl")
    both = judge([whole, read_run(tmp_path / "alone")], [name], FEW)
    levels = {(r.slice, r.name, r.model): r.value for r in both.rows if r.protocol == name and not r.against}
    assert {value for key, value in levels.items() if key[2] == "alone"} != {0.0}
    assert all(levels[slice, metric, "whole"] == value for (slice, metric, model), value in levels.items())
    assert {r.value for r in both.rows if r.against and r.protocol == name} == {0.0}


def test_given_candidates_are_used(tmp_path: Path) -> None:
    """With c alone beside each gold item, a and the first b lose and the others win or lose by their scores."""
    path = tmp_path / "given.jsonl"
    head = {"format": "tacit-candidates", "version": 1, "protocol": "uniform-1", "seed": 0}
    keys = cases(make_run(tmp_path / "mine")).keys
    lists = [{"context": place, "gold": gold, "candidates": ["c"]} for place, gold in keys]
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *lists)))
    verdict = judge([read_run(tmp_path / "mine")], ["uniform-1"], Settings(draws=20, candidates=path))
    hits = {row.slice: row.value for row in verdict.rows if row.name == "HR@1" and row.protocol == "uniform-1"}
    assert (hits["all"], hits["liked"]) == (0.0, 0.0)
    masked = judge([read_run(tmp_path / "mine")], ["uniform-1-masked"], Settings(draws=20))
    assert masked.lists.keys() == {"uniform-1-masked"}


def test_scores_of_candidates_are_judged_under_their_protocol_alone(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole", "whole")
    save(judge([whole], ["uniform-3"], FEW), tmp_path / "out", 7)
    scored_alone(tmp_path / "alone", tmp_path / "out" / "candidates-uniform-3.jsonl")
    alone = read_run(tmp_path / "alone")
    with pytest.raises(InputError, match="candidates of 'uniform-3' alone: add --protocol uniform-3"):
        judge([alone], ["full"], FEW)
    verdict = judge([alone, whole], ["full", "uniform-3"], FEW)
    assert verdict.remarks == ["full: alone has no scores of these candidates"]


@pytest.mark.parametrize(
    ("line", "row", "said"),
    [
        (0, {"format": "other"}, ":1: this is no candidate file of version 1"),
        (0, {"protocol": "full"}, ":1: protocol 'full' has no candidates"),
        (0, {"protocol": "uniform-9e9"}, "protocol 'uniform-9e9' is not known"),
        (0, {"seed": -1}, ":1: key 'protocol' must be a name and 'seed'"),
        (1, {"context": 3}, ":2: keys 'context' and 'gold' must be strings"),
        (1, {"candidates": []}, ":2: key 'candidates' must be a list"),
        (1, {"candidates": ["b", "z", "d"]}, ":2: item 'z' is not in items.jsonl"),
        (1, {"candidates": ["a", "b", "c"]}, ":2: a candidate stands twice, or is the gold item itself"),
        (1, {"candidates": ["b", "b", "c"]}, ":2: a candidate stands twice"),
        (1, {"candidates": ["b", "c"]}, ":2: 2 candidates, and uniform-3 asks for 3"),
        (2, {"gold": "a"}, ":3: the list of ('1:1', 'a') stands in line 2 already"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, line: int, row: dict[str, object], said: str) -> None:
    save(judge([make_run(tmp_path / "whole")], ["uniform-3"], FEW), tmp_path / "out", 7)
    path = tmp_path / "out" / "candidates-uniform-3.jsonl"
    lines = [json.loads(one) for one in path.read_text().splitlines()]
    lines[line] |= row
    if line == 2:
        lines[line]["candidates"] = lines[1]["candidates"]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    with pytest.raises(InputError) as caught:
        read_candidates(path, CATALOG)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_lists_that_do_not_fit_the_contexts_are_told(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole", "whole")
    save(judge([whole], ["uniform-3"], FEW), tmp_path / "out", 7)
    scored_alone(tmp_path / "alone", tmp_path / "out" / "candidates-uniform-3.jsonl")
    path = tmp_path / "alone" / "candidates.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match="there is no list for"):
        read_run(tmp_path / "alone")
    path.write_text("".join(lines).replace('"context": "2:1"', '"context": "9:1"'))
    with pytest.raises(InputError, match=r"is of no gold item of contexts\.jsonl"):
        read_run(tmp_path / "alone")


def test_given_candidates_must_have_every_case(tmp_path: Path) -> None:
    """Four cases: a file of three lists, and one whose contexts have other ids, would be filled up by drawing."""
    whole = make_run(tmp_path / "whole", "whole")
    save(judge([whole], ["uniform-3"], FEW), tmp_path / "out", 7)
    path = tmp_path / "out" / "candidates-uniform-3.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    settings = Settings(draws=20, candidates=path)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match=r"no list for 1 of 4 cases of whole, such as \('2:1', 'e'\): add them"):
        judge([whole], ["uniform-3"], settings)
    path.write_text("".join(lines).replace('"context": "', '"context": "test-'))
    with pytest.raises(InputError, match="no list for 4 of 4 cases"):
        judge([whole], ["uniform-3"], settings)
    path.write_text("".join([*lines, lines[-1].replace('"2:1"', '"9:1"')]))
    assert judge([whole], ["uniform-3"], settings).remarks == [
        "uniform-3: 1 of the 5 lists that were given are of no case here, such as ('9:1', 'e')"
    ]


def test_lists_without_scores_are_refused(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole", "whole")
    save(judge([whole], ["uniform-3"], FEW), tmp_path / "out", 7)
    scored_alone(tmp_path / "alone", tmp_path / "out" / "candidates-uniform-3.jsonl")
    (tmp_path / "alone" / "scores.npy").unlink()
    with pytest.raises(InputError, match=r"has candidates\.jsonl and no scores\.npy: write the scores, or take"):
        read_run(tmp_path / "alone")


def test_candidates_of_every_system_are_published(tmp_path: Path) -> None:
    """The first file has replies alone and one item; the second's four cases are drawn, and read again."""
    talk = [replace(one, gold=(), mentioned=(), responses={}) for one in CONTEXTS]
    talker = make_run(tmp_path / "talker", "talker", talk, None, Catalog([CATALOG.items[0]]))
    save(judge([talker, make_run(tmp_path / "whole", "whole")], ["uniform-3"], FEW), tmp_path / "out", 7)
    lists = read_candidates(tmp_path / "out" / "candidates-uniform-3.jsonl", CATALOG)
    assert lists.keys == cases(make_run(tmp_path / "again", "again")).keys


def test_other_candidates_are_not_compared(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "whole", "whole")
    for name, seed in {"one": 1, "two": 2}.items():
        save(judge([whole], ["uniform-2"], Settings(seed, 20)), tmp_path / f"out-{name}", seed)
        scored_alone(tmp_path / name, tmp_path / f"out-{name}" / "candidates-uniform-2.jsonl")
    verdict = judge([read_run(tmp_path / name) for name in ("one", "two")], ["uniform-2"], FEW)
    assert verdict.remarks == ["uniform-2: alone (2) and alone scored other candidates, so no differences"]
    with pytest.raises(InputError, match="which is not asked for: add --protocol uniform-2"):
        judge([whole], ["full"], Settings(candidates=tmp_path / "out-one" / "candidates-uniform-2.jsonl"))
