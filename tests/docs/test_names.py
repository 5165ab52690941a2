"""What the documentation names must exist: tests, files, settings files and modules."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ids = [str(page.relative_to(ROOT)) for page in PAGES]


def _names(page: Path, pattern: str) -> set[str]:
    return set(re.findall(pattern, page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_test_a_page_names_exists(page: Path) -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = {f"{name}(" for name in _names(page, r"`(test_\w+)`")} | _names(page, r"`(test_\w+)…`")
    assert {name for name in named if f"def {name}" not in sources} == set()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_file_a_page_names_exists(page: Path) -> None:
    named = _names(page, r"\b(?:src/tacit|tests|configs|benchmarks)/[\w./-]*\w")
    assert {name for name in named if not list(ROOT.glob(f"{name}*"))} == set()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_module_a_page_names_exists(page: Path) -> None:
    """``tacit.a.b`` is a module, or a name in one."""
    for name in _names(page, r"(?:`|::: |from )(tacit(?:\.\w+)+)"):
        module, _, rest = name.rpartition(".")
        assert _is_module(name) or (_is_module(module) and _has(module, rest)), name


def _is_module(name: str) -> bool:
    path = ROOT / "src" / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _has(module: str, name: str) -> bool:
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None and name in Path(found.origin).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "algorithms").glob("*.md")), ids=lambda page: page.name)
def test_every_name_in_the_code_column_exists(page: Path) -> None:
    """Of a dotted name the last part: a file, a folder, or something that a source file defines."""
    paths = list((ROOT / "src").rglob("*"))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in paths if path.suffix == ".py")
    defined = set(re.findall(r"^\s*(?:def |class )?(\w+)\b(?=\(|:| =|\[)", sources, re.MULTILINE))
    defined |= {path.name for path in paths} | {path.stem for path in paths}
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = {name for row in rows if len(row) == 5 for name in re.findall(r"`([\w./]+)`", row[3])}
    assert {name for name in named if re.split(r"[./](?!py$)", name)[-1] not in defined} == set()
