"""`tacit data convert`: ReDial, OpenDialKG and chats in any form of ``chats.forms`` into the own-logs form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tacit.catalog import Catalog
from tacit.data.dialogues import logs, opendialkg, redial
from tacit.data.dialogues.chats.forms import NAMES, Ways, read_chats
from tacit.data.dialogues.form import parse, to_json
from tacit.types import Dialogue, InputError

CHATS = "chats"  # in a form that is found out, or named
SOURCES = ("redial", "opendialkg", CHATS, *NAMES)

_FOUND_OUT = Ways()


def convert(
    source: str,
    path: Path,
    out: Path,
    items: Path | None = None,
    dropped: Counter[str] | None = None,
    ways: Ways = _FOUND_OUT,
) -> dict[str, int]:
    """Write ``items.jsonl``, ``train.jsonl`` and, where the source has one, ``test.jsonl`` into ``out``.

    Chats need an items file: titles in the text become mentions, and in an assistant's message the slate. Returns how
    many of each were written; ``dropped`` counts what was not, by name.
    """
    counts: Counter[str] = Counter() if dropped is None else dropped
    if source == CHATS or source in NAMES:
        if items is None:
            raise InputError("chats name no items: give --items, a file with one item a line.")
        if source != CHATS:
            ways = replace(ways, form=source)
        catalog = Catalog.load(items)
        dialogues = _checked(read_chats(path, catalog, counts, ways), catalog, path)
        written = {"train": logs.write(out / "train.jsonl", dialogues)}
        if not written["train"]:
            (out / "train.jsonl").unlink()
            raise InputError(f"{path} holds no dialogues: give a file with at least one.")
    elif source in ("redial", "opendialkg"):
        loader = redial if source == "redial" else opendialkg
        catalog, parts = loader.load_training(path, dropped=counts)
        training = _checked((*parts.train, *parts.valid), catalog, path)
        test = list(_checked(loader.load_test(path, dropped=counts).dialogues, catalog, path))
        written = {"train": logs.write(out / "train.jsonl", training)}
        written["test"] = logs.write(out / "test.jsonl", test)
    else:
        raise InputError(f"source {source!r} is unknown: choose one of {', '.join(SOURCES)}.")
    if items is None or items.resolve() != (out / "items.jsonl").resolve():
        Catalog(catalog.items).save(out / "items.jsonl")
    return {"items": len(catalog), **written}


def _checked(dialogues: Iterable[Dialogue], catalog: Catalog, path: Path) -> Iterator[Dialogue]:
    """The dialogues, each held to the form: what is written here, `tacit data check` accepts."""
    for dialogue in dialogues:
        try:
            parse(to_json(dialogue), catalog)
        except ValueError as error:
            raise InputError(f"{path}: dialogue {dialogue.id!r}: {error}.") from None
        yield dialogue
