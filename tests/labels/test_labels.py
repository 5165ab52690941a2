"""The label function: its slow twin, what events may do to it, and cases a reader can redo by hand."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from logged_days import START_MS, Rows, logged_days, write_export
from slow_labels import label_session

from tacit.events.export import delete_user
from tacit.events.schema import DAY_MS
from tacit.labels.accounts import above_cap
from tacit.labels.build import build, manifest, read_labels
from tacit.labels.constants import Constants, Visibility
from tacit.labels.engines import observer
from tacit.labels.fit import fit
from tacit.labels.gather import Observed, Span, gather
from tacit.labels.score import label_items, label_turns, mean_of_observed, reward
from tacit.labels.settings import LabelSettings
from tacit.types import InputError

AS_OF = START_MS + 5 * DAY_MS
EVER = Span(0, AS_OF, AS_OF, 1_800_000)
NO_CONSTANTS = Constants(LabelSettings(), None, None, Visibility(1.0, [[1.0] * 20] * 4), None, "", "", 0)


def small(sessions: int = 60, seed: int = 0) -> Rows:
    return logged_days(sessions, seed, users=sessions // 3)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Path, Path]:
    """A log, its export, its labels."""
    folder, rows = tmp_path_factory.mktemp("labels"), logged_days(500, seed=3, users=160)
    build(write_export(rows, folder / "export"), folder / "labels", LabelSettings(), AS_OF)
    return rows, folder / "export", folder / "labels"


def test_the_same_rows_as_a_session_at_a_time(built: tuple[Rows, Path, Path]) -> None:
    rows, _, out = built
    constants = Constants.load(out)
    assert constants.item_dwell is not None and constants.turn_dwell is not None and constants.skip_ms is not None
    accounts = dict(above_cap(rows.tables().exposures.lazy(), 3, AS_OF).iter_rows())
    assert accounts and max(accounts.values()) > 3
    tables = [defaultdict(list) for _ in range(3)]
    for table, found in zip(tables, (rows.exposures, rows.deliveries, rows.events), strict=True):
        for row in found:
            table[row["session_id"]].append(row)
    expected: dict[str, list[dict[str, Any]]] = {"turns": [], "items": []}
    for session in tables[0]:
        turns, items = label_session(*(table[session] for table in tables), constants, accounts, AS_OF)
        expected["turns"] += turns
        expected["items"] += items
    for name in ("turns", "items"):
        made = read_labels(out, name).sort("exposure_id", "position").collect().to_dicts()
        told = sorted(expected[name], key=lambda row: (row["exposure_id"], row["position"] or 0))
        assert len(made) == len(told) > 500
        for row, other in zip(made, told, strict=True):
            for key, value in other.items():
                same = row[key] == (value if not isinstance(value, float) else pytest.approx(value, abs=2e-6))
                assert same, (key, row, other)
    assert {flag for row in expected["items"] for flag in row["flags"].split()} >= {
        "no_events", "not_seen", "skipped", "short_dwell", "not_clicked", "refused", "already_seen",
        "censored", "capped",
    }  # fmt: skip


def test_repeated_shuffled_and_late_events_change_no_byte(tmp_path: Path, built: tuple[Rows, Path, Path]) -> None:
    rows, _, out = built
    chance = np.random.default_rng(1)
    events = [rows.events[k % len(rows.events)] for k in chance.permutation(3 * len(rows.events))]
    late = [{**row, "recv_ms": row["recv_ms"] + int(chance.integers(600_000))} for row in events]
    again = write_export(Rows(rows.exposures[::-1], rows.deliveries[::-1], late), tmp_path / "export")
    build(again, tmp_path / "labels", LabelSettings(), AS_OF)
    assert tree(tmp_path / "labels") == tree(out)


def test_duckdb_makes_the_same_bytes(tmp_path: Path, built: tuple[Rows, Path, Path]) -> None:
    """Of a whole log, of one that is cut short, and of days with nothing but exposures."""
    pytest.importorskip("duckdb")
    rows, export, out = built
    build(export, tmp_path / "labels", LabelSettings(), AS_OF, observe=observer("duckdb"))
    assert tree(tmp_path / "labels") == tree(out)
    bare = write_export(Rows(rows.exposures[:40], rows.deliveries[:30], []), tmp_path / "bare")
    for source, as_of in ((export, START_MS + DAY_MS), (bare, AS_OF)):
        for engine in ("polars", "duckdb"):
            build(source, tmp_path / engine, LabelSettings(), as_of, observe=observer(engine))
        assert manifest(tmp_path / "polars").turns > 10
        assert tree(tmp_path / "polars") == tree(tmp_path / "duckdb")


def test_lost_reports_never_lengthen_a_dwell() -> None:
    """Tripled, shuffled, and a tenth of what was reported lost: no time is longer, no label of a time is higher."""
    rows = small(150, seed=4)
    chance = np.random.default_rng(2)
    kept = [row for row in rows.events if row["kind"] not in ("visible", "dwell") or chance.random() > 0.1]
    shuffled = [kept[k % len(kept)] for k in chance.permutation(3 * len(kept))]
    clean, lossy = gather(rows.tables(), EVER), gather(Rows(rows.exposures, rows.deliveries, shuffled).tables(), EVER)
    constants = fit(clean.items, clean.turns, "", LabelSettings())
    shorter = censored = 0
    for name, label in (("items", label_items), ("turns", label_turns)):
        before, after = getattr(clean, name), getattr(lossy, name)
        times = before.select("visible_ms").to_series(), after.select("visible_ms").to_series()
        both = pl.DataFrame({"before": times[0], "after": times[1]}).drop_nulls()
        assert (both["after"] <= both["before"]).all()
        shorter += int((both["after"] < both["before"]).sum())
        nobody = pl.DataFrame(schema={"user": pl.String, "sessions": pl.Int64})
        labels = [label(table, constants, nobody, AS_OF) for table in (before, after)]
        reported = after["visible_ms"].is_not_null()
        if name == "turns":
            reported &= before["scroll_depth"] == after["scroll_depth"]
        pairs = pl.DataFrame({"before": labels[0]["engagement"], "after": labels[1]["engagement"]}).filter(reported)
        assert (pairs.drop_nulls()["after"] <= pairs.drop_nulls()["before"]).all()
        censored += labels[1]["censored"].sum() - labels[0]["censored"].sum()
    assert shorter > 20 and censored > 10


def test_what_is_not_mature_agreed_to_or_delivered_has_no_label() -> None:
    rows = small()
    found = gather(rows.tables(), EVER)
    last = max(row["recv_ms"] for row in rows.events)
    earlier = gather(rows.tables(), replace(EVER, as_of=last - DAY_MS))
    assert found.left_out["not mature yet"] == 0
    assert earlier.turns.height < found.turns.height
    assert not set(earlier.turns["exposure_id"]) - set(found.turns["exposure_id"])
    agreed = {row["exposure_id"] for row in rows.exposures if row["consent"] == "train"}
    whole = {row["exposure_id"] for row in rows.deliveries if row["state"] == "delivered"}
    assert set(found.turns["exposure_id"]) == agreed & whole
    assert found.left_out["without consent to training"] == len(rows.exposures) - len(agreed)


def one_exposure(*events: dict[str, Any], as_of: int = AS_OF, items: Sequence[str] = ("a", "b")) -> Observed:
    """Items at places 1, 2, and what was reported of them."""
    shown = {"exposure_id": "x", "session_id": "s", "user": "u"}
    slate = {"items": list(items), "positions": list(range(1, len(items) + 1))}
    exposure = {**shown, "consent": "train", "turn": 0, "created_ms": START_MS, **slate}
    delivery = {**shown, "recv_ms": START_MS + 1, "state": "delivered", "words": 10}
    told = [{**shown, "recv_ms": START_MS + 10 + k, "seq": k, **event} for k, event in enumerate(events)]
    return gather(Rows([exposure], [delivery], told).tables(), replace(EVER, as_of=as_of))


def test_a_delay_window_by_hand() -> None:
    """The last event comes at 10 ms: 1800 s later, and not a millisecond before, the exposure is mature."""
    click = {"kind": "click", "item_id": "a"}
    assert one_exposure(click, as_of=START_MS + 10 + 1_800_000).turns.height == 1
    early = one_exposure(click, as_of=START_MS + 9 + 1_800_000)
    assert (early.turns.height, early.left_out["not mature yet"]) == (0, 1)


def test_a_never_seen_item_is_no_negative() -> None:
    items = one_exposure({"kind": "visible", "item_id": "a", "visible_ms": 5000, "censored": False}).items
    nobody = pl.DataFrame(schema={"user": pl.String, "sessions": pl.Int64})
    seen, unseen = label_items(items, NO_CONSTANTS, nobody, AS_OF).to_dicts()
    assert (seen["engagement"], seen["reward"], seen["weight"], seen["flags"]) == (0.0, -1.0, 1.0, "not_clicked")
    assert (unseen["engagement"], unseen["reward"], unseen["weight"]) == (None, None, 0.0)
    assert unseen["flags"] == "not_seen"


def test_silence_is_not_observed_and_not_zero() -> None:
    nobody = pl.DataFrame(schema={"user": pl.String, "sessions": pl.Int64})
    found = one_exposure()
    for row in (*label_items(found.items, NO_CONSTANTS, nobody, AS_OF).to_dicts(),
                *label_turns(found.turns, NO_CONSTANTS, nobody, AS_OF).to_dicts()):  # fmt: skip
        assert (row["engagement"], row["weight"], row["flags"]) == (None, 0.0, "no_events")


def test_the_last_word_on_an_item_counts() -> None:
    words = [{"kind": kind, "item_id": "a"} for kind in ("not_for_me", "more_like_this", "dismiss", "more_like_this")]
    assert one_exposure(*words).items["said"].to_list() == [True, None]
    assert one_exposure(*words[:3]).items["said"].to_list() == [False, None]


def test_a_whole_reply_that_is_accepted_speaks_of_an_item_only_where_it_shows_one() -> None:
    accept = {"kind": "accept"}
    assert one_exposure(accept).items["said"].to_list() == [None, None]
    found = one_exposure(accept, items=("a",)).items.row(0, named=True)
    assert (found["said"], found["seen"]) == (True, True)
    taken_back = one_exposure(accept, {"kind": "not_for_me", "item_id": "a"}, items=("a",))
    assert taken_back.items["said"].to_list() == [False]  # the last word counts


def test_the_last_report_says_whether_a_time_is_a_lower_bound() -> None:
    report = {"kind": "visible", "item_id": "a"}
    reports = [{**report, "visible_ms": 9, "censored": True}, {**report, "visible_ms": 8, "censored": False}]
    found = one_exposure(*reports).items.row(0, named=True)
    assert (found["visible_ms"], found["censored"]) == (9, False)
    assert one_exposure(*reports[:1]).items.row(0, named=True)["censored"] is True


def test_a_vote_is_also_one_against_the_other_answer() -> None:
    log = one_exposure  # two answers to one turn, and a vote for y
    shown = [{"exposure_id": name, "session_id": "s", "user": "u"} for name in ("x", "y")]
    exposures = [{**row, "consent": "train", "turn": 0, "created_ms": START_MS, "items": ["a"], "positions": [1]}
                 for row in shown]  # fmt: skip
    deliveries = [{**row, "recv_ms": START_MS, "state": "delivered"} for row in shown]
    vote = {**shown[1], "kind": "vote", "value": 1, "against": "x", "seq": 5, "recv_ms": START_MS + 9}
    turns = gather(Rows(exposures, deliveries, [vote]).tables(), EVER).turns
    assert turns.select("exposure_id", "opinion").rows() == [("x", False), ("y", True)]
    assert log().turns["opinion"].to_list() == [None]


def test_the_mean_and_the_reward_by_hand() -> None:
    nan, parts = math.nan, [np.array([1.0, 0.5, np.nan]), np.array([0.0, np.nan, np.nan])]
    assert mean_of_observed(parts, [0.25, 0.75]).tolist()[:2] == [0.25, 0.5]
    assert math.isnan(mean_of_observed(parts, [0.25, 0.75])[2])
    worth = reward(np.array([0.75, nan, nan]), np.array([0.2, 0.4, 0.4]), np.array([nan, nan, 1.0]), (0.5, 0.25, 0.25))
    assert worth[0] == pytest.approx((0.5 * 0.5 + 0.25 * 0.2) / 0.75)
    assert math.isnan(worth[1])  # relevance alone is no feedback
    assert worth[2] == pytest.approx((0.25 * 0.4 + 0.25 * 0.5) / 0.5)


def test_an_account_counts_as_so_many_sessions_at_most(built: tuple[Rows, Path, Path]) -> None:
    rows, _, out = built
    agreed = [row for row in rows.exposures if row["consent"] == "train"]
    by_user = defaultdict(set)
    for row in agreed:
        by_user[row["user"]].add(row["session_id"])
    labels = read_labels(out, "turns").filter(pl.col("weight") > 0).collect()
    for user, weight in labels.select("user", "weight").unique().iter_rows():
        assert weight == pytest.approx(min(1.0, 3 / len(by_user[user])), abs=1e-6)


def test_one_table_is_of_one_version(tmp_path: Path, built: tuple[Rows, Path, Path]) -> None:
    _, export, out = built
    build(export, tmp_path / "labels", LabelSettings(), AS_OF)
    assert tree(tmp_path / "labels") == tree(out)
    other = build(export, tmp_path / "labels", LabelSettings(window_s=60.0), AS_OF)
    assert other.label_fn != manifest(out).label_fn
    assert set(read_labels(tmp_path / "labels").collect()["label_fn"]) == {other.label_fn}
    same = build(export, tmp_path / "labels", LabelSettings(), AS_OF, constants=Constants.load(out))
    assert same.label_fn == manifest(out).label_fn


def test_deleting_a_person_reaches_the_labels(tmp_path: Path, built: tuple[Rows, Path, Path]) -> None:
    _, export, _ = built
    build(export, tmp_path / "labels", LabelSettings(sessions_per_account=1), AS_OF)
    user = read_labels(tmp_path / "labels").collect()["user"][0]
    assert delete_user(tmp_path / "labels", user) > 0
    assert not any(user.encode() == row[0].encode() for name in ("items", "turns")
                   for row in read_labels(tmp_path / "labels", name).select("user").collect().iter_rows())  # fmt: skip


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, built: tuple[Rows, Path, Path]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="no table of labels"):
        build(built[1], tmp_path, LabelSettings(), AS_OF)
    with pytest.raises(InputError, match="no export"):
        build(tmp_path, tmp_path / "out", LabelSettings(), AS_OF)
    with pytest.raises(InputError, match="no exposure"):
        build(built[1], tmp_path / "out", LabelSettings(), START_MS - 9 * DAY_MS)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["mine.txt"]
