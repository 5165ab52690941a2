"""Who is resampled: cases of one person are not independent, and one person may have many dialogues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.types import Dialogue

PERSONS = {"redial": "seekers"}  # what the persons of a data set are called; "users" elsewhere


@dataclass(frozen=True)
class Persons:
    """The group of each row of a table [n], and the ``unit`` that the groups are."""

    groups: npt.NDArray[np.generic]
    unit: str

    def of(self, rows: npt.NDArray[np.bool_]) -> Persons:
        """Those of some rows [n] alone."""
        return Persons(self.groups[rows], self.unit)


def persons(tables: Iterable[pl.DataFrame], dataset: str) -> Persons:
    """The persons behind the rows of ``tables``, which hold the same rows; by dialogue where persons are not known.

    They are not known in tables of before the column ``user``, and where no user has a second dialogue: OpenDialKG
    names nobody, so there every dialogue has a user of its own. A single user for all dialogues says as little (a
    placeholder, or a lone person, who tells nothing about others), but in ReDial, whose seekers are persons.
    """
    several = list(tables)
    named = next((table for table in several if "user" in table.columns), None)
    if named is None:
        return Persons(several[0]["dialogue"].to_numpy(), "dialogues")
    users, dialogues = named["user"].n_unique(), named["dialogue"].n_unique()
    if dataset in PERSONS or 1 < users < dialogues:
        return Persons(named["user"].to_numpy(), PERSONS.get(dataset, "users"))
    return Persons(named["dialogue"].to_numpy(), "dialogues")


def of_dialogues(dialogues: Sequence[Dialogue]) -> Persons:
    """Who is resampled, a row a dialogue [n]: users where they recur, else dialogues, as ``persons``."""
    users, ids = [dialogue.user for dialogue in dialogues], [dialogue.id for dialogue in dialogues]
    by_user = 1 < len(set(users)) < len(set(ids))
    return Persons(np.array(users if by_user else ids), "users" if by_user else "dialogues")
