"""Items, tokens, rates and counts, each by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_log import START_MS, Clock

from tacit.catalog import Catalog
from tacit.dialogue.policy.facts import Facts
from tacit.events.keys import Keys
from tacit.events.schema import Event, Verdict
from tacit.serve.aggregates import Aggregates, quantile
from tacit.serve.buckets import Buckets
from tacit.serve.cards import LINE, told
from tacit.serve.items import Shelf, read_changes
from tacit.serve.tokens import Tokens, browser_token, read_browser_token
from tacit.types import InputError, Item

CHAT = frozenset({"chat"})


def test_a_cards_reason_is_one_line() -> None:
    cast = tuple(f"A Person of a Long Name {k}" for k in range(3))
    plot = " ".join(["A thief is hunted by the one who trusted her"] * 5) + "."
    people = {"director": ("Michael Mann",), "star": cast}
    assert told(Facts("Heat", plot="A heist goes wrong.", genres=("crime",), people=people)) == (
        "directed by Michael Mann; A heist goes wrong."  # the cast, 87 letters, fits no more; genres stand on the card
    )
    for known in (Facts("Heat", plot=plot), Facts("Heat", people=people, plot=plot), Facts("Heat", plot="x" * 400)):
        assert len(told(known)) <= LINE
    assert told(Facts("Heat", plot=plot)).endswith(" ...")
    assert told(Facts("Heat", genres=("crime",))) == "fits this conversation"


def test_who_is_not_known_to_meet_a_restriction_is_not_shown_the_item() -> None:
    films = Catalog([Item(id, id, id) for id in "abcd"])
    text = b"""{"withdrawn": ["a", "unknown"], "restricted": {"b": {"markets": ["de"]}, "c": {"min_age": 18},
               "d": {"in_stock": false}}}"""
    shelf = Shelf(films, read_changes(text))

    def shown(market: str | None, age: int | None) -> str:
        mask, _ = shelf.shown_to(market, age)
        assert mask is not None
        return "".join(id for id, open in zip("abcd", mask, strict=True) if open)

    assert (shown(None, None), shown("de", 17), shown("fr", 18), shown("de", 18)) == ("", "b", "c", "bc")
    assert shelf.shown_to("de", 18)[1] != shelf.shown_to("fr", 18)[1]
    plain = Shelf(films, read_changes(b"{}"))
    assert plain.shown_to(None, None)[0] is None and plain.version != shelf.version


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"withdraw": []}',
        b'{"restricted": {"a": {"min_age": -1}}}',
        b'{"added": [{"id": "x"}]}',
        b'{"added": [{"id": "x", "title": "X"}, {"id": "x", "title": "Y"}]}',
        b'{"withdrawn": ["\xff"]}',
    ],
)
def test_changes_that_are_none_are_refused(text: bytes) -> None:
    with pytest.raises(InputError):
        read_changes(text)


def test_a_browser_s_token_is_good_until_it_expires_and_unchanged(tmp_path: Path) -> None:
    keys = Keys.load(tmp_path, create=True)
    token = browser_token(keys, "u1", "s1", 1000)
    who = read_browser_token(keys, token, 999, CHAT)
    assert who is not None and (who.user, who.session) == ("u1", "s1")
    assert read_browser_token(keys, token, 1000, CHAT) is None
    for changed in (token[:-1], token + "A", token.replace("b1.", "b1.A"), token.upper(), "b1.", token + "\udcff"):
        assert read_browser_token(keys, changed, 0, CHAT) is None
    other = Keys.load(tmp_path / "other", create=True)
    assert read_browser_token(other, token, 0, CHAT) is None


def test_a_server_s_token_is_stored_as_a_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = Tokens(path).make("shop", CHAT)
    assert token not in path.read_text()
    who = Tokens(path).who(token)
    assert who is not None and who.name == "shop" and who.may("chat") and not who.may("users")
    assert Tokens(path).who(token + "x") is None
    with pytest.raises(InputError, match="is there"):
        Tokens(path).make("shop", CHAT)
    with pytest.raises(InputError, match="scope"):
        Tokens(path).make("other", frozenset({"all"}))


def test_a_token_made_or_removed_by_another_process_counts_from_the_next_request_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens.json"
    running = Tokens(path)
    token = Tokens(path).make("shop", CHAT)
    assert running.who(token) is not None
    text = path.read_text()
    path.write_text("{")
    assert running.who(token) is not None and "tokens.json" in caplog.text
    path.write_text(text.replace("shop", "another"))
    assert running.make("shop", CHAT) != token
    path.unlink()
    assert running.who(token) is None


def test_a_bucket_of_three_that_fills_by_two_a_second() -> None:
    now = [0.0]
    buckets = Buckets(2.0, 3.0, most=2, clock=lambda: now[0])
    assert [buckets.wait_s("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.wait_s("b") == 0.0
    now[0] = 0.5
    assert [buckets.wait_s("a") for _ in range(2)] == [0.0, 0.5]


def test_growing_times_in_view_are_counted_once(tmp_path: Path) -> None:
    clock = Clock()
    counts = Aggregates(tmp_path / "counts.json", clock)
    counts.answered(0, "v1", slate=True, explored=True, first_byte_ms=11)
    counts.answered(1, "v1", slate=True, explored=False, first_byte_ms=11)
    for k, (exposure, ms) in enumerate([("x", 400), ("x", 1000), ("x", 700), ("y", 50)]):
        seen = Event(
            event_id=f"e{k}",
            exposure_id=exposure,
            signature="s",
            kind="visible",
            seq=k,
            visible_ms=ms,
            censored=True,
        )
        counts.accepted([seen, seen], [Verdict("accepted", "e"), Verdict("duplicate", "e")])
    counts.save()
    row = Aggregates(tmp_path / "counts.json", clock).rows()[0]
    assert (row["dwell_ms"], row["dwell_slates"], row["events"]) == (1050, 2, 4)
    assert (row["conversations"], row["turns"], row["slates"], row["explore_share"]) == (1, 2, 2, 0.5)
    assert row["first_byte_ms"] == {"p50": 12, "p95": 12} and row["reply_ms"] == {"p50": None, "p95": None}
    assert row["hour_ms"] == START_MS // 3_600_000 * 3_600_000 and quantile([0, 1], 0.5) == 12
