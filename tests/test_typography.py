"""The plain form of text, and where its characters stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.typography import _TABLE, plain_type, plain_type_with_places, quoted, without_quoted


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *((f"I don{mark}t", "I don't") for mark in "'’‘ʼ´`′＇"),
        ("“Heat” «Alien» „Up“", '"Heat" "Alien" "Up"'),
        ("well – no — yes − 3", "well - no - yes - 3"),
        ("hm…", "hm..."),
        ("no\u00a0thanks\u3000not\u202freally", "no thanks not really"),
        ("do\u200bn’t\ufeff so\u00adft", "don't soft"),
        ("ｄｏｎ＇ｔ！", "don't!"),
        ("Amélie, 東京, 👍", "Amélie, 東京, 👍"),
    ],
)
def test_plain_type(text: str, plain: str) -> None:
    assert plain_type(text) == plain


@given(st.text(st.one_of(st.characters(), st.sampled_from([chr(code) for code in _TABLE])), max_size=40))
def test_places_point_at_what_was_written(text: str) -> None:
    plain, places = plain_type_with_places(text)
    assert plain == plain_type(text) == plain_type(plain)
    assert len(places) == len(plain) + 1 and places[-1] == len(text)
    assert sorted(places) == places
    assert all(plain[k] in plain_type(text[place]) for k, place in enumerate(places[:-1]))
    assert "".join(plain_type(character) for character in text) == plain


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('Try "Heat" or "Up".', ["Heat", "Up"]),
        ("Try “Heat” or “Up”.", ["Heat", "Up"]),
        ("Vielleicht „Der Pate“ oder „M“?", ["Der Pate", "M"]),
        ("Może „Popiół i diament” dziś?", ["Popiół i diament"]),
        ("Plutôt « Le Cercle rouge » ou «Alien».", ["Le Cercle rouge", "Alien"]),
        ("Lieber »Metropolis« oder ›Nosferatu‹, ‚Faust‘.", ["Metropolis", "Nosferatu", "Faust"]),
        ("「七人の侍」か『羅生門』、《英雄》", ["七人の侍", "羅生門", "英雄"]),
        ("Kanske ”Det sjunde inseglet”?", ["Det sjunde inseglet"]),
        ("I don't, and it's 'fine', isn’t it", []),
    ],
)
def test_quoted_in_any_language(text: str, parts: list[str]) -> None:
    found = list(quoted(text))
    assert [part for _, _, part in found] == parts
    assert all(part in text[start + 1 : end - 1] for start, end, part in found)
    assert not any(part in without_quoted(text) for part in parts if len(part) > 1)
