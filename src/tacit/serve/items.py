"""Items that come, go, or may not be shown to everybody, while the server runs.

    {"withdrawn": ["id"], "added": [{item-v1}],
     "restricted": {"id": {"markets": ["de"], "min_age": 18, "in_stock": true}}}

A restriction holds for whoever is not known to meet it: without a market or an age, such an item is not shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from tacit.catalog import Catalog, item_from_json
from tacit.events.schema import ItemName
from tacit.types import Bools, InputError, Item

Market = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Age = Annotated[int, msgspec.Meta(ge=0, le=150)]
_AUDIENCES = 1_000  # masks that are kept


class Restriction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    markets: tuple[Market, ...] | None = None
    min_age: Age | None = None
    in_stock: bool = True


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To the catalogue a policy was trained with."""

    withdrawn: tuple[ItemName, ...] = ()
    restricted: dict[ItemName, Restriction] = {}
    added: tuple[dict[str, Any], ...] = ()

    def items(self) -> list[Item]:
        """Those added; ``InputError`` where one is no item."""
        items = list[Item]()
        for number, row in enumerate(self.added, start=1):
            try:
                item = item_from_json(row)[0]
                msgspec.convert(item.id, ItemName)
            except ValueError as error:
                raise InputError(f"added item {number}: {error} (docs/data.md has the item-v1 form).") from None
            items.append(item)
        if len({item.id for item in items}) < len(items):
            raise InputError("an item is added twice: make ids unique.")
        return items


def read_changes(data: bytes) -> Changes:
    """``InputError`` says what is wrong."""
    try:
        changes = msgspec.json.decode(data, type=Changes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"no list of changed items ({error}): docs/serving.md has the form.") from None
    changes.items()
    return changes


class Shelf:
    """Which rows of a catalogue may be shown to whom. Immutable: a change makes a new one."""

    def __init__(self, catalog: Catalog, changes: Changes) -> None:
        self.catalog, self.changes = catalog, changes
        identity = catalog.fingerprint().encode() + msgspec.json.encode(changes, order="deterministic")
        self.version = hashlib.sha256(identity).hexdigest()[:16]
        self._open = np.ones(len(catalog), dtype=np.bool_)
        gone = [name for name, limit in changes.restricted.items() if not limit.in_stock]
        self._open[self._rows([*changes.withdrawn, *gone])] = False
        self._masks: dict[tuple[str | None, int | None], tuple[Bools, str]] = {}

    def shown_to(self, market: str | None, age: int | None) -> tuple[Bools | None, str]:
        """(allowed [n_items], its hash); None where all are."""
        audience = (market, age)
        if audience not in self._masks:
            if len(self._masks) >= _AUDIENCES:
                self._masks.clear()
            mask = self._mask(market, age)
            self._masks[audience] = mask, hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16]
        mask, name = self._masks[audience]
        return (None if mask.all() else mask), name

    def _mask(self, market: str | None, age: int | None) -> Bools:
        mask: Bools = self._open.copy()
        for name, limit in self.changes.restricted.items():
            elsewhere = limit.markets is not None and market not in limit.markets
            young = limit.min_age is not None and (age is None or age < limit.min_age)
            if elsewhere or young:
                mask[self._rows([name])] = False
        return mask

    def unknown(self) -> list[str]:
        """Ids that are withdrawn or restricted and that no item has: slips, or of another catalogue."""
        named = dict.fromkeys([*self.changes.withdrawn, *self.changes.restricted])
        added = {str(row["id"]) for row in self.changes.added}
        return [name for name in named if name not in self.catalog and name not in added]

    def _rows(self, names: Sequence[str]) -> list[int]:
        return [self.catalog.index(name) for name in names if name in self.catalog]
