"""Text from data on its way to a terminal: no control sequence, no reordering of what stands beside it, no markup."""

from __future__ import annotations

import logging
import unicodedata

# Marks that turn the direction of the text around them (Unicode Standard Annex 9): they can make one line show another.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LAYOUT = frozenset("\n\t")


def printable(text: object, layout: str = "") -> str:
    r"""Control characters, lone surrogates, line separators and direction marks as ``\x1b`` or ``\u202e``.

    ``layout``: characters among line break and tab that may stay. A line of ``json.dumps`` keeps its value.
    """
    kept = _LAYOUT & set(layout)
    return "".join(c if c in kept or not _unsafe(c) else _escaped(c) for c in str(text))


def _unsafe(character: str) -> bool:
    return character in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x20 else f"\\u{number:04x}"


class PlainFormatter(logging.Formatter):
    """Log lines as they are, less what a terminal would obey; line breaks of tracebacks stay."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), layout="\n\t")
