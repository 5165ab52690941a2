"""`tacit data convert`: ReDial, OpenDialKG and OpenAI chat ``messages`` into the own-logs form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues import logs, opendialkg, redial
from tacit.data.lines import records
from tacit.types import Dialogue, InputError, Slate, Turn

SOURCES = ("redial", "opendialkg", "openai")


def convert(source: str, path: Path, out: Path, items: Path | None = None) -> dict[str, int]:
    """Write ``items.jsonl``, ``train.jsonl`` and, where the source has one, ``test.jsonl`` into ``out``.

    ``openai`` reads JSON lines with ``messages`` and needs an items file: titles in the text become mentions, and in
    an assistant's message the slate. Returns how many of each were written.
    """
    if source == "openai":
        if items is None:
            raise InputError("openai messages name no items: give --items, a file with one item a line.")
        catalog = Catalog.load(items)
        written = {"train": logs.write(out / "train.jsonl", read_openai(path, catalog))}
    elif source in ("redial", "opendialkg"):
        loader = redial if source == "redial" else opendialkg
        catalog, parts = loader.load_training(path)
        order = {dialogue.id: dialogue for dialogue in (*parts.train, *parts.valid)}
        written = {"train": logs.write(out / "train.jsonl", order.values())}
        written["test"] = logs.write(out / "test.jsonl", loader.load_test(path).dialogues)
    else:
        raise InputError(f"source {source!r} is unknown: choose one of {', '.join(SOURCES)}.")
    if items is None or items.resolve() != (out / "items.jsonl").resolve():
        Catalog(catalog.items).save(out / "items.jsonl")
    return {"items": len(catalog), **written}


def read_openai(path: Path, catalog: Catalog) -> Iterator[Dialogue]:
    """One dialogue a line: ``{"messages": [{"role", "content"}, ...], "id"?, "user"?}``.

    System, developer and tool messages, and assistant messages without text, are left out.
    """
    for number, row in records(path):
        try:
            yield _dialogue(row, f"{path.name.split('.')[0]}-{number}", catalog)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}.") from None


def _dialogue(row: Any, name: str, catalog: Catalog) -> Dialogue:
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError("key messages must be a list of objects with role and content")
    turns = []
    for message in messages:
        role, text = message.get("role"), _text(message.get("content"))
        if role not in ("user", "assistant", "system", "developer", "tool", "function"):
            raise ValueError(f"role {role!r} is unknown: use user, assistant, system, developer or tool")
        if role not in ("user", "assistant") or not text:
            continue
        items = tuple(item for _, _, item in catalog.link(text))
        if role == "user":
            turns.append(Turn("user", text, items))
        else:
            turns.append(Turn("agent", text, items, Slate(tuple(dict.fromkeys(items))) if items else None))
    if not any(turn.speaker == "user" for turn in turns):
        raise ValueError("the dialogue has no user turn: add one or remove the line")
    id = str(row.get("id") or name)
    return Dialogue(id, str(row.get("user") or f"user-{id}"), tuple(turns))


def _text(content: Any) -> str:
    """A message's text: a string, or the text parts of a list of parts."""
    if content is None or isinstance(content, str):
        return (content or "").strip()
    if not isinstance(content, list):
        raise ValueError("key content must be a string or a list of parts")
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return " ".join(part.strip() for part in parts if isinstance(part, str))
