"""Columns of somebody's table, read one by one. What is wrong is said with the file, its row (from 1, the header not
counted), the column as they call it, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from tacit.offpolicy.log import Names, unfit
from tacit.types import Bools, Floats64, InputError

ROW, ENTRY = "row of the file", "entry of the list"  # columns of our own, both from 1
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0", "")
_NUMBERS = {"true": "1", "false": "0"}
_EXACT = 2.0**63  # whole numbers below it can be written as such


@dataclass(frozen=True, eq=False)
class Table:
    """``frame`` has our names; ``where`` is the file; ``theirs`` {our name: the column it was}."""

    frame: pl.DataFrame
    where: str
    theirs: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.frame.columns

    @property
    def height(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> str:
        """What the file has, in words."""
        names = [name for name in self.frame.columns if name not in (ROW, ENTRY)]
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        return f"it has {shown or 'none'}"

    def replaced(self, frame: pl.DataFrame) -> Table:
        """The same with other rows or columns."""
        return replace(self, frame=frame)

    def called(self, name: str) -> str:
        """A column in words: theirs, and ours where that is another."""
        theirs = self.theirs.get(name, name)
        return name if theirs == name else f"{theirs} ({name})"

    def at(self, i: int) -> str:
        """The place in the file of the i-th row of the frame."""
        row = self.frame[ROW][i] if ROW in self.frame.columns else i + 1
        entry = self.frame[ENTRY][i] if ENTRY in self.frame.columns else None
        return f"{self.where}, row {row}" + (f", entry {entry}" if entry is not None else "")

    def refuse(self, wrong: Bools, said: str) -> None:
        """``InputError`` with the first row of ``wrong`` [rows], and how many there are."""
        if wrong.any():
            count = int(wrong.sum())
            more = f" ({count:,} such rows)" if count > 1 else ""
            raise InputError(f"{self.at(int(np.flatnonzero(wrong)[0]))}: " + said.replace("{more}", more))

    def numbers(self, name: str, empty: bool = False) -> Floats64:
        """[rows] in float64; ``empty``: rows may have none, which become NaN. NaN in the file is none, too."""
        column, called = self.frame[name], self.called(name)
        if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Null)):
            raise InputError(f"{self.where}: {called} holds {column.dtype}, no numbers: write one number a row.")
        given = column
        if column.dtype == pl.String:
            given = column.str.strip_chars().replace("", None)
            column = given.str.to_lowercase().replace(_NUMBERS)
        found = column.cast(pl.Float64, strict=False).fill_nan(None)
        none = given.is_null() | (given.is_nan() if given.dtype.is_float() else False)
        if column.dtype == pl.String:
            none |= column.is_in(["nan", "na", "null", "none"])
        unread = (found.is_null() & ~none).to_numpy()
        if unread.any():
            value = str(given[int(np.flatnonzero(unread)[0])])[:40]
            lists = ": write lists as JSON, such as [0.5, 0.25]." if value.startswith("[") else ": write a number."
            self.refuse(unread, f"{called} is {value!r}, no number{{more}}{lists}")
        if not empty:
            self.refuse(none.to_numpy(), f"{called} is empty{{more}}: fill it in, or leave the rows out.")
        return np.asarray(found.fill_null(float("nan")).to_numpy(), dtype=np.float64)

    def fitting(self, name: str, ours: str, empty: bool = False) -> Floats64:
        """Numbers that a ``Log`` takes as its field ``ours``."""
        values = self.numbers(name, empty)
        wrong, said = unfit(ours, values, ~np.isnan(values))
        if wrong.any():
            self.refuse(wrong, f"{self.called(name)} is {values[wrong][0]:.6g}{{more}}: {said}")
        return values

    def names(self, name: str) -> Names:
        """[rows] of names, "" where there is none. A whole number is called the same whether it was written as 7 or,
        beside empty rows, as 7.0."""
        column = self.frame[name]
        if column.dtype.is_float():
            column = column.fill_nan(None)
            if column.is_null().all() or bool(((column == column.round()) & (column.abs() < _EXACT)).all()):
                column = column.cast(pl.Int64)
        try:
            column = column.cast(pl.String).fill_null("")
        except pl.exceptions.PolarsError:
            called = self.called(name)
            raise InputError(f"{self.where}: {called} holds {column.dtype}, no names: write text or numbers.") from None
        named = column.filter(column != "")
        if len(named) and named.str.contains(r"^-?\d+\.0$").all():
            column = column.str.strip_suffix(".0")
        return np.array(column.to_list(), dtype=object)

    def flags(self, name: str) -> Bools:
        """[rows] of true or false."""
        words = np.array([word.strip().lower() for word in self.names(name)], dtype=object)
        wrong = ~np.isin(words, _TRUE + _FALSE)
        if wrong.any():
            self.refuse(wrong, f"{self.called(name)} is {words[wrong][0][:40]!r}{{more}}: write true or false.")
        return np.asarray(np.isin(words, _TRUE))
