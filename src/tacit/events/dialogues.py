"""The log's sessions as own-logs dialogues (``data.dialogues.form``): to a file, and out of one again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tacit.catalog import Catalog
from tacit.data.dialogues import logs
from tacit.data.dialogues.form import parse, to_json
from tacit.data.lines import decode, lines
from tacit.events.sessions import dialogue
from tacit.events.store import Record, Store, sessions
from tacit.run.files import atomic_write
from tacit.types import Dialogue, InputError


def read(store: Store, catalog: Catalog | None, left_out: Counter[str]) -> Iterator[Dialogue]:
    """The sessions of those who agree to training, by id. Why others stay away is counted in ``left_out``."""
    for session in sessions(store, "train"):
        if (found := for_training(session, catalog, left_out)) is not None:
            yield found


def for_training(session: Sequence[Record], catalog: Catalog | None, left_out: Counter[str]) -> Dialogue | None:
    """One session as training reads it; None, and the reason counted, where it cannot be read."""
    found = dialogue(session, None if catalog is None else catalog.named)
    if found is None:
        left_out["sessions whose words are gone, or in which nobody spoke"] += 1
        return None
    try:
        return parse(to_json(found), catalog)
    except ValueError:
        left_out["sessions with an item that the catalogue lacks"] += 1
        return None


def write(store: Store, path: Path, catalog: Catalog | None, left_out: Counter[str]) -> int:
    """How many dialogues now stand in ``path``."""
    return logs.write(path, read(store, catalog, left_out))


def delete_user(path: Path, user: str) -> int:
    """Rewrite a file of dialogues without those of a pseudonym: how many there were."""
    if path.suffix in (".gz", ".zip"):
        raise InputError(f"{path} is packed: unpack it, delete the user there, and pack it again.")
    kept, deleted = list[bytes](), 0
    for _, raw in lines(path):
        row = decode(raw)
        if isinstance(row, dict) and row.get("user") == user:
            deleted += 1
        else:
            kept.append(raw if raw.endswith(b"\n") else raw + b"\n")
    if deleted:
        atomic_write(path, b"".join(kept))
    return deleted
