"""What a run's data were when it began, as hashes, so that changed data are noticed before they change a number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues.form import to_json
from tacit.data.ratings.table import Ratings
from tacit.run.files import atomic_write, read_json
from tacit.types import Dialogue, InputError, Item, Split, TestSet

FILE = "prepare/fingerprint.json"
Fingerprint = dict[str, dict[str, Any]]  # part → {"n", "sha256", for items also "order"}


def of_training(catalog: Catalog, split: Split) -> Fingerprint:
    """Items, and the two parts of the dialogues that trainers see."""
    return {
        "items": _items(catalog.items),
        "training dialogues": _dialogues(split.train),
        "validation dialogues": _dialogues(split.valid),
    }


def of_test(test: TestSet) -> Fingerprint:
    return {"test dialogues": _dialogues(test.dialogues)}


def of_ratings(ratings: Ratings) -> Fingerprint:
    """Items, users with what is known of them, and the ratings in their order."""
    rows = ratings.frame.hash_rows(seed=0)
    frame = hashlib.sha256(rows.to_numpy().tobytes())
    people = _hash([name, profile] for name, profile in zip(ratings.users, ratings.profiles, strict=True))
    return {
        "items": _items(ratings.items),
        "descriptions of items": {
            "n": len(ratings.descriptions),
            "sha256": _hash(sorted(ratings.descriptions.items())),
        },
        "users": {"n": len(ratings.users), "sha256": people},
        "ratings": {"n": len(ratings.frame), "sha256": frame.hexdigest()},
    }


def write(folder: Path, fingerprint: Fingerprint) -> None:
    """Keep it in the run folder ``folder``, whose first stage calls this."""
    atomic_write(folder / FILE, json.dumps(fingerprint, indent=1) + "\n")


def require_same(folder: Path, now: Fingerprint) -> None:
    """``InputError`` where the data are not those that the run in ``folder`` began with.

    A run from before hashes were kept has none, and is not held to any.
    """
    path = folder / FILE
    if not path.exists():
        return
    said = changes(read_json(path, f"delete {folder} to start again."), now)
    if said:
        raise InputError(
            f"the data are not those that {folder} began with: {'; '.join(said)}. Put them back as they were, or start "
            "a new run with out=..."
        )


def changes(before: Mapping[str, Mapping[str, Any]], now: Fingerprint) -> list[str]:
    """What differs, in words, of the parts that both know: "the items stand in another order"."""
    said = []
    for part, today in now.items():
        then = before.get(part)
        if then is None or then == today:
            continue
        if then.get("n") != today["n"]:
            said.append(f"the {part} were {then.get('n')} and are {today['n']}")
        elif then.get("sha256") == today["sha256"]:
            said.append(f"the {part} stand in another order")
        else:
            said.append(f"the {part} are {today['n']} as before, with other contents")
    return said


def _items(items: Sequence[Item]) -> dict[str, Any]:
    contents = ([item.id, item.title, item.text, sorted(map(list, item.attributes.items()))] for item in items)
    return {
        "n": len(items),
        "sha256": _hash(sorted(contents, key=lambda row: str(row[0]))),
        "order": _hash(item.id for item in items),
    }


def _dialogues(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    return {"n": len(dialogues), "sha256": _hash(to_json(dialogue) for dialogue in dialogues)}


def _hash(rows: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=True, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()
