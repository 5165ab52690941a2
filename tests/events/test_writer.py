"""The one writer: what is answered is on disk, each event once; what cannot be is refused with its reason."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tiny_log import START_MS, Log, exposure

from tacit.events.intake import SLACK_MS, Caller, ForeignSession, NoConsent, Repeated
from tacit.events.schema import Delivery, Shown, Verdict, Words
from tacit.events.store import session
from tacit.events.tables import events, exposures
from tacit.events.writer import Overloaded, Unwritable, Writer, WriterConfig, steady_clock


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with Log(tmp_path) as log:
        yield log


def test_what_was_shown_and_done_is_read_again(log: Log) -> None:
    shown = log.show(exposure())
    log.clock.now_ms += 5000
    click, seen = log.event(shown), log.event(shown, "visible", "b", visible_ms=1500, censored=False)
    assert log.send(click, seen) == ["accepted", "accepted"]
    (record,) = session(log.store, "s1")
    assert (record.exposure, record.consent) == (shown, "train")
    assert record.words == Words(
        exposure_id="x1", asked="Something like Heat?", asked_ms=START_MS - 1000, said="Try these."
    )
    assert record.delivery is not None and record.delivery.state == "delivered"
    assert [(when, event.event_id) for when, event in record.events] == [
        (START_MS + 5000, "e1"),
        (START_MS + 5000, "e2"),
    ]
    assert record.events[1][1].visible_ms == 1500 and record.events[0][1].visible_ms is None


def test_probabilities_come_back_bit_for_bit(log: Log) -> None:
    p = (0.1 + 0.2, 1 / 3)
    log.show(exposure(items=(Shown("a", 1, p[0]), Shown("b", 2, p[1])), p_recommend=2 / 3))
    (record,) = session(log.store, "s1")
    assert tuple(shown.probability for shown in record.exposure.items) == p
    assert record.exposure.p_recommend == 2 / 3


def test_an_event_is_stored_once(log: Log) -> None:
    shown = log.show(exposure())
    event = log.event(shown)
    assert log.send(event, event) == ["accepted", "duplicate"]
    assert log.send(event) == ["duplicate"]
    with log.store.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(events)) == 1


def test_each_refusal_has_its_reason(log: Log) -> None:
    shown = log.show(exposure())
    other = exposure("x2", user="u2", session_id="s2")
    log.show(other)
    longest = log.clock.now_ms - START_MS + SLACK_MS
    event, timed = log.event, {"visible_ms": longest, "censored": False}
    assert log.send(event(shown, **timed)) == ["accepted"]
    assert log.send(event(shown, **{**timed, "visible_ms": longest + 1})) == ["impossible_time"]
    assert log.send(event(shown, hidden_ms=longest + 1)) == ["impossible_time"]
    assert log.send(event(shown, item="c")) == ["unknown_item"]
    assert log.send(event(shown, signature="x" * 43)) == ["forged"]
    assert log.send(event(shown, signature=log.keys.sign(other))) == ["forged"]
    assert log.send(event(exposure("x9"))) == ["unknown_exposure"]
    assert log.send(event(shown), caller=Caller(user="u2")) == ["foreign"]
    assert log.send(event(shown), caller=Caller("u1", "s2")) == ["foreign"]
    assert log.send(event(shown), caller=Caller("u1", "s1")) == ["accepted"]
    assert log.send(Verdict("rejected", "e", "malformed"), event(shown)) == ["malformed", "accepted"]
    log.clock.now_ms = START_MS - 1
    assert log.send(event(shown)) == ["before_exposure"]
    log.clock.now_ms = shown.expires_ms
    assert log.send(event(shown)) == ["accepted"]
    log.clock.now_ms = shown.expires_ms + 1
    assert log.send(event(shown)) == ["expired"]


def test_a_vote_is_between_two_exposures_of_the_voter(log: Log) -> None:
    mine, beside = exposure("x1"), exposure("x2")
    later, theirs = exposure("x3", session_id="s2"), exposure("x4", session_id="s3", user="u2")
    for shown in (mine, beside, later, theirs):
        log.show(shown)

    def vote(against: str) -> list[str]:
        return log.send(log.event(mine, "vote", None, value=1, against=against))

    assert vote("x2") == ["accepted"]
    assert vote("x3") == vote("x4") == ["foreign"]  # labels read it as a word on the other one, too
    assert vote("nobody") == ["unknown_exposure"]


def test_exposures_without_consent_or_twice_are_refused_alone(log: Log) -> None:
    with pytest.raises(NoConsent):
        log.writer.expose(exposure(), Words(exposure_id="x1", asked="hello")).result()
    log.show(exposure())
    with pytest.raises(Repeated):
        log.writer.expose(exposure(user="u1", turn=1)).result()
    log.writer.consent("u1", None).result()
    with pytest.raises(NoConsent):
        log.writer.expose(exposure("x2")).result()
    with pytest.raises(ValueError):
        log.writer.consent("a b", "train")
    log.writer.consent("u2", "train").result()
    with pytest.raises(ForeignSession):
        log.writer.expose(exposure("x2", user="u2", turn=1)).result()
    with pytest.raises(ValueError, match="twice"):
        log.writer.expose(exposure("x3", items=(Shown("a", 1, 0.5), Shown("a", 2, 0.5))))
    with log.store.reading() as connection:
        assert connection.scalars(sa.select(exposures.c.exposure_id)).all() == ["x1"]


def test_consent_that_is_withdrawn_ends_what_is_taken_in(log: Log) -> None:
    shown = log.show(exposure())
    other = log.show(exposure("x2", user="u2", session_id="s2"))
    log.writer.expose(exposure("x3", turn=1)).result()
    log.writer.consent("u1", None).result()
    assert log.send(log.event(shown), log.event(other)) == ["unknown_exposure", "accepted"]
    late = Delivery(exposure_id="x3", state="delivered")
    assert log.writer.deliver(late, Words(exposure_id="x3", said="canary")).result() is False
    log.writer.consent("u1", "store").result()
    assert log.send(log.event(shown)) == ["accepted"]


def test_a_full_disk_is_said_and_what_was_acknowledged_stays(log: Log) -> None:
    """SQLite's own limit of pages gives its own error of a full disk."""
    shown = log.show(exposure())
    pages = 0

    def limit(raw: Any, *_: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {pages or 2**30}")

    sa.event.listen(log.store.engine, "checkout", limit)
    with log.store.reading() as connection:
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one()) + 4
    acknowledged = list[str]()
    with pytest.raises(Unwritable):
        for _ in range(1000):
            batch = [log.event(shown) for _ in range(20)]
            log.send(*batch)
            acknowledged += [event.event_id for event in batch]
    pages = 0
    assert log.send(log.event(shown, event_id="after")) == ["accepted"]
    (record,) = session(log.store, "s1")
    assert [event.event_id for _, event in record.events] == [*acknowledged, "after"] and acknowledged


def test_a_delivery_is_stored_once_and_only_for_what_was_exposed(log: Log) -> None:
    log.show(exposure())
    late = Delivery(exposure_id="x1", state="undelivered")
    assert log.writer.deliver(late).result() is False
    assert log.writer.deliver(Delivery(exposure_id="x2", state="delivered")).result() is False
    (record,) = session(log.store, "s1")
    assert record.delivery is not None and record.delivery.state == "delivered"


def test_a_writer_that_starts_anew_knows_the_exposures_of_the_last(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        event = log.event(shown)
        log.send(event)
    with Log(tmp_path) as again:
        again.clock.now_ms += 3000
        assert again.send(event, again.event(shown, event_id="new")) == ["duplicate", "accepted"]


def test_private_words_never_reach_the_store(log: Log, tmp_path: Path) -> None:
    log.show(exposure(), asked="mail me at canary@example.org", said="or +49 171 2345678")
    (record,) = session(log.store, "s1")
    assert record.words is not None
    assert (record.words.asked, record.words.said) == ("mail me at [e-mail]", "or [phone]")
    assert not any(b"canary@" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def _stalled(log: Log) -> tuple[threading.Event, Future[Any]]:
    """The writer in the middle of a commit that takes until the event is set."""
    go, started = threading.Event(), threading.Event()

    def wait(connection: object) -> None:
        started.set()
        go.wait()

    log.writer._intake.consent = lambda connection, user, agreed: wait(connection)  # type: ignore[method-assign]
    waiting = log.writer.consent("u9", "train")
    started.wait()
    return go, waiting


def test_no_answer_before_the_commit_and_what_waited_is_one_group(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        commits = list[int]()
        sa.event.listen(log.store.engine, "commit", lambda connection: commits.append(1))
        go, stalled = _stalled(log)
        futures = [log.writer.submit(Caller(), [log.event(shown)]) for _ in range(50)]
        assert not any(future.done() for future in futures) and log.writer.waiting == 51
        go.set()
        assert all(future.result()[0].status == "accepted" for future in futures)
        stalled.result()
        assert len(commits) == 2


def test_a_full_queue_sheds_events_first_and_recovers(tmp_path: Path) -> None:
    with Log(tmp_path, config=WriterConfig(queued=10)) as log:
        shown = log.show(exposure())
        go, _ = _stalled(log)
        batch = [log.event(shown) for _ in range(9)]
        first = log.writer.submit(Caller(), batch)
        with pytest.raises(Overloaded):
            log.writer.submit(Caller(), [log.event(shown)])
        room = [log.writer.expose(exposure(f"y{k}")) for k in range(10)]
        with pytest.raises(Overloaded):
            log.writer.expose(exposure("z"))
        go.set()
        assert len(first.result()) == 9 and all(len(future.result()) == 43 for future in room)
        log.writer.submit(Caller(), [log.event(shown)]).result()


def test_a_caller_that_goes_away_does_not_stop_the_writer(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        go, _ = _stalled(log)
        assert not log.writer.submit(Caller(), [log.event(shown)]).cancel()
        go.set()
        assert log.send(log.event(shown)) == ["accepted"]


def test_a_store_that_fails_is_said_without_words_and_works_again(
    log: Log, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = log.show(exposure())

    def full(*_: object) -> None:
        raise sa.exc.OperationalError("INSERT", {"said": "canary"}, Exception("database or disk is full"))

    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(log.writer._intake, "events", full)
        with pytest.raises(Unwritable) as failure:
            log.send(log.event(shown))
    assert "canary" not in f"{failure.value}{failure.value.__cause__}{caplog.text}"
    assert log.send(log.event(shown)) == ["accepted"]


def test_one_bad_record_takes_no_other_of_its_group_with_it(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.show(exposure())
        go, _ = _stalled(log)
        deliver = log.writer._intake.deliver

        def spoilt(connection: Any, delivery: Delivery, text: Words | None) -> bool:
            if delivery.exposure_id == "bad":
                raise TypeError("canary")
            return deliver(connection, delivery, text)

        log.writer._intake.deliver = spoilt  # type: ignore[method-assign]
        good = log.writer.expose(exposure("x2"))
        bad = log.writer.deliver(Delivery(exposure_id="bad", state="delivered"))
        after = log.writer.deliver(Delivery(exposure_id="x2", state="delivered"))
        go.set()
        assert len(good.result()) == 43 and after.result() is True
        with pytest.raises(Unwritable):
            bad.result()


def test_a_closed_writer_has_committed_what_waited(tmp_path: Path) -> None:
    log = Log(tmp_path)
    shown = log.show(exposure())
    futures = [log.writer.submit(Caller(), [log.event(shown)]) for _ in range(20)]
    log.writer.close()
    assert all(future.done() for future in futures)
    with pytest.raises(Unwritable):
        log.writer.submit(Caller(), [log.event(shown)])
    log.store.close()


def test_the_clock_does_not_follow_one_that_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.events import writer

    wall, ticks = iter([1_000.0, 99_999_999.0]), iter([5.0, 5.5, 7.0])
    monkeypatch.setattr(writer.time, "time", lambda: next(wall))
    monkeypatch.setattr(writer.time, "monotonic", lambda: next(ticks))
    now_ms = steady_clock()
    assert (now_ms(), now_ms()) == (1_000_500, 1_002_000)


def test_nothing_a_person_wrote_is_ever_logged(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        shown = log.show(exposure(), asked="canary one", said="canary two")
        log.send(log.event(shown, item="canary-three"), log.event(shown, signature="canary-four"))
        with pytest.raises(Repeated):
            log.writer.expose(shown, Words(exposure_id="x1", asked="canary five")).result()
    assert "canary" not in caplog.text
    assert isinstance(log.writer, Writer)
