"""From a record of Amazon's 2018 metadata to an item: the cleaning rules of KAR's preprocessing.

KAR (https://github.com/YunjiaXi/Open-World-Knowledge-Augmented-Recommendation, preprocess/preprocess_amz.py:29-120).
One rule is not taken over: where a title has characters beyond ASCII, KAR replaces it by the whole alphabet, which then
stands in the prompts; here it is kept as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from string import ascii_letters, printable, punctuation, whitespace

from tacit.data.items import make_item, without_markup
from tacit.types import Item, ItemId

MAX_LENGTH = 150  # characters of a title or brand
UNKNOWN_BRAND, UNKNOWN_CATEGORY = "unknown brand", "unknown category"
_MISTAKEN = "EMINEM SHOW"  # a record under the id of another item
# Entities that are left when text was escaped twice.
_ENTITIES = {"&ndash;": "-", "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&nbsp;": " ", "&copy;": " "}
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”″", '"'),
        **dict.fromkeys("‘’´", "'"),
        **dict.fromkeys("–—−", "-"),
        **dict.fromkeys("\n\r", " "),
        **dict.fromkeys(map(chr, (127, 174, 160, 170, 8482, 188, 162, 189, 8594, 169, 235, 168, 957)), " "),
        **dict.fromkeys(map(chr, (12288, 8222, 179, 190, 173, 186, 8225)), " "),
        "…": "",
        "‚": ",",
        "【": "[",
        "】": "]",
    }
)
_PAGE = re.compile(r"^Visit Amazon's (.*) Page$")  # how the shop links an author's name


def book(id: ItemId, row: Mapping[str, object]) -> Item | None:
    """The item with the attributes ``brand``, ``category`` (the second level) and, where a brand is known, ``author``.

    A brand is the author as a rule, but named as the shop links to their page; ``author`` is the bare name, which
    texts use. None for the one record that KAR drops by its title.
    """
    raw = _string(row.get("title"))
    raw = without_markup(raw)
    title = clean(raw) or " ".join(html.unescape(raw).split()) or f"untitled book {id}"
    if title == _MISTAKEN:
        return None
    brand = clean(_string(row.get("brand"))) or UNKNOWN_BRAND
    nested = row.get("categories")  # 2014 has a list of paths
    category = _second_level(row.get("category") or (nested[0] if isinstance(nested, list) and nested else None))
    facts: dict[str, list[str]] = {}
    if category != UNKNOWN_CATEGORY:
        facts["genre"] = [category]
    attributes = {"brand": (brand.lower(),), "category": (category.lower(),)}
    if brand != UNKNOWN_BRAND:
        facts["writer"] = [_PAGE.sub(r"\1", brand)]
        attributes["author"] = (facts["writer"][0].lower(),)
    return Item(id, title, make_item(id, title, facts).text, attributes)


def clean(text: str) -> str | None:
    """Typographic characters made plain, at most ``MAX_LENGTH`` characters, cut after a whole word.

    None for what stays beyond printable ASCII, has no letter, or is shorter than three characters.
    """
    text = html.unescape(text)
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    text = re.sub(" +", " ", text.translate(_PLAIN)).strip()
    if not set(text) <= set(printable) or not set(text) & set(ascii_letters) or len(text) < 3:
        return None
    if len(text) > MAX_LENGTH:
        words = text[:MAX_LENGTH].strip().split(" ")[:-1]
        text = " ".join(words).rstrip(punctuation + whitespace)
    return text or None


def _second_level(category: object) -> str:
    name = _string(category[1]) if isinstance(category, list) and len(category) > 1 else ""
    return html.unescape(name).strip() or UNKNOWN_CATEGORY


def _string(value: object) -> str:
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""  # half characters can't be kept
