"""What was done is not done again: one small file a step, in place when the step has ended."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tacit.run.files import atomic_write, read_json

log = logging.getLogger("tacit")


class Steps:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, name: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What ``do`` returned, now or when it was done, and ``took_s``, seconds; a step that was killed is begun
        again."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            log.info("loop: %s", name)
            begun = time.monotonic()
            done = {**do(), "took_s": round(time.monotonic() - begun, 3)}
            atomic_write(path, json.dumps(done, indent=1, allow_nan=False) + "\n")
        return read_json(path, "delete it, and the step is done again.")
