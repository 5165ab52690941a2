"""Reading and writing run files: what is written is read, and every fault is one sentence with its place and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_runs import CATALOG, CONTEXTS, SCORES, make_run

from tacit.catalog import Catalog
from tacit.referee.judge import Settings, judge
from tacit.referee.read import read_run
from tacit.referee.write import order, write_run
from tacit.types import InputError, Item


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine")
    assert (run.system, run.dataset, run.seed) == ("mine", "films", 0)
    assert run.contexts == CONTEXTS
    assert run.catalog.items == CATALOG.items and run.catalog.counts.tolist() == [6, 3, 2, 1, 0]
    assert run.scores is not None and run.scores.tolist() == [[2, 1, 3, 1, 0], [3, 2, 4, 1, 0], [4, 3, 2, 1, 0]]
    assert run.scores.dtype == np.uint16
    assert read_run(tmp_path / "mine" / "run.json").contexts == CONTEXTS


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.float32, st.integers(1, 30), elements=st.floats(-5, 5, width=32)))
def test_the_order_keeps_every_comparison(scores: np.ndarray) -> None:
    places = order(scores).astype(int)
    assert ((scores[:, None] >= scores[None]) == (places[:, None] >= places[None])).all()


def test_more_items_than_two_bytes_tell_apart() -> None:
    assert order(np.arange(65_536.0)).dtype == np.uint16 and int(order(np.arange(65_536.0))[-1]) == 65_535
    assert int(order(np.arange(65_537.0))[-1]) == 65_536


def test_nan_is_not_an_order() -> None:
    with pytest.raises(ValueError, match="NaN"):
        order(np.array([1.0, np.nan]))


def test_a_context_without_gold_needs_no_scores(tmp_path: Path) -> None:
    talk = CONTEXTS[2].__class__("2:3", "2", 3, reply="Bye", reference="Goodbye")
    run = make_run(tmp_path / "mine", contexts=(CONTEXTS[0], talk, CONTEXTS[2]), scores=SCORES[[0, 2]])
    assert run.scores is not None and run.scores.shape == (3, 5) and not run.scores[1].any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", ">f4"])
def test_any_real_numbers_are_scores(tmp_path: Path, dtype: str) -> None:
    make_run(tmp_path / "mine")
    np.save(tmp_path / "mine" / "scores.npy", SCORES.astype(dtype))
    scores = read_run(tmp_path / "mine").scores
    assert scores is not None and (np.asarray(scores, dtype=np.float64) == SCORES).all()


Change = Callable[[Path], object]


def edit(file: str, line: int, **changes: object) -> Change:
    """Keys of one JSON line set, or taken out where the value is ``...``."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        lines = text.splitlines() if file.endswith("jsonl") else [text]
        row = {**json.loads(lines[line - 1]), **changes}
        lines[line - 1] = json.dumps({key: value for key, value in row.items() if value is not ...})
        (folder / file).write_text("\n".join(lines) + "\n")

    return change


def text(file: str, content: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(content)


def saved(scores: object) -> Change:
    return lambda folder: np.save(folder / "scores.npy", scores, allow_pickle=True)  # type: ignore[arg-type]


def gone(*files: str) -> Change:
    return lambda folder: [(folder / file).unlink() for file in files]


def moved(file: str, to: str) -> Change:
    return lambda folder: (folder / file).rename(folder / to)


NAN = SCORES.copy()
NAN[2, 3] = np.nan


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (gone("run.json"), "has no run.json"),
        (gone("items.jsonl"), "has no items.jsonl"),
        (gone("contexts.jsonl"), "has no contexts.jsonl"),
        (text("run.json", b"{"), "run.json is not readable JSON"),
        (text("run.json", b"[]"), "key 'format' must be 'tacit-run'"),
        (edit("run.json", 1, version=2), "key 'version' is 2: this Tacit reads version 1"),
        (edit("run.json", 1, version=True), "key 'version' is True"),
        (edit("run.json", 1, system=" "), "key 'system' must be a non-empty string"),
        (edit("run.json", 1, system="a\nb"), "key 'system' must be a non-empty string of one line"),
        (moved("scores.npy", "scores.npz"), "has no scores.npy, but scores.npz, which is not read: write scores.npy"),
        (moved("items.jsonl", "items.jsonl.gz"), "has no items.jsonl, but items.jsonl.gz, which is not read"),
        (moved("contexts.jsonl", "contexts.csv"), "has no contexts.jsonl, but contexts.csv, which is not read"),
        (edit("run.json", 1, dataset=...), "key 'dataset' must be"),
        (edit("run.json", 1, seed=-1), "key 'seed' is -1"),
        (edit("run.json", 1, sytem="x"), "unknown key 'sytem': did you mean 'system'?"),
        (edit("run.json", 1, made=[1]), "key 'made' must be an object"),
        (edit("run.json", 1, made={"lr": float("nan")}), "key 'made' holds NaN or Infinity, which JSON has not"),
        (edit("items.jsonl", 2, id="a"), "items.jsonl:2: item id 'a' occurs twice"),
        (text("contexts.jsonl", b"\n"), "contexts.jsonl is empty"),
        (text("contexts.jsonl", b"{]\n"), "contexts.jsonl:1: not JSON"),
        (text("contexts.jsonl", b"3\n"), "contexts.jsonl:1: a context must be a JSON object"),
        (edit("contexts.jsonl", 2, id="1:1"), "contexts.jsonl:2: id '1:1' stands in line 1"),
        (edit("contexts.jsonl", 2, id=3), "contexts.jsonl:2: key 'id' must be a non-empty string"),
        (edit("contexts.jsonl", 2, dialogue=...), "contexts.jsonl:2: key 'dialogue'"),
        (edit("contexts.jsonl", 2, turn=1.5), "contexts.jsonl:2: key 'turn' must be an integer"),
        (edit("contexts.jsonl", 2, turn=True), "contexts.jsonl:2: key 'turn' must be an integer"),
        (edit("contexts.jsonl", 2, turn=2**63), "contexts.jsonl:2: key 'turn' must be an integer"),
        (edit("contexts.jsonl", 2, gold=["z"]), "contexts.jsonl:2: key 'gold' names item 'z', which is not in"),
        (edit("contexts.jsonl", 2, gold=["a", "a"]), "contexts.jsonl:2: key 'gold' names an item twice"),
        (edit("contexts.jsonl", 2, gold="a"), "contexts.jsonl:2: key 'gold' must be a list of item ids"),
        (edit("contexts.jsonl", 2, gold=[1]), "contexts.jsonl:2: key 'gold' must be a list of item ids"),
        (edit("contexts.jsonl", 2, mentioned=["z"]), "contexts.jsonl:2: key 'mentioned' names item 'z'"),
        (edit("contexts.jsonl", 2, liked=["a"]), "contexts.jsonl:2: key 'liked' must be an object"),
        (edit("contexts.jsonl", 2, liked={"a": 1}), "contexts.jsonl:2: key 'liked' must be an object"),
        (edit("contexts.jsonl", 2, reply=3), "contexts.jsonl:2: key 'reply' must be a string"),
        (edit("contexts.jsonl", 2, said="hi"), "contexts.jsonl:2: key 'said' must be a list"),
        (edit("contexts.jsonl", 2, said=[{"text": "hi"}]), "contexts.jsonl:2: said[0] must be an object"),
        (edit("contexts.jsonl", 2, golden=[]), "contexts.jsonl:2: unknown key 'golden': did you mean 'gold'?"),
        (saved(SCORES[:2]), "scores.npy has the shape (2, 5), the files beside it ask for (3, 5)"),
        (saved(SCORES.T), "scores.npy has the shape (5, 3)"),
        (saved(SCORES.astype(object)), "write it with numpy.save(path, scores)"),
        (saved(SCORES.astype(complex)), "scores.npy holds complex128: save real numbers"),
        (saved(SCORES.astype(str)), "save real numbers"),
        (saved(NAN), "scores.npy: row 2, column 3 (both from 0) is NaN"),
        (text("scores.npy", b"no array"), "write it with numpy.save(path, scores)"),
        (text("scores.npy", b""), "write it with numpy.save(path, scores)"),
        (text("scores.npy", b"PK\x03\x04broken"), "write it with numpy.save(path, scores)"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, change: Change, said: str) -> None:
    make_run(tmp_path / "mine")
    change(tmp_path / "mine")
    with pytest.raises(InputError) as caught:
        read_run(tmp_path / "mine")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nulls_are_absent_keys(tmp_path: Path) -> None:
    make_run(tmp_path / "mine")
    edit("contexts.jsonl", 3, person=None, reply=None, liked=None, said=None)(tmp_path / "mine")
    context = read_run(tmp_path / "mine").contexts[2]
    assert (context.person, context.reply, context.said, dict(context.responses)) == (None, None, None, {})


def test_nothing_to_judge_is_said(tmp_path: Path) -> None:
    silent = CONTEXTS[2]
    write_run(tmp_path / "mine", "mine", "films", CATALOG, [silent])
    with pytest.raises(InputError, match=r"neither scores\.npy nor a reply"):
        read_run(tmp_path / "mine")
    with pytest.raises(InputError, match="is no folder"):
        read_run(tmp_path / "nothing")


def test_a_run_folder_is_pointed_to_its_run_files(tmp_path: Path) -> None:
    make_run(tmp_path / "run" / "evaluate" / "runs" / "ppo")
    with pytest.raises(InputError, match=r"is a run, whose run files stand in .*runs: give one of them \(ppo\)"):
        read_run(tmp_path / "run")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NaN"):
        make_run(tmp_path / "mine", scores=NAN)
    assert not (tmp_path / "mine").exists()


def test_one_item_and_one_context(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "mine",
        contexts=[CONTEXTS[0].__class__("x", "x", 0, ("a",))],
        scores=np.ones((1, 1)),
        catalog=Catalog([Item("a", "A", "A")]),
    )
    assert run.scores is not None and run.scores.tolist() == [[0]]
    rows = judge([run], ["full", "full-masked", "uniform-9", "popularity-9"], Settings(draws=20)).rows
    assert {row.value for row in rows if row.name == "HR@1"} == {1.0}
