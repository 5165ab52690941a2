"""The plain form of text, and where its characters stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.typography import _TABLE, plain_type, plain_type_with_places


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
