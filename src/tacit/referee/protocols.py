"""Named protocols: against which candidates an item is ranked, and what becomes of the items already named.

One model scores .40 under one of them and .044 under another, so a number without its protocol says nothing. Ties are
broken against the model everywhere (``referee.ranks``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tacit.metrics.results import grouped
from tacit.types import InputError

Drawn = Literal["uniform", "popularity"]
# What is left out of the candidates: nothing; every item named before; or those in the slice of new items alone.
Masks = Literal["nothing", "mentioned", "mentioned in new"]
MOST_NEGATIVES = 100_000
_SAMPLED = re.compile(r"(sampled|uniform|popularity)-([1-9]\d*)(-masked)?")


@dataclass(frozen=True, slots=True)
class Protocol:
    """``negatives`` = 0 ranks the full catalogue, else the gold item among that many ``drawn`` others."""

    name: str
    negatives: int = 0
    drawn: Drawn = "uniform"
    masks: Masks = "mentioned in new"

    def candidates(self, n_items: int) -> str:
        if not self.negatives:
            return f"full catalogue {grouped(n_items)}"
        kind = "uniform" if self.drawn == "uniform" else "by popularity"
        return f"1 + {min(self.negatives, n_items - 1)} {kind}"

    def masked(self, slice: str) -> bool:
        """Whether the cases of a slice are ranked without the items named before."""
        return self.masks == "mentioned" or (self.masks == "mentioned in new" and slice == "new")


FULL = (
    Protocol("standard"),  # all items unmasked, new ones masked: what Tacit's own tables print
    Protocol("full", masks="nothing"),
    Protocol("full-masked", masks="mentioned"),
)
NAMES = (
    *(protocol.name for protocol in FULL),
    "sampled-99",
    "uniform-99",
    "uniform-99-masked",
    "popularity-99",
    "popularity-99-masked",
)


def named(name: str) -> Protocol:
    """The protocol of a name of ``NAMES``; in place of 99 any number. InputError for other names.

    ``sampled-N`` masks as ``standard`` does, ``uniform-N`` and ``popularity-N`` mask nothing.
    """
    for protocol in FULL:
        if protocol.name == name:
            return protocol
    match = _SAMPLED.fullmatch(name)
    if match and int(match[2]) <= MOST_NEGATIVES and not (match[1] == "sampled" and match[3]):
        masks: Masks = "mentioned" if match[3] else "mentioned in new" if match[1] == "sampled" else "nothing"
        return Protocol(name, int(match[2]), "popularity" if match[1] == "popularity" else "uniform", masks)
    raise InputError(
        f"protocol {name!r} is not known: choose of {', '.join(NAMES)} (or another number than 99, up to "
        f"{MOST_NEGATIVES:,})."
    )
