"""What a list's user had consumed before the list began."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tacit.rerank.lists.lists import FirstPlaces, Histories, Lists
from tacit.types import Ints32

RECENT = 20  # items of the history that make a user's mean


class Past:
    """What each list's user had consumed before the list began, for many lists at a time."""

    def __init__(self, histories: Histories, n_items: int) -> None:
        self._histories, self._first_places = histories, FirstPlaces(histories, n_items)

    def recent(self, lists: Lists, n: int = RECENT) -> Ints32:
        """[L, n] item rows, oldest first; −1 before the first one."""
        places = lists.start[:, None] + np.arange(-n, 0)
        rows = self._histories.offsets[lists.users][:, None] + places.clip(min=0)
        return np.where(places >= 0, self._histories.items[rows], -1).astype(np.int32)

    def seen(self, lists: Lists) -> npt.NDArray[np.bool_]:
        """[L, C], True where the candidate stands in the history before the list."""
        return np.asarray(self._first_places.of(lists.users, lists.items) < lists.start[:, None])
