"""Wishes → what the slate's logits read: features of every candidate, a margin for what was asked, and what is out.

The learnt weights of the features say how far recommenders follow a wish. The margin is no weight: an item costs it for
each thing asked for that the item lacks, so that a stated wish is met where anything meets it, whatever recommenders
in the training dialogues did.
"""

from __future__ import annotations

import numpy as np

from tacit.dialogue.policy.wishes.attributes import AttributeIndex, Part
from tacit.dialogue.policy.wishes.state import Wish, Wishes
from tacit.types import Bools, Floats32

FEATURES = ("categories", "numbers", "people", "likeness", "unwanted", "liked")
START = (2.0, 2.0, 2.0, 1.0, -3.0, 0.0)  # nats, before any training
_OF_KIND = {"category": 0, "number": 1, "person": 2, "likeness": 3}
FADE = 0.95  # weight of a wish against one that was said a wishing turn later
IMPLIED = 0.9  # what lacking a kind costs that other words than its own ask for, against one asked for by name
RECEDED = 0.3  # weight of what went with an earlier wish, in place of which another stands
TASTE = 0.5  # weight of "I like comedies" against "a comedy, please"


def weight(wish: Wish, wishes: Wishes) -> float:
    share = wish.part.tells * (TASTE if wish.taste else 1.0)
    return float(FADE ** (wishes.turn - wish.turn)) * share * (RECEDED if wish.receded else 1.0)


def features(wishes: Wishes, index: AttributeIndex) -> Floats32:
    """[len(FEATURES), n_items], shares in [0, 1]: of the wanted categories, numbers, people and likenesses that an item
    has, by weight; of the unwanted that it has; and likeness to the nearest title the user said to like."""
    found = np.zeros((len(FEATURES), index.n_items), dtype=np.float32)
    total = np.zeros(len(FEATURES), dtype=np.float32)
    for wish in wishes.wanted:
        place, w = _OF_KIND[wish.part.kind], weight(wish, wishes)
        found[place] += w * index.satisfied(wish.part)
        total[place] += w
    for wish in wishes.unwanted:
        found[4] = np.maximum(found[4], index.satisfied(wish.part))
    if wishes.liked:
        found[5] = index.satisfied(Part("liked", "likeness", like=wishes.liked[-3:]))
    shared = total > 0
    found[shared] /= total[shared, None]
    return found


def unmet(wishes: Wishes, index: AttributeIndex) -> Floats32:
    """[n_items]: by weight, how much of what is wanted an item lacks; what the catalogue does not tell is lacking."""
    lacking = np.zeros(index.n_items, dtype=np.float32)
    for wish in wishes.wanted:
        cost = weight(wish, wishes) * (1.0 if wish.part.exact else IMPLIED)
        lacking += cost * (1.0 - index.satisfied(wish.part))
    return lacking


def excluded(wishes: Wishes, index: AttributeIndex, size: int) -> Bools:
    """[n_items], True where an item was plainly excluded: unwanted, rejected, seen, or a work that the user named.

    Where fewer than ``size`` items would be left, the refusals are relaxed in this order until enough are: unwanted
    kinds and people, oldest first; rejected titles; seen titles.
    """
    layers = [_rows(wishes.seen | wishes.twins, index), _rows(wishes.rejected, index)]
    layers += [index.satisfied(w.part) >= 1.0 for w in sorted(wishes.unwanted, key=lambda w: -w.turn)]
    while layers:
        out: Bools = np.logical_or.reduce(layers)
        if index.n_items - int(out.sum()) >= min(size, index.n_items):
            return out
        layers.pop()
    return np.zeros(index.n_items, dtype=bool)


def _rows(rows: frozenset[int], index: AttributeIndex) -> Bools:
    out = np.zeros(index.n_items, dtype=bool)
    out[list(rows)] = True
    return out
