"""The pages' files: small, whole, and safe to send under a strict content policy. A browser tests what they do."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

STATIC = files("tacit") / "serve" / "static"
NAMES = sorted(one.name for one in STATIC.iterdir() if one.is_file())
SCRIPTS = [name for name in NAMES if name.endswith(".js")]
PAGES = [name for name in NAMES if name.endswith(".html")]
WAYS_TO_MAKE_MARKUP = (
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "setHTML", "eval(", "Function(", "srcdoc",
    "DOMParser",
)  # fmt: skip


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags = list[tuple[str, dict[str, str | None]]]()
        self.text = list[tuple[str, str]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags:
            self.text.append((self.tags[-1][0], data.strip()))


def read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def test_capture_stays_small_and_needs_nothing_else() -> None:
    source = read("capture.js")
    assert len(source.encode()) < 6 * 1024
    assert "import " not in source


def test_all_pages_are_there() -> None:
    assert PAGES == ["dashboard.html", "index.html", "privacy.html"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_text(name: str) -> None:
    source = read(name)
    assert [way for way in WAYS_TO_MAKE_MARKUP if way in source] == []
    assert "style=" not in source and ".style" not in source.replace("style.css", "")


@pytest.mark.parametrize("name", NAMES)
def test_no_file_names_an_outside_address(name: str) -> None:
    outside = re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", read(name))
    assert set(outside) <= {"http://www.w3.org", "//www.w3.org"}  # the name of SVG's elements, which nobody fetches


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_inline_script_or_style_and_names_files_that_exist(name: str) -> None:
    reader = Reader()
    reader.feed(read(name))
    for tag, attributes in reader.tags:
        assert tag != "style" and "style" not in attributes
        assert not any(key.startswith("on") for key in attributes)
        if tag == "script":
            assert (STATIC / str(attributes["src"]).removeprefix("static/")).is_file()
        if tag == "link":
            assert (STATIC / str(attributes["href"]).removeprefix("static/")).is_file()
    assert not [text for tag, text in reader.text if tag == "script"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_its_words_from_the_file_of_strings(name: str) -> None:
    reader = Reader()
    reader.feed(read(name))
    assert [text for tag, text in reader.text if tag != "title"] == []
    named = re.findall(r"^  (\w+):", read("strings.js"), re.MULTILINE)
    for _, attributes in reader.tags:
        for key in ("data-text", "data-label", "data-hint"):
            assert attributes.get(key) is None or attributes[key] in named


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_string_a_script_uses_is_in_the_file_of_strings(name: str) -> None:
    named = set(re.findall(r"^  (\w+):", read("strings.js"), re.MULTILINE))
    assert set(re.findall(r"\bstrings\.(\w+)", read(name).replace("strings.js", ""))) <= named


def test_every_string_is_used() -> None:
    named = set(re.findall(r"^  (\w+):", read("strings.js"), re.MULTILINE))
    everything = " ".join(read(name) for name in NAMES if name != "strings.js")
    used = set(re.findall(r"strings\.(\w+)", everything)) | set(re.findall(r'data-\w+="(\w+)"', everything))
    spoken = {"more_like_this", "not_for_me", "seen_it"}  # by the names of the actions
    assert named - used - spoken == set()
