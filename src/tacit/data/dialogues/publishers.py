"""What the readers of published data sets share."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.data.lines import read_json
from tacit.types import InputError

log = logging.getLogger("tacit")


def read_info(path: Path) -> dict[str, dict[str, Any]]:
    """``id2info.json``: an object of facts by item id."""
    info = read_json(path)
    if not isinstance(info, dict) or not all(isinstance(facts, dict) for facts in info.values()):
        raise InputError(f"{path} is not an object of facts by item id: fetch it again.")
    return info


def say_silent(path: Path, unit: str, numbers: Sequence[int], dropped: Counter[str] | None) -> None:
    """Count, or else say, the dialogues that were left out because the user never speaks in them."""
    if numbers and dropped is not None:
        dropped["dialogues without a user turn"] += len(numbers)
    elif numbers:
        some = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        log.warning("%s: %d dialogues without a user turn are left out (%s %s)", path, len(numbers), unit, some)
