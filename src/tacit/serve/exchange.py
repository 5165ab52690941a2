"""One turn between a person and a policy, from the question to what became of the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tacit.events.schema import Exposure, Shown
from tacit.serve.conversations import Session
from tacit.serve.engine import Failed, Said, Ticket, Told
from tacit.serve.live import Served
from tacit.serve.state import State
from tacit.serve.turns import Answer


@dataclass
class Exchange:
    """What was asked, what is drawn, what was said. ``number``: of the conversation's turns, from 0."""

    state: State
    served: Served
    model: str
    user: str
    session: str
    number: int
    question: str
    memory: Session
    mask: str
    started_ms: int
    ticket: Ticket | None = None
    told: asyncio.Queue[Told] = field(default_factory=asyncio.Queue)
    answer: Answer | None = None
    exposure_id: str = ""
    signature: str | None = None
    first_ms: int | None = None
    finish: str = ""
    said: str = ""
    gone: bool = False  # the client is
    closed: bool = False

    @property
    def logged(self) -> bool:
        return self.signature is not None

    async def next(self) -> Told:
        """What the model tells next; ``Failed`` where it says nothing for too long."""
        try:
            async with asyncio.timeout(self.state.settings.model_s):
                return await self.told.get()
        except TimeoutError:
            return Failed()

    async def next_words(self) -> Said | None:
        """All that was said by now, at least one piece; None where the model gave nothing more."""
        text = list[str]()
        what = await self.next()
        while isinstance(what, Said):
            text.append(what.text)
            if what.last or self.told.empty():
                return Said("".join(text), what.last)
            what = self.told.get_nowait()
        return None

    def leave(self) -> None:
        """The client is gone, which frees its place at the next token."""
        self.gone = True
        if self.ticket is not None:
            self.ticket.cancel()
        self.told.put_nowait(Failed())  # whoever waits for words waits no longer


def exposure_of(turn: Exchange, now_ms: int) -> Exposure:
    """What is logged: the very numbers the turn was drawn with."""
    answer, settings = turn.answer, turn.state.settings
    assert answer is not None
    draw, items = answer.draw, answer.slate.items if answer.slate else ()
    shown = zip(items, draw.probabilities if draw else (), strict=True)
    return Exposure(
        exposure_id=turn.exposure_id,
        session_id=turn.session,
        user=turn.user,
        turn=turn.number,
        created_ms=now_ms,
        expires_ms=now_ms + int(settings.exposure_s * 1000),
        policy_version=turn.served.version,
        bucket="explore" if answer.explored else "policy",
        deterministic=answer.mixture.deterministic,
        epsilon=answer.mixture.epsilon,
        temperature=answer.mixture.temperature,
        top_k=answer.mixture.top_k,
        top_p=answer.mixture.top_p,
        decision="recommend" if answer.recommends else "reply",
        p_recommend=answer.p_recommend,
        items=tuple(Shown(item, k, p) for k, (item, p) in enumerate(shown, start=1)),
        candidates=answer.candidates if draw else None,
        catalog_version=turn.served.shelf.version,
        mask_hash=turn.mask,
    )
