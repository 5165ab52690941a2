"""What is private is taken out; what is only a title or a year stays."""

from __future__ import annotations

import pytest

from tacit.events.redaction import LONGEST, redacted


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("write to jane.doe+films@example.co.uk!", "write to [e-mail]!"),
        ("MAIL: <müller@beispiel.de>", "MAIL: <[e-mail]>"),
        ("call +49 171 2345678 please", "call [phone] please"),
        ("0171/234 56 78", "[phone]"),
        ("(555) 123-4567 or 555-123-4567", "[phone] or [phone]"),
        ("06 12 34 56 78", "[phone]"),
        ("my card 4111 1111 1111 1111, ok", "my card [card], ok"),
        ("5500-0000-0000-0004", "[card]"),
        ("Authorization: Bearer abcDEF123456._-", "Authorization: [token]"),
        ("sk-proj-abcdefghijklmnop1234", "[token]"),
        ("ghp_ABCDEFabcdef0123456789ABCDEFabcdef01", "[token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123", "[token]"),
        ("d41d8cd98f00b204e9800998ecf8427e", "[token]"),
        ("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1", "[token]"),
    ],
)
def test_taken_out(text: str, kept: str) -> None:
    assert redacted(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "2001: A Space Odyssey (1968), 12 Angry Men (1957), 1917, Se7en",
        "films from 1990-2000 or 1985 - 1999",
        "10 Things I Hate About You; 127 Hours; 300; 21 Grams",
        "I give it 9.5/10 @ home, 100 % yes",
        "500 Days of Summer 1994 1995",
        "supercalifragilisticexpialidocious-and-more-words-in-a-row",
        "The Lord of the Rings: The Fellowship of the Ring",
    ],
)
def test_kept(text: str) -> None:
    assert redacted(text) == text


def test_a_number_that_fails_the_check_digit_is_no_card() -> None:
    assert "[card]" not in redacted("4111 1111 1111 1112")


def test_what_no_database_holds_is_left_out_and_length_is_bounded() -> None:
    assert redacted("a\x00b\ud800c") == "abc"
    assert len(redacted("x" * 10 * LONGEST)) <= LONGEST


@pytest.mark.parametrize("text", ["a" * LONGEST, "1 " * LONGEST, "a.@" * LONGEST, "Aa1/" * LONGEST, "+0(" * LONGEST])
def test_long_runs_that_nearly_fit_a_pattern(text: str) -> None:
    """One that tried every split of such a run would not end within hours. Nothing is left that a second pass finds."""
    once = redacted(text)
    assert len(once) <= LONGEST and redacted(once) == once
