"""One thread that runs the model: whoever waits is taken in at the next token, and everybody's next token is one step.

It knows nothing of HTTP. ``submit`` may be called from any thread; what becomes of a turn is told to a function that
the caller gives, in the model's thread, which must not wait there.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from tacit.dialogue.policy.act import READ_TEMPERATURE
from tacit.dialogue.policy.policy import Policy
from tacit.run.limits import above, at_least
from tacit.serve.prefixes import PrefixConfig, Prefixes
from tacit.serve.turns import Answer, Asked, Writing, open_turns
from tacit.slates import Mixture

log = logging.getLogger(__name__)


@dataclass
class EngineConfig:
    queued: int = at_least(1, default=64)  # turns that may wait; beyond it people are asked to come back
    together: int = at_least(1, default=32)  # turns that are written at once
    retry_after_s: float = above(0.0, default=2.0)
    words_temperature: float = above(0.0, default=READ_TEMPERATURE)  # of replies; slates have their own
    prefixes: PrefixConfig = field(default_factory=PrefixConfig)


class Busy(Exception):
    """Too many wait, or the model is down: try again after ``retry_after_s``."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the model is busy: try again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Opened:
    """The decision and the slate are drawn; no word has been said."""

    answer: Answer


@dataclass(frozen=True)
class Said:
    """More of the text; ``last`` is the end, and says that it ended by itself or was cut (``stop`` or ``length``)."""

    text: str
    last: str = ""


@dataclass(frozen=True)
class Failed:
    """The model could not; nothing more comes."""


Told = Opened | Said | Failed


class Ticket:
    """A turn that was asked for. ``cancel`` when nobody waits for it: it leaves at the next token."""

    def __init__(self, asked: Asked, policy: Policy, mixture: Mixture, tell: Callable[[Told], None]) -> None:
        self.asked, self.policy, self.mixture, self.tell = asked, policy, mixture, tell
        self.answer: Answer | None = None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        if self.answer is not None:
            self.answer.gone = True


class Engine:
    def __init__(self, config: EngineConfig | None = None, seed: int | None = None) -> None:
        """``seed``: of the draws, for tests; else the system's own randomness."""
        self.config = config or EngineConfig()
        self.prefixes = Prefixes(self.config.prefixes)
        self._chance = np.random.default_rng(seed)
        self._words = torch.Generator().manual_seed(int(self._chance.integers(2**62)))
        self._waiting: deque[Ticket] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._writing: list[Writing] = []
        self._forget, self._policies = False, weakref.WeakSet[Policy]()
        self._tickets: dict[int, Ticket] = {}  # by the identity of their answers
        self.beat_s = time.monotonic()  # when the model last did something, or had nothing to do
        self._thread = threading.Thread(target=self._work, name="tacit-model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def active(self) -> int:
        return len(self._tickets)

    def alive(self, within_s: float) -> bool:
        """Has the model's thread moved lately?"""
        return self._thread.is_alive() and time.monotonic() - self.beat_s < within_s

    def submit(self, asked: Asked, policy: Policy, mixture: Mixture, tell: Callable[[Told], None]) -> Ticket:
        """``Busy`` where too many wait."""
        ticket = Ticket(asked, policy, mixture, tell)
        with self._wake:
            if self._closed or not self._thread.is_alive():
                raise Busy(self.config.retry_after_s)
            if len(self._waiting) >= self.config.queued:
                self._waiting = deque(one for one in self._waiting if not one.cancelled)
            if len(self._waiting) >= self.config.queued:
                raise Busy(self.config.retry_after_s)
            self._waiting.append(ticket)
            self._wake.notify()
        return ticket

    def forget(self, user: str) -> None:
        """What is kept in memory of a person's words, before the next turn is opened. A policy's own caches name
        nobody: they are emptied for everybody."""
        self.prefixes.forget(user)
        with self._wake:
            self._forget = True
            self._wake.notify()

    def close(self, wait_s: float = 10.0) -> None:
        """What was begun is written to its end, as far as the time allows; what waits is told that it failed."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(wait_s)

    def _work(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            try:
                self._open(taken)
                for writing in list(self._writing):
                    self._step(writing)
                self._writing = [writing for writing in self._writing if writing.answers]
            except Exception as error:  # a fault of ours: it must not end the thread
                log.error("the model's thread failed: %s", type(error).__name__)
                self._fail_all(taken)

    def _fail_all(self, taken: list[Ticket]) -> None:
        for ticket in {id(ticket): ticket for ticket in (*taken, *self._tickets.values())}.values():
            self._tell(ticket, Failed())
        self._tickets, self._writing = {}, []

    def _take(self) -> list[Ticket] | None:
        """Those that may come in now, of all that wait; waits itself where nothing is to do. None: the end."""
        with self._wake:
            while not self._waiting and not self._writing:
                if self._closed:
                    return None
                self._empty_caches()
                self.beat_s = time.monotonic()
                self._wake.wait(1.0)
            self.beat_s = time.monotonic()
            self._empty_caches()
            if self._closed:
                left, self._waiting = list(self._waiting), deque()
                for ticket in left:
                    self._tell(ticket, Failed())
                return []
            taken = list[Ticket]()
            while self._waiting and len(self._tickets) + len(taken) < self.config.together:
                ticket = self._waiting.popleft()
                if not ticket.cancelled:
                    taken.append(ticket)
            return taken

    def _empty_caches(self) -> None:
        if self._forget:
            self._forget = False
            for policy in list(self._policies):
                policy.forget()

    def _open(self, taken: list[Ticket]) -> None:
        """In one batch for each policy; where a batch fails, each alone, so that one request fails no other."""
        for policy in {id(ticket.policy): ticket.policy for ticket in taken}.values():
            together = [ticket for ticket in taken if ticket.policy is policy]
            try:
                self._begin(policy, together)
            except Exception as error:
                log.warning("turns could not be opened: %s", type(error).__name__)
                for ticket in together:
                    self._open_alone(policy, ticket, retried=len(together) > 1)

    def _open_alone(self, policy: Policy, ticket: Ticket, retried: bool) -> None:
        try:
            if not retried:
                raise RuntimeError
            self._begin(policy, [ticket])
        except Exception:
            self._tell(ticket, Failed())

    def _begin(self, policy: Policy, tickets: list[Ticket]) -> None:
        self._policies.add(policy)
        mixtures = [ticket.mixture for ticket in tickets]
        new = open_turns(policy, [ticket.asked for ticket in tickets], mixtures, self._chance, self.prefixes)
        answers = list(new.answers)
        if not any(writing.join(new) for writing in self._writing):
            self._writing.append(new)
        for ticket, answer in zip(tickets, answers, strict=True):
            ticket.answer = answer
            answer.gone = ticket.cancelled
            self._tickets[id(answer)] = ticket
            self._tell(ticket, Opened(answer))

    def _step(self, writing: Writing) -> None:
        before = list(writing.answers)
        try:
            for answer in writing.step(self._words, self.config.words_temperature):
                piece = answer.next_piece()
                last = ("stop" if answer.ended() else "length") if answer.full() else ""
                if piece or last:
                    self._tell(self._tickets[id(answer)], Said(piece, last))
        except Exception as error:
            log.warning("turns could not be written: %s", type(error).__name__)
            writing.answers = []
            for answer in before:
                self._tell(self._tickets[id(answer)], Failed())
        going = {id(answer) for answer in writing.answers}
        for answer in before:
            if id(answer) not in going:
                self._tickets.pop(id(answer), None)

    def _tell(self, ticket: Ticket, what: Told) -> None:
        if ticket.cancelled:
            return
        try:
            ticket.tell(what)
        except Exception:  # a loop that is closed: nobody listens any more
            ticket.cancel()
