"""Batches of events as they come from outside: one verdict an event, whatever the bytes."""

from __future__ import annotations

import contextlib
import json
import math
import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from tiny_log import START_MS, exposure

from tacit.events.schema import MAX_BODY, BadBatch, Event, Shown, Verdict, check, counted, read_batch, uuid7

GOOD = {"event_id": "e1", "exposure_id": "x1", "signature": "s", "kind": "click", "seq": 0, "item_id": "a"}


def verdict(**changes: Any) -> str:
    """Of the good event with changes; a value of ... leaves the key out."""
    event = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    (read,) = read_batch(json.dumps({"events": [event]}).encode())
    return "read" if isinstance(read, Event) else str(read.reason)


def test_a_good_event_is_read() -> None:
    assert verdict() == "read"
    assert verdict(visible_ms=0, censored=False) == "read"


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": ...},
        {"event_id": ""},
        {"event_id": "a b"},
        {"event_id": "a\n"},
        {"event_id": "x" * 65},
        {"kind": "purchase"},
        {"seq": -1},
        {"seq": 1.5},
        {"visible_ms": -1},
        {"visible_ms": 10**15},
        {"visible_ms": "7"},
        {"visible_ms": math.nan},
        {"visible_ms": 1e308},
        {"max_ratio": 1.01},
        {"max_ratio": -math.inf},
        {"max_ratio": math.nan},
        {"item_id": "a\x00"},
        {"item_id": "x" * 257},
        {"item_id": "\ud800"},
        {"comment": "words of a person"},
        {"censored": 1},
        {"value": 2},
    ],
)
def test_malformed(changes: dict[str, Any]) -> None:
    assert verdict(**changes) == "malformed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 2}, "unsupported_schema"),
        ({"item_id": ...}, "incomplete"),
        ({"kind": "thumb", "item_id": ...}, "incomplete"),
        ({"kind": "vote", "value": 1}, "incomplete"),
        ({"kind": "vote", "value": 1, "against": GOOD["exposure_id"]}, "incomplete"),
        ({"visible_ms": 10}, "incomplete"),
    ],
)
def test_what_it_lacks(changes: dict[str, Any], reason: str) -> None:
    assert verdict(**changes) == reason


def test_a_bad_event_takes_no_other_with_it_and_keeps_its_id() -> None:
    rows = [{**GOOD, "seq": -1}, GOOD, 7, None, {"event_id": "a b"}, {"seq": math.nan}]
    read = read_batch(json.dumps({"events": rows}).encode())
    assert isinstance(read[1], Event)
    others = [read[0], *read[2:]]
    assert others == [
        Verdict("rejected", "e1", "malformed"),
        Verdict("rejected", None, "malformed"),
        Verdict("rejected", None, "malformed"),
        Verdict("rejected", None, "malformed"),
        Verdict("rejected", None, "malformed"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"events": 1}',
        b'{"events": []}',
        b"\xff\xfe",
        b'{"events": [' * 1000,
    ],
)
def test_no_batch_at_all(body: bytes) -> None:
    with pytest.raises(BadBatch) as refusal:
        read_batch(body)
    assert not refusal.value.too_large


def test_too_large() -> None:
    for body in (b" " * (MAX_BODY + 1), json.dumps({"events": [1] * 201}).encode()):
        with pytest.raises(BadBatch) as refusal:
            read_batch(body)
        assert refusal.value.too_large


def test_nesting_without_end_is_malformed_json() -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    for body in (b'{"events": [' + deep + b"]}", b'{"events": [{"event_id": "e", "x": ' + deep + b"}]}"):
        with contextlib.suppress(BadBatch):
            assert all(isinstance(read, Verdict) for read in read_batch(body))


@given(st.lists(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5), min_size=1))
@settings(max_examples=50, deadline=None)
def test_anything_in_json_gets_a_verdict(rows: list[Any]) -> None:
    body = json.dumps({"events": rows[:200]}).encode()
    read = read_batch(body)
    assert [result.status for result in read if isinstance(result, Verdict)] == ["rejected"] * len(rows[:200])


def test_counters_are_the_largest_seen_whatever_the_order() -> None:
    """10, 40, 30 ms and one lost and one repeated report are 40 ms; what nobody counted is absent, not 0."""
    reports = [Event(**{**GOOD, "event_id": f"e{k}", "visible_ms": ms, "seq": k}) for k, ms in enumerate((10, 40, 30))]
    for order in ([0, 1, 2], [2, 1, 0, 0], [1]):
        assert counted([reports[k] for k in order]) == {"a": {"visible_ms": 40}}


def test_counters_of_zero_are_observed() -> None:
    assert counted([Event(**GOOD, visible_ms=0)]) == {"a": {"visible_ms": 0}}
    assert counted([Event(**GOOD)]) == {}


def test_the_probability_of_an_exposure_by_hand() -> None:
    """0.8 · 0.5 · 0.25 = 0.1; of a reply that recommends nothing, 1 − 0.8."""
    assert exposure().logprob == pytest.approx(math.log(0.1))
    assert exposure(decision="reply", items=()).logprob == pytest.approx(math.log(0.2))


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "reply"},
        {"items": ()},
        {"items": (Shown("a", 1, 0.5), Shown("a", 2, 0.5))},
        {"items": (Shown("a", 1, 0.5), Shown("b", 1, 0.5))},
        {"items": (Shown("a", 1, 0.0),)},
        {"items": (Shown("a", 1, 1.5),)},
        {"items": (Shown("a", 1, math.nan),)},
        {"p_recommend": 0.0},
        {"p_recommend": math.inf},
        {"deterministic": True},
        {"expires_ms": START_MS},
        {"epsilon": 2.0},
        {"epsilon": math.nan},
        {"temperature": math.nan},
        {"temperature": 0.0},
        {"top_p": math.nan},
        {"turn": 2**70},
        {"exposure_id": "a b"},
        {"turn": -1},
    ],
)
def test_what_no_policy_drew_is_no_exposure(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        check(exposure(**changes))


def test_greedy_serving_is_told() -> None:
    shown = (Shown("a", 1, 1.0), Shown("b", 2, 1.0))
    assert check(exposure(deterministic=True, p_recommend=1.0, items=shown)).logprob == 0.0


def test_uuid7_by_its_bits() -> None:
    """RFC 9562: 48 bits of milliseconds, version 7, variant 10, the rest random."""
    assert uuid7(0x017F22E279B0, b"\xff" * 10) == "017f22e2-79b0-7fff-bfff-ffffffffffff"
    assert uuid7(0, b"\x00" * 10) == "00000000-0000-7000-8000-000000000000"
    ids = [uuid7(START_MS + k, random.Random(k).randbytes(10)) for k in range(100)]
    assert ids == sorted(set(ids)) and all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id) for id in ids)


def test_the_examples_of_the_docs_are_read() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "events.md").read_text(encoding="utf-8"), re.DOTALL)
    batches = [block for block in blocks if '"events"' in block]
    assert batches
    for block in batches:
        assert all(isinstance(read, Event) for read in read_batch(block.encode()))
    from tacit.events.schema import Exposure

    exposures = [block for block in blocks if '"p_recommend"' in block]
    assert exposures
    for block in exposures:
        check(msgspec.json.decode(block.encode(), type=Exposure))
