"""The forms that chats are exported in, and which one a file has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues.chats import chatgpt, langfuse, open_webui, openai, sharegpt, table
from tacit.data.dialogues.chats.chat import Chat, Read, dialogues
from tacit.data.dialogues.chats.rows import Source, beginning
from tacit.types import Dialogue, InputError

# In the order in which a row is tried. What each looks like stands in the error where none fits.
FORMS: Mapping[str, tuple[Callable[[dict[str, Any]], bool], str]] = {
    "chatgpt": (chatgpt.fits, "conversations.json with mapping"),
    "open-webui": (open_webui.fits, "chat.history.messages, or feedback with a snapshot"),
    "openai": (openai.fits, "messages with role and content"),
    "sharegpt": (sharegpt.fits, "conversations with from and value"),
    "langfuse": (langfuse.fits, "traces with input and output"),
}
TABLE = "csv"
NAMES = (*FORMS, TABLE)
TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
_TRIED = 100  # rows, of which the first that has a form decides


@dataclass(frozen=True)
class Ways:
    """How to read: which form ("" is found out), columns of a table by field, least values of scores by name."""

    form: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)


def read_chats(path: Path, catalog: Catalog, counts: Counter[str], ways: Ways) -> Iterator[Dialogue]:
    """One dialogue a conversation; ``counts`` says what was left out, by name."""
    form = ways.form or detected(path, ways)
    source = Source(path)
    if form == "openai":
        return dialogues(lambda left_out: openai.read(source, left_out), catalog, counts)
    if form == "sharegpt":
        return dialogues(lambda left_out: sharegpt.read(source, left_out), catalog, counts)
    if form == "chatgpt":
        return dialogues(_once(lambda left_out: chatgpt.read(source, left_out)), catalog, counts)
    if form == "open-webui":
        return dialogues(_once(lambda left_out: open_webui.read(source, left_out)), catalog, counts)
    if form == "langfuse":
        return dialogues(_once(lambda left_out: langfuse.read(source, left_out, ways.least)), catalog, counts)
    if form == TABLE:
        return dialogues(_once(lambda left_out: table.read(path, ways.columns, left_out)), catalog, counts)
    raise InputError(f"form {form!r} is unknown: choose one of {', '.join(NAMES)}.")


def detected(path: Path, ways: Ways) -> str:
    """By the file's ending, or by its first rows; ``InputError`` names every form where none fits."""
    if ways.columns or path.name.lower().endswith(TABLES):
        return TABLE
    source = Source(path)
    if source.files == (path,) and beginning(path) not in (b"{", b"["):
        raise InputError(f"{path} is neither JSON nor a table: {_known()}.")
    for row in islice(source.rows(), _TRIED):
        if isinstance(row.value, dict):
            for name, (fits, _) in FORMS.items():
                if fits(row.value):
                    return name
    raise InputError(f"{path} has none of the forms that are known: {_known()}; or name it with --form.")


def _known() -> str:
    forms = [f"{name} ({looks})" for name, (_, looks) in FORMS.items()]
    return ", ".join([*forms, f"{TABLE} (a table with --map)"])


def _once(read: Read) -> Read:
    """What a form must hold in memory anyway is read once, and counted once."""
    found = list[Chat]()
    left_out: Counter[str] | None = None

    def again(counts: Counter[str]) -> Iterable[Chat]:
        nonlocal left_out
        if left_out is None:
            left_out = Counter()
            found.extend(read(left_out))
        counts.update(left_out)
        return found

    return again
