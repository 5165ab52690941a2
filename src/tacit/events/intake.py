"""What the writer does inside its transactions: each record is held to what the log knows, and stored once.

Nothing here logs, and no refusal repeats what was sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tacit.events import schema
from tacit.events.keys import Keys, same
from tacit.events.redaction import redacted
from tacit.events.schema import Consent, Delivery, Event, Exposure, Reason, Verdict, Words, longest_time
from tacit.events.store import EVENT_COLUMNS, EXPOSURE_COLUMNS, chunks, consent, pack, unpack
from tacit.events.tables import ERASURES, count_erasure, deliveries, events, exposures, state, users, words

SLACK_MS = 5_000  # by which a page's clock may run ahead of the server's
REMEMBERED = 50_000  # exposures kept in memory, so that an event of a recent one asks the database nothing


class Refused(Exception):
    """Refused before anything was written; the rest of its group is not touched."""


class NoConsent(Refused):
    """The person has not agreed to be logged, or no longer."""


class Repeated(Refused):
    """An exposure of this id is stored already."""


class ForeignSession(Refused):
    """The session is another person's."""


@dataclass(frozen=True)
class Caller:
    """Who sends events, as the token says. None: a trusted server, for anyone."""

    user: str | None = None
    session_id: str | None = None


_Row = tuple[str, str, str, int, str]  # of ``events``: ids, user, when, and the record as JSON
Request = tuple[Caller, Sequence[Event | Verdict]]  # what ``schema.read_batch`` made of one


@dataclass(frozen=True)
class _Known:
    """What an event is held to."""

    user: str
    session_id: str
    created_ms: int
    expires_ms: int
    items: frozenset[str]
    signature: str


class Intake:
    def __init__(self, keys: Keys, now_ms: Callable[[], int]) -> None:
        self.keys, self.now_ms = keys, now_ms
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._erasures: str | None = None

    def begin(self, connection: sa.Connection) -> None:
        """Once a transaction: what was deleted, by any process, must not live on in memory."""
        erasures = connection.scalar(sa.select(state.c.value).where(state.c.name == ERASURES))
        if erasures != self._erasures:
            self.forget()
            self._erasures = erasures

    def forget(self) -> None:
        self._known.clear()

    def check(self, exposure: Exposure, words: Words | None) -> tuple[Exposure, str, Words | None]:
        """Everything that needs no database: the exposure, its signature, and its words without what is private."""
        if words is not None and words.exposure_id != exposure.exposure_id:
            raise ValueError("the words belong to another exposure")
        exposure = schema.check(exposure)
        return exposure, self.keys.sign(exposure), words and _clean(words)

    def consent(self, connection: sa.Connection, user: str, agreed: Consent | None) -> None:
        """Withdrawn, nothing more is taken in, by any process, of what the person was shown before."""
        before = consent(connection, user)
        if before == agreed:
            return
        connection.execute(users.delete().where(users.c.user == user))
        if agreed is not None:
            connection.execute(users.insert(), [{"user": user, "consent": agreed, "since_ms": self.now_ms()}])
        else:
            count_erasure(connection)
            self.forget()

    def expose(self, connection: sa.Connection, exposure: Exposure, signature: str, text: Words | None) -> str:
        agreed = consent(connection, exposure.user)
        if agreed is None:
            raise NoConsent("the person has not agreed to be logged")
        taken = sa.select(exposures.c.row).where(exposures.c.exposure_id == exposure.exposure_id)
        if connection.scalar(taken) is not None:
            raise Repeated("an exposure of this id is stored already")
        owner = sa.select(exposures.c.user).where(exposures.c.session_id == exposure.session_id).limit(1)
        if connection.scalar(owner) not in (None, exposure.user):
            raise ForeignSession("the session is another person's")
        columns = {name: getattr(exposure, name) for name in EXPOSURE_COLUMNS}
        row = {**columns, "consent": agreed, "record": pack(exposure, *EXPOSURE_COLUMNS)}
        connection.execute(exposures.insert(), [{**row, "seal": self.keys.seal(exposure, agreed)}])
        if text is not None:
            self._write(connection, text, exposure.user)
        self._remember(exposure, signature)
        return signature

    def deliver(self, connection: sa.Connection, delivery: Delivery, text: Words | None) -> bool:
        self._look_up(connection, [delivery.exposure_id])
        known = self._known.get(delivery.exposure_id)
        stored = sa.select(deliveries.c.row).where(deliveries.c.exposure_id == delivery.exposure_id)
        if known is None or connection.scalar(stored) is not None:
            return False
        row = {"exposure_id": delivery.exposure_id, "user": known.user, "recv_ms": self.now_ms()}
        connection.execute(deliveries.insert(), [{**row, "record": pack(delivery, "exposure_id")}])
        if text is not None:
            self._write(connection, _clean(text), known.user)
        return True

    def events(self, connection: sa.Connection, requests: Sequence[Request]) -> list[list[Verdict]]:
        """Verdicts of several requests, which are looked up and inserted as one."""
        read = [event for _, batch in requests for event in batch if isinstance(event, Event)]
        voted = [event.against for event in read if event.kind == "vote" and event.against is not None]
        self._look_up(connection, [*(event.exposure_id for event in read), *voted])
        stored = _stored(connection, [event.event_id for event in read])
        now_ms = self.now_ms()
        rows = list[_Row]()
        verdicts = [[self._judge(event, caller, now_ms, stored, rows) for event in batch] for caller, batch in requests]
        if rows:
            _insert_once(connection, rows)
        self._trim()
        return verdicts

    def _judge(
        self, event: Event | Verdict, caller: Caller, now_ms: int, stored: set[str], rows: list[_Row]
    ) -> Verdict:
        """The verdict of one event; where it is accepted, its id joins ``stored`` and its row ``rows``."""
        if isinstance(event, Verdict):
            return event
        known = self._known.get(event.exposure_id)
        reason = _reason(event, known, caller, now_ms)
        if reason is None and known is not None and event.kind == "vote":
            reason = _not_beside(known, self._known.get(event.against or ""))
        if reason is not None or known is None:
            return Verdict("rejected", event.event_id, reason)
        if event.event_id in stored:
            return Verdict("duplicate", event.event_id)
        stored.add(event.event_id)
        rows.append(_row(event, known.user, now_ms))
        return Verdict("accepted", event.event_id)

    def _look_up(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        """Those of people who agree to be logged; the others' stay unknown."""
        agree = sa.select(exposures).join(users, users.c.user == exposures.c.user)
        for some in chunks(name for name in ids if name not in self._known):
            for row in connection.execute(agree.where(exposures.c.exposure_id.in_(some))):
                exposure = unpack(Exposure, row, *EXPOSURE_COLUMNS)
                self._remember(exposure, self.keys.sign(exposure))

    def _remember(self, exposure: Exposure, signature: str) -> None:
        items = frozenset(shown.item_id for shown in exposure.items)
        times = (exposure.created_ms, exposure.expires_ms)
        self._known[exposure.exposure_id] = _Known(exposure.user, exposure.session_id, *times, items, signature)

    def _trim(self) -> None:
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _write(self, connection: sa.Connection, text: Words, user: str) -> None:
        """The words of a turn come in two parts: what was asked, before, and what was said, when it is."""
        before = connection.execute(sa.select(words).where(words.c.exposure_id == text.exposure_id)).first()
        if before is None:
            row = {"exposure_id": text.exposure_id, "user": user, "recv_ms": self.now_ms()}
            connection.execute(words.insert(), [{**row, "record": pack(text, "exposure_id")}])
        else:
            record = {**pack(text, "exposure_id"), **before.record}  # what stands there already stays
            connection.execute(words.update().where(words.c.exposure_id == text.exposure_id).values(record=record))


def _reason(event: Event, known: _Known | None, caller: Caller, now_ms: int) -> Reason | None:
    """Why an event is refused; None where it is not. The signature comes first: a forger learns nothing else."""
    if known is None:
        return "unknown_exposure"
    if not same(event.signature, known.signature):
        return "forged"
    if caller.user not in (None, known.user) or caller.session_id not in (None, known.session_id):
        return "foreign"
    if now_ms < known.created_ms:
        return "before_exposure"
    if now_ms > known.expires_ms:
        return "expired"
    if event.item_id is not None and event.item_id not in known.items:
        return "unknown_item"
    if longest_time(event) > now_ms - known.created_ms + SLACK_MS:
        return "impossible_time"
    return None


def _not_beside(known: _Known, other: _Known | None) -> Reason | None:
    """Why a vote between the two is refused: it says something of both, so both must be the voter's own."""
    if other is None:
        return "unknown_exposure"
    return None if (other.user, other.session_id) == (known.user, known.session_id) else "foreign"


def _clean(text: Words) -> Words:
    return Words(
        exposure_id=text.exposure_id,
        asked=None if text.asked is None else redacted(text.asked),
        asked_ms=text.asked_ms,
        said=None if text.said is None else redacted(text.said),
    )


def _stored(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    found = set[str]()
    for some in chunks(ids):
        found.update(connection.scalars(sa.select(events.c.event_id).where(events.c.event_id.in_(some))))
    return found


def _row(event: Event, user: str, now_ms: int) -> _Row:
    record = msgspec.to_builtins(event)  # what is None is left out
    for name in (*EVENT_COLUMNS, "signature"):
        del record[name]
    return event.event_id, event.exposure_id, user, now_ms, msgspec.json.encode(record).decode("utf-8")


def _insert_once(connection: sa.Connection, rows: Sequence[_Row]) -> None:
    """All rows in one call of the driver: SQLAlchemy writes the statement and need not look at each row.

    Where several servers write to one PostgreSQL, two may have looked for an id at once: the second is dropped.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    names = ("event_id", "exposure_id", "user", "recv_ms", "record")
    once = insert(events).values(dict.fromkeys(names)).on_conflict_do_nothing(index_elements=["event_id"])
    statement = once.compile(dialect=connection.dialect)
    if statement.positiontup is not None:
        assert tuple(statement.positiontup) == names
        connection.exec_driver_sql(str(statement), list(rows))
    else:
        connection.exec_driver_sql(str(statement), [dict(zip(names, row, strict=True)) for row in rows])
