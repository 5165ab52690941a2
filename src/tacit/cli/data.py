"""``tacit data check``: bad lines on stdout, a summary on stderr."""

from __future__ import annotations

import sys
from pathlib import Path

from tacit.catalog import Catalog
from tacit.data.dialogues.check import check
from tacit.run.progress import progress
from tacit.types import InputError


def check_file(path: Path, items: Path | None) -> int:
    """Print ``FILE:LINE: reason`` for every bad line; returns how many there are."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a file with one dialogue a line.")
    catalog = Catalog.load(items) if items else None
    with progress(path.stat().st_size, f"checking {path.name} (bytes)") as bar:
        result = check(path, catalog, lambda problem: print(f"{path}:{problem.line}: {problem.reason}"), bar.advance)
    verdict = f"{result.bad} bad" if result.bad else "all good"
    print(f"{path}: {result.lines} lines, {verdict}, {result.turns} turns in the good ones", file=sys.stderr)
    return result.bad
