"""Lines of Amazon's 2018 release, with all the keys that it has."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

DAY = 86_400


def review(user: str, item: str, stars: float | None, day: int, **more: Any) -> dict[str, Any]:
    """A line as the release has it; ``None`` stars is a review without the key."""
    row: dict[str, Any] = {} if stars is None else {"overall": stars}
    row |= {"vote": "2", "verified": True, "reviewTime": "03 30, 2005", "reviewerID": user, "asin": item}
    row |= {"style": {"Format:": " Hardcover"}, "reviewerName": "June", "reviewText": 'A "good" book — é\n'}
    return row | {"summary": "Good", "unixReviewTime": day * DAY} | more


def metadata(item: str, title: str, brand: str, category: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"category": category, "tech1": "", "description": ["A book"], "title": title, "brand": brand}
    return row | {"feature": [], "rank": "1 in Books (", "price": "$5", "asin": item}


def write(path: Path, rows: list[Any]) -> None:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
