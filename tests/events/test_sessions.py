"""A session of the log as a dialogue: what was not observed stays unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_records import seen
from tiny_log import START_MS, exposure
from typer.testing import CliRunner

from tacit.catalog import Catalog
from tacit.cli.main import app
from tacit.data.dialogues import logs
from tacit.events import dialogues
from tacit.events.schema import Event, Shown, counted
from tacit.events.sessions import dialogue, feedback
from tacit.events.store import Record
from tacit.types import Feedback, Item, Judgement, Slate


def visible(ms: int, censored: bool = False, **more: Any) -> dict[str, Any]:
    return {"kind": "visible", "visible_ms": ms, "censored": censored, **more}


def test_a_dialogue_by_hand() -> None:
    one = seen(
        {"kind": "click", "device": "phone"},
        visible(2500, item_id=None),
        {"kind": "reply", "latency_ms": 700, "item_id": None},
    )
    two = seen(
        of=exposure("x2", turn=1, decision="reply", items=(), created_ms=START_MS + 60_000), asked="More?", said="Why?"
    )
    found = dialogue([one, two])
    assert found is not None
    assert (found.id, found.user) == ("s1", "u1")
    assert [(turn.speaker, turn.text, turn.time_s) for turn in found.turns] == [
        ("user", "Like Heat?", START_MS / 1000 - 1),
        ("agent", "Try a.", START_MS / 1000 + 2),
        ("user", "More?", START_MS / 1000 + 59),
        ("agent", "Why?", START_MS / 1000 + 62),
    ]
    assert found.turns[1].slate == Slate(("a", "b"), (0.5, 0.25)) and found.turns[1].mentions == ("a", "b")
    assert found.turns[1].feedback == Feedback(dwell_s=2.5, clicked=("a",), latency_s=0.7, left=False, device="phone")
    assert found.turns[3].slate is None and found.turns[3].feedback is None


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], None),
        ([{"kind": "scroll", "item_id": None, "scroll_depth": 0.0}], Feedback(scroll_depth=0.0, clicked=())),
        ([{"kind": "click", "item_id": "b"}, {"kind": "click"}], Feedback(clicked=("a", "b"))),
        ([{"kind": "accept"}], Feedback(clicked=(), accepted=True)),
        ([{"kind": "not_for_me"}], Feedback(clicked=())),
        ([{"kind": "not_for_me"}, {"kind": "dismiss", "item_id": "b"}], Feedback(clicked=(), accepted=False)),
        ([{"kind": "session_end", "item_id": None, "reason": "closed"}], Feedback(clicked=(), left=True)),
        ([visible(0)], Feedback(clicked=(), dwell_s=0.0)),
        # cumulative: the largest, whatever the order; the last report by number says whether it is the end
        ([visible(900, seq=5), visible(400, censored=True, seq=3)], Feedback(clicked=(), dwell_s=0.9)),
        ([visible(400, seq=3), visible(900, censored=True, seq=5)], Feedback(clicked=())),
        # of the reply as a whole, else the item that was longest in view
        ([visible(900), visible(300, item_id="b")], Feedback(clicked=(), dwell_s=0.9)),
        ([visible(900), visible(300, censored=True, item_id="b")], Feedback(clicked=())),
        ([visible(900, censored=True), visible(1200, item_id=None)], Feedback(clicked=(), dwell_s=1.2)),
    ],
)  # fmt: skip
def test_feedback_by_hand(events: list[dict[str, Any]], expected: Feedback | None) -> None:
    assert feedback(seen(*events), went_on=False) == expected


def test_that_a_person_went_on_is_observed_without_any_report() -> None:
    assert feedback(seen(), went_on=True) == Feedback(left=False)


@pytest.mark.parametrize("state", ["undelivered", "partial", None])
def test_a_slate_that_did_not_arrive_is_not_in_the_dialogue(state: str | None) -> None:
    found = dialogue([seen({"kind": "click"}, state=state), seen(of=exposure("x2", turn=1), asked="Hello?")])
    assert found is not None
    assert [turn.text for turn in found.turns] == ["Like Heat?", "Hello?", "Try a."]


def test_greedy_slates_have_no_propensities() -> None:
    shown = exposure(deterministic=True, p_recommend=1.0, items=(Shown("a", 1, 1.0),))
    found = dialogue([seen(of=shown)])
    assert found is not None and found.turns[1].slate == Slate(("a",))


def test_of_several_answers_the_voted_one_stands_else_the_last() -> None:
    other = seen(of=exposure("x2"), said="Other.")

    def text(*votes: dict[str, Any]) -> str:
        found = dialogue([seen(*votes), other])
        assert found is not None and len(found.turns) == 2
        return found.turns[1].text

    vote = {"kind": "vote", "item_id": None, "against": "x2"}
    assert text() == "Other."
    assert text({**vote, "value": 1}) == "Try a."
    assert text({**vote, "value": -1}) == "Other."
    assert text({**vote, "value": 0}) == "Other."


def test_words_about_items() -> None:
    found = dialogue(
        [
            seen(
                {"kind": "not_for_me"},
                {"kind": "more_like_this"},
                {"kind": "seen_it"},
                {"kind": "seen_it", "item_id": "b"},
            )
        ]
    )
    assert found is not None
    assert found.judgements == {
        "a": Judgement(suggested=True, seen=True, liked=True),
        "b": Judgement(suggested=True, seen=True),
    }


def test_words_past_their_time_and_clocks_that_go_back() -> None:
    assert dialogue([]) is None
    assert dialogue([Record(exposure(), "train")]) is None
    assert dialogue([seen(asked=None, asked_ms=None)]) is None
    found = dialogue([seen(of=exposure("x1")), seen(of=exposure("x2", turn=1, created_ms=START_MS - 10**6))])
    assert found is not None and {turn.time_s for turn in found.turns} == {None}


REPORTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["visible", "click", "seen_it", "not_for_me", "more_like_this", "session_end", "accept"]
            )
        },
        optional={
            "item_id": st.sampled_from(["a", "b"]),
            "visible_ms": st.integers(0, 9000),
            "scroll_depth": st.floats(0, 1),
            "latency_ms": st.integers(0, 9000),
            "device": st.sampled_from(["phone", "desktop"]),
        },
    ).map(lambda event: {**event, "censored": False} if "visible_ms" in event else event),
    max_size=12,
)


@given(REPORTS, st.randoms(use_true_random=False), st.integers(-(10**11), 10**11))
@settings(max_examples=60, deadline=None)
def test_order_skewed_clocks_and_losses(reports: list[dict[str, Any]], chance: Any, skew_ms: int) -> None:
    """Complete reports give one dialogue in whatever order they come, whatever the device's clock says; where some are
    lost, no time in view, no depth and no click is more than it was."""
    clean = seen(*reports)
    events = [(when, replace_event(event, max(0, START_MS + skew_ms))) for when, event in clean.events]
    chance.shuffle(events)
    assert dialogue([replace(clean, events=tuple(events))]) == dialogue([clean])
    kept = replace(clean, events=tuple(pair for pair in events if chance.random() > 0.3))
    whole, part = feedback(clean, False) or Feedback(), feedback(kept, False) or Feedback()
    largest = counted(event for _, event in clean.events)
    longest = max((of_item.get("visible_ms", 0) for of_item in largest.values()), default=0)
    assert (part.dwell_s or 0) <= longest / 1000
    assert (part.scroll_depth or 0) <= (whole.scroll_depth or 0)
    assert set(part.clicked or ()) <= set(whole.clicked or ())


def replace_event(event: Event, client_ms: int) -> Event:
    return msgspec.structs.replace(event, client_ms=client_ms)


ITEMS = [Item("a", "Heat", "Heat (1995)."), Item("b", "Ronin", "Ronin (1998).")]


def test_the_export_is_own_logs_that_are_read_and_checked(tmp_path: Path) -> None:
    """The round trip by the real commands: `tacit events export`, then `tacit data check` and the reader of runs."""
    from tiny_log import Log

    Catalog(ITEMS).save(tmp_path / "items.jsonl")
    with Log(tmp_path) as log:
        for k in range(3):
            created = START_MS + 60_000 * k
            shown = log.show(
                exposure(f"x{k}", turn=k % 2, session_id=f"s{k // 2}", created_ms=created), said="Try Heat."
            )
            log.clock.now_ms += 5000
            log.send(log.event(shown), log.event(shown, "visible", "b", visible_ms=3000, censored=False))
        log.show(exposure("y", session_id="s8", user="u2", items=(Shown("gone", 1, 0.5),), created_ms=START_MS + 10**6))
        log.show(exposure("z", session_id="s9", user="u3", created_ms=START_MS + 10**6))
        log.writer.consent("u3", "store").result()
    words = ["events", "export", str(tmp_path / "log.sqlite"), "--dialogues", str(tmp_path / "train.jsonl")]
    result = CliRunner().invoke(app, [*words, "--items", str(tmp_path / "items.jsonl")])
    assert result.exit_code == 0, result.output
    assert "2 dialogues" in result.stderr and "1 sessions with an item" in result.stderr
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path / "train.jsonl")])
    assert checked.exit_code == 0 and "2 lines, all good" in checked.stderr, checked.output
    assert "of the slates carry a propensity: 100%" in checked.stderr
    catalog = Catalog(ITEMS)
    first, second = (found for _, found in logs.read(tmp_path / "train.jsonl", catalog))
    assert [turn.mentions for turn in first.turns] == [("a",), ("a", "b"), ("a",), ("a", "b")]
    assert first.turns[1].feedback == Feedback(dwell_s=3.0, clicked=("a",), left=False)
    assert second.turns[1].slate == Slate(("a", "b"), (0.5, 0.25))
    left_out = Counter[str]()
    from tacit.events.store import open_store

    assert list(dialogues.read(open_store(tmp_path / "log.sqlite"), catalog, left_out)) == [first, second]
