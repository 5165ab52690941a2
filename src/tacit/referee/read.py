"""Reading a run file of any system. Every fault is one sentence: the file and line, the key, the remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.referee.candidates import CandidateLists, read_candidates
from tacit.referee.form import (
    CANDIDATES,
    CONTEXTS,
    FORMAT,
    ITEMS,
    RESPONSES,
    RUN,
    SCORES,
    VERSION,
    Context,
    RunFile,
)
from tacit.run.files import says_when_damaged
from tacit.run.lines import read_json, records
from tacit.types import InputError, ItemId

_KEYS = ("id", "dialogue", "turn", "person", "gold", "mentioned", "said", "reply", "reference", *RESPONSES)
_HEAD = ("format", "version", "system", "dataset", "seed", "made")
_LARGEST = 2**31 - 1


def read_run(path: str | Path) -> RunFile:
    """A run file's folder, or its ``run.json``. The scores stay on disk until they are used."""
    folder = Path(path).parent if Path(path).name == RUN else Path(path)
    if (inside := folder / "evaluate" / "runs").is_dir():
        names = ", ".join(sorted(path.name for path in inside.iterdir() if path.is_dir()))
        raise InputError(f"{folder} is a run, whose run files stand in {inside}: give one of them ({names}).")
    for name in (RUN, ITEMS, CONTEXTS, SCORES):
        _require(folder, name)
    head = _head(folder / RUN)
    catalog = Catalog.load(folder / ITEMS)
    contexts = _contexts(folder / CONTEXTS, catalog)
    lists = read_candidates(folder / CANDIDATES, catalog) if (folder / CANDIDATES).is_file() else None
    if lists is not None:
        _known(folder / CANDIDATES, lists, contexts)
        if not (folder / SCORES).is_file():
            raise InputError(f"{folder} has {CANDIDATES} and no {SCORES}: write the scores, or take the lists away.")
    rows, columns = (len(contexts), len(catalog)) if lists is None else (len(lists.keys), 1 + lists.rows.shape[1])
    scores = _scores(folder / SCORES, rows, columns) if (folder / SCORES).is_file() else None
    if scores is None and not any(context.reply is not None for context in contexts):
        raise InputError(f"{folder} has neither {SCORES} nor a reply in {CONTEXTS}: give at least one of them.")
    if scores is not None:
        _require_numbers(folder / SCORES, scores, contexts if lists is None else None)
    system, dataset, seed, made = head["system"], head["dataset"], head.get("seed", 0), head.get("made") or {}
    return RunFile(folder, system, dataset, catalog, contexts, scores, lists, seed, made)


def _require(folder: Path, name: str) -> None:
    """InputError where a file is missing; scores may be, unless they lie there in another form."""
    if (folder / name).is_file():
        return
    what = f"{folder} has no {name}" if folder.is_dir() else f"{folder} is no folder"
    others = sorted(path.name for path in folder.glob(f"{Path(name).stem}.*")) if folder.is_dir() else []
    if others:
        remedy = "numpy.save writes it" if name == SCORES else "unpack or convert it"
        raise InputError(f"{what}, but {others[0]}, which is not read: write {name} ({remedy}).")
    if name != SCORES:
        raise InputError(f"{what}: a run file is a folder with {RUN}, {ITEMS}, {CONTEXTS} and {SCORES}.")


def _head(path: Path) -> dict[str, Any]:
    head = read_json(path)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{path}: key 'format' must be {FORMAT!r}: this is no run file, or write the key.")
    if head.get("version") != VERSION or isinstance(head.get("version"), bool):
        raise InputError(f"{path}: key 'version' is {head.get('version')!r}: this Tacit reads version {VERSION}.")
    _only(head, _HEAD, str(path))
    for key in ("system", "dataset"):
        if not isinstance(head.get(key), str) or not head[key].strip() or not head[key].isprintable():
            raise InputError(f"{path}: key {key!r} must be a non-empty string of one line: write the {key}'s name.")
    seed = head.get("seed", 0)
    if type(seed) is not int or not 0 <= seed <= _LARGEST:
        raise InputError(f"{path}: key 'seed' is {seed!r}: give an integer from 0 to {_LARGEST}.")
    if not isinstance(head.get("made") or {}, dict):
        raise InputError(f"{path}: key 'made' must be an object, such as {{'commit': '…'}}: write one, or none.")
    try:
        json.dumps(head, allow_nan=False)
    except ValueError:
        raise InputError(f"{path}: key 'made' holds NaN or Infinity, which JSON has not: write it as text.") from None
    return head


def _contexts(path: Path, catalog: Catalog) -> tuple[Context, ...]:
    found: dict[str, Context] = {}
    lines: dict[str, int] = {}
    for number, row in records(path):
        context = _context(row, f"{path}:{number}", catalog)
        if context.id in found:
            raise InputError(f"{path}:{number}: id {context.id!r} stands in line {lines[context.id]}: make ids unique.")
        found[context.id], lines[context.id] = context, number
    if not found:
        raise InputError(f"{path} is empty: write one line for every context of the test.")
    return tuple(found.values())


def _context(row: Any, where: str, catalog: Catalog) -> Context:
    if not isinstance(row, dict):
        raise InputError(f"{where}: a context must be a JSON object: write one a line.")
    _only(row, _KEYS, where)
    row = {key: value for key, value in row.items() if value is not None}  # a null is an absent key
    for key in ("id", "dialogue"):
        if not isinstance(row.get(key), str) or not row[key]:
            raise InputError(f"{where}: key {key!r} must be a non-empty string: write it.")
    for key in ("person", "reply", "reference"):
        if not isinstance(row.get(key, ""), str):
            raise InputError(f"{where}: key {key!r} must be a string: write it as text, or leave it out.")
    if type(row.get("turn")) is not int or not 0 <= row["turn"] <= _LARGEST:
        raise InputError(f"{where}: key 'turn' must be an integer from 0 on: count the messages before this one.")
    gold, mentioned = (_items(row.get(key, []), f"{where}: key {key!r}", catalog) for key in ("gold", "mentioned"))
    if len(set(gold)) < len(gold):
        raise InputError(f"{where}: key 'gold' names an item twice: name each once.")
    return Context(
        row["id"],
        row["dialogue"],
        row["turn"],
        gold,
        tuple(dict.fromkeys(mentioned)),
        row.get("person"),
        _said(row.get("said"), where),
        row.get("reply"),
        row.get("reference"),
        {name: _answers(row[name], f"{where}: key {name!r}", catalog) for name in RESPONSES if name in row},
    )


def _items(values: Any, where: str, catalog: Catalog) -> tuple[ItemId, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"{where} must be a list of item ids: write them as strings.")
    for value in values:
        if value not in catalog:
            raise InputError(
                f"{where} names item {value!r}, which is not in {ITEMS}: add it there (what a system cannot "
                "recommend scores -inf), or take it out."
            )
    return tuple(values)


def _answers(values: Any, where: str, catalog: Catalog) -> Mapping[ItemId, bool]:
    if not isinstance(values, dict) or not all(value is None or isinstance(value, bool) for value in values.values()):
        raise InputError(f"{where} must be an object of item ids with true or false: leave out what is not known.")
    _items(list(values), where, catalog)
    return {item: value for item, value in values.items() if value is not None}


def _said(values: Any, where: str) -> tuple[tuple[str, str], ...] | None:
    if values is None:
        return None
    if not isinstance(values, list):
        raise InputError(f"{where}: key 'said' must be a list of messages: write them oldest first, or leave it out.")
    for k, value in enumerate(values):
        if not isinstance(value, dict) or any(not isinstance(value.get(key), str) for key in ("speaker", "text")):
            raise InputError(f"{where}: said[{k}] must be an object with 'speaker' and 'text': write both as strings.")
    return tuple((value["speaker"], value["text"]) for value in values)


def _only(row: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in row:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"use {', '.join(allowed)}."
            raise InputError(f"{where}: unknown key {key!r}: {remedy}")


def _known(path: Path, lists: CandidateLists, contexts: tuple[Context, ...]) -> None:
    """Every list is of a gold item of its context, and every gold item has its list."""
    wanted = {(context.id, item) for context in contexts for item in context.gold}
    for context, item in lists.keys:
        if (context, item) not in wanted:
            raise InputError(f"{path}: the list of {(context, item)} is of no gold item of {CONTEXTS}: take it out.")
    for key in sorted(wanted - set(lists.keys)):
        raise InputError(f"{path}: there is no list for {key}: write one for every gold item of {CONTEXTS}.")


def _scores(path: Path, rows: int, columns: int) -> npt.NDArray[np.number]:
    with says_when_damaged(path, "write it with numpy.save(path, scores)."):
        scores = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(scores, np.ndarray) or scores.dtype.kind not in "fiu":
        kind = scores.dtype if isinstance(scores, np.ndarray) else "an archive"
        raise InputError(f"{path} holds {kind}: save real numbers, such as scores.astype('float32').")
    if scores.shape != (rows, columns):
        raise InputError(
            f"{path} has the shape {scores.shape}, the files beside it ask for {(rows, columns)}: one row a context "
            "and one column an item, or with candidates one row a list, the gold item's score first."
        )
    return scores


def _require_numbers(path: Path, scores: npt.NDArray[np.number], contexts: tuple[Context, ...] | None) -> None:
    """InputError for the first NaN among the rows that are ranked."""
    if scores.dtype.kind != "f":
        return
    for at, row in enumerate(scores):
        if (contexts is None or contexts[at].gold) and np.isnan(row).any():
            column = int(np.isnan(row).argmax())
            raise InputError(
                f"{path}: row {at}, column {column} (both from 0) is NaN: give every candidate a number, -inf for what "
                "must not be recommended."
            )
