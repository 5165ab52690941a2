"""The one that writes: a thread that commits what came in meanwhile as one group, and answers only then.

A future that is done means *on disk*. The queue is bounded: beyond it events are shed (``Overloaded``), exposures a
good deal later, so that people are still answered and logged while their browsers are asked to wait.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tacit.events import erase, schema
from tacit.events.intake import Caller, Intake, Refused, Request
from tacit.events.keys import Keys
from tacit.events.schema import Consent, Delivery, Event, Exposure, Verdict, Words
from tacit.events.store import Store
from tacit.run.limits import above, at_least
from tacit.types import InputError

log = logging.getLogger(__name__)


@dataclass
class WriterConfig:
    queued: int = at_least(1, default=20_000)  # records that may wait before events are shed; exposures at twice that
    group: int = at_least(1, default=2_000)  # records in one commit
    late_s: float = above(0.0, default=1.0)  # that a commit may take, the wait for it included, before ``full``
    retry_after_s: float = above(0.0, default=1.0)


class Overloaded(Exception):
    """Too much is waiting: try again after ``retry_after_s``. Nothing was stored."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the log is behind: try again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class Unwritable(Exception):
    """The store did not take it (a full disk, a database that is gone); what comes later may succeed.

    Where the answer of a commit was lost it may be stored all the same: send it again under the same ids.
    """


@dataclass
class _Job:
    """``run`` gets the connection of the group; what stands ``alone`` gets none. Events come as a ``request``."""

    size: int
    run: Callable[[Any], Any] | None = None
    request: Request | None = None
    alone: bool = False
    done: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


def steady_clock() -> Callable[[], int]:
    """Milliseconds since 1970 that never jump: the wall clock when this was called, and a monotonic one since."""
    wall, start = time.time(), time.monotonic()
    return lambda: int((wall + time.monotonic() - start) * 1000)


class Writer:
    """One for a store. Safe to call from any thread; ``asyncio.wrap_future`` makes its futures awaitable."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        config: WriterConfig | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self.store, self.config = store, config or WriterConfig()
        self.now_ms = now_ms or steady_clock()
        self._intake = Intake(keys, self.now_ms)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting, self._lock, self._closed = 0, threading.Lock(), False
        self._since: float | None = None  # when the oldest record came that is being written
        self._thread = threading.Thread(target=self._work, name="tacit-log-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that are not yet committed."""
        return self._waiting

    @property
    def full(self) -> bool:
        """Whether events had better come later: too many wait, or the oldest has waited for too long."""
        since = self._since
        late = since is not None and time.monotonic() - since > self.config.late_s
        return late or self._waiting >= self.config.queued

    def consent(self, user: str, consent: Consent | None) -> Future[None]:
        """What a person agrees to from now on; None withdraws it, and what is stored stays until it is deleted."""
        schema.pseudonym(user)
        return self._put(_Job(1, lambda connection: self._intake.consent(connection, user, consent)))

    def expose(self, exposure: Exposure, words: Words | None = None) -> Future[str]:
        """Store what is about to be shown: the signature for the client. Wait for it before the first byte leaves.

        ``NoConsent`` where the person has not agreed to be logged, ``Repeated`` where the id is taken,
        ``ForeignSession`` where the session is another person's; ValueError (at once) where no policy could draw it.
        """
        checked = self._intake.check(exposure, words)
        return self._put(_Job(1, lambda connection: self._intake.expose(connection, *checked)))

    def deliver(self, delivery: Delivery, words: Words | None = None) -> Future[bool]:
        """Store what became of an exposure; False where that is stored already, or the exposure is not."""
        return self._put(_Job(1, lambda connection: self._intake.deliver(connection, delivery, words)))

    def submit(self, caller: Caller, batch: Sequence[Event | Verdict]) -> Future[list[Verdict]]:
        """A verdict an event, in order, once all that is accepted is on disk. ``batch`` is ``schema.read_batch``'s."""
        return self._put(_Job(len(batch), request=(caller, tuple(batch))))

    def delete_user(self, user: str) -> Future[dict[str, int]]:
        """Delete all that the store holds of a pseudonym, down to the bytes of its files: rows by table."""
        return self._put(_Job(1, lambda _: erase.delete_user(self.store, user, self.now_ms()), alone=True))

    def retain(self, retention: erase.Retention) -> Future[dict[str, int]]:
        """Delete what is older than the retention allows: rows by table. To be called once a day."""
        return self._put(_Job(1, lambda _: erase.retain(self.store, retention, self.now_ms()), alone=True))

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, job: _Job) -> Future[Any]:
        job.done.set_running_or_notify_cancel()  # a caller that goes away cannot take back what is being written
        most = self.config.queued * (1 if job.request else 2)
        with self._lock:
            if self._closed:
                raise Unwritable("the log is closed")
            if self._waiting and self._waiting + job.size > most:
                raise Overloaded(self.config.retry_after_s)
            self._waiting += job.size
            self._jobs.put(job)
        return job.done

    def _work(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._group()
            if group:
                self._since = group[0].since
                self._commit(group)
                self._since = None
                with self._lock:
                    self._waiting -= sum(job.size for job in group)

    def _group(self) -> tuple[list[_Job], bool]:
        """What waits, up to a group's size, in order; and whether it is the last."""
        group, size = list[_Job](), 0
        with contextlib.suppress(queue.Empty):
            while size < self.config.group:
                job = self._jobs.get(block=not group)
                if job is None:
                    return group, True
                group.append(job)
                size += job.size
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        """Jobs that stand alone split the group, so that order is kept."""
        together = list[_Job]()
        for job in group:
            if job.alone:
                self._transact(together)
                together = []
                self._alone(job)
            else:
                together.append(job)
        self._transact(together)

    def _alone(self, job: _Job) -> None:
        assert job.run is not None
        try:
            answer = job.run(None)
        except InputError as error:
            job.done.set_exception(error)
        except Exception as error:
            _fail(job, error)
        else:
            job.done.set_result(answer)

    def _transact(self, group: list[_Job]) -> None:
        if not group:
            return
        try:
            with self.store.engine.begin() as connection:
                self._intake.begin(connection)
                answers = self._answers(connection, group)
        except Exception as error:
            self._intake.forget()
            if len(group) > 1 and not isinstance(error, sa.exc.OperationalError):
                for job in group:  # one of them is at fault: it must not take the others with it
                    self._transact([job])
                return
            log.warning("the log could not be written: %s", type(error).__name__)
            for job in group:
                _fail(job, error)
            return
        for job, answer in answers:
            if isinstance(answer, Exception):
                job.done.set_exception(answer)
            else:
                job.done.set_result(answer)

    def _answers(self, connection: sa.Connection, group: list[_Job]) -> list[tuple[_Job, Any]]:
        """Exposures first: an event follows an exposure whose commit was awaited, so that their order here is free.

        A refusal is decided before anything is written: it is an answer like another.
        """
        answers = list[tuple[_Job, Any]]()
        for job in group:
            if job.run is not None:
                try:
                    answers.append((job, job.run(connection)))
                except Refused as refusal:
                    answers.append((job, refusal))
        asked = [job for job in group if job.request is not None]
        requests = [job.request for job in asked if job.request is not None]
        if requests:
            answers += zip(asked, self._intake.events(connection, requests), strict=True)
        return answers


def _fail(job: _Job, error: Exception) -> None:
    """Without the driver's words, which would repeat the rows."""
    failure = Unwritable(f"the log could not be written ({type(error).__name__})")
    job.done.set_exception(failure)
