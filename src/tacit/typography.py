"""One plain form of text for whatever rules, lexicons and patterns read; people keep seeing the text as it was written.

Phones and word processors write other characters than keyboards do ("don’t", "…", a space that does not break), and a
rule that knows ``don't`` alone sees no negation in "don’t".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_APOSTROPHES = "‘’‚‛ʹʻʼʽˈ′‵`´＇｀‹›"
_QUOTES = "“”„‟″‶«»＂〝〞"
_DASHES = "‐‑‒–—―−﹘﹣－"
_SPACES = (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
_UNSEEN = (0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
_TABLE: dict[int, str | None] = {
    **{0xFEE0 + code: chr(code) for code in range(0x21, 0x7F)},  # full-width letters, digits and marks
    **{ord(character): "'" for character in _APOSTROPHES},
    **{ord(character): '"' for character in _QUOTES},
    **{ord(character): "-" for character in _DASHES},
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_UNSEEN),
    ord("…"): "...",
}

# (opening, closing) marks in which languages set titles. ‘English single’ and 'straight single' ones are left out:
# their closing mark is an apostrophe as well.
_PAIRS = '"" “” ”” „“ „” «» »« ‹› ›‹ ‚‘ ‚’ 「」 『』 《》 〈〉 ＂＂ 〝〞 〝〟 "” “"'
_QUOTED = re.compile("|".join(f"{pair[0]}[^{pair}\n]*{pair[1]}" for pair in _PAIRS.split()))


def quoted(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, what stands inside) of every part of ``text`` in quotation marks of whatever language."""
    for match in _QUOTED.finditer(text):
        yield match.start(), match.end(), match.group()[1:-1].strip()


def without_quoted(text: str) -> str:
    return _QUOTED.sub("", text)


def plain_type(text: str) -> str:
    """``text`` with plain apostrophes, quotes, dashes, dots, spaces and full-width letters, and nothing invisible."""
    return text if _is_plain(text) else text.translate(_TABLE)


def plain_type_with_places(text: str) -> tuple[str, list[int]]:
    """The same, and where each of its characters stood in ``text``; the last entry is the length of ``text``."""
    if _is_plain(text):
        return text, list(range(len(text) + 1))
    parts, places = [], []
    for place, character in enumerate(text):
        part = character.translate(_TABLE)
        parts.append(part)
        places += [place] * len(part)
    return "".join(parts), [*places, len(text)]


def _is_plain(text: str) -> bool:
    return text.isascii() and "`" not in text
