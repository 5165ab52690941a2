"""From the messages of a request to what the policy reads: this conversation, and the person's past ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tacit.catalog import Catalog
from tacit.events import sessions
from tacit.events.store import Record, Store, consent, past, session
from tacit.serve.turns import Asked
from tacit.types import Bools, Dialogue, ItemId, Judgement, Slate, Turn

REMEMBERED = 10_000  # sessions
_EACH = 12  # items of the past that are named, of those liked, seen and rejected each
_REPLIES = 200  # of a session


@dataclass
class Session:
    """What a conversation's messages do not say: which slate went with which reply, and what the person said before."""

    user: str
    slates: dict[str, tuple[ItemId, ...]] = field(default_factory=dict)
    before: tuple[Turn, ...] = ()  # turns of past conversations
    taste: Turn | None = None  # what was liked, seen and rejected in them
    version: str | None = None  # of the policy it began with; None: it has not begun

    def remember(self, said: str, items: tuple[ItemId, ...]) -> None:
        self.slates[said.strip()] = items
        while len(self.slates) > _REPLIES:
            del self.slates[next(iter(self.slates))]


class Sessions:
    """The last ones, in memory; what is stored of an older one is read again."""

    def __init__(self, store: Store, past_sessions: int, most: int = REMEMBERED) -> None:
        self.store, self.past_sessions, self._most = store, past_sessions, most
        self._known: OrderedDict[str, Session] = OrderedDict()

    def known(self, name: str) -> Session | None:
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
        return found

    def put(self, name: str, found: Session) -> Session:
        found = self._known.setdefault(name, found)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found

    def read(self, name: str, user: str, catalog: Catalog) -> Session:
        """From the log, which waits for the disk. The past only of those who agree that it is kept."""
        with self.store.reading() as connection:
            agreed = consent(connection, user)
        if agreed is None:
            return Session(user)
        logged = session(self.store, name)
        found = Session(user, dict(slates_of(logged)))
        found.version = logged[0].exposure.policy_version if logged else None
        before = [
            records
            for records in past(self.store, user, self.past_sessions + 1)
            if records and records[0].exposure.session_id != name
        ]
        before = before[-self.past_sessions :] if self.past_sessions else []
        found.before, found.taste = before_and_taste(before, catalog)
        return found

    def forget(self, user: str) -> None:
        """Of a person who was deleted, or agrees no longer."""
        for name in [name for name, found in self._known.items() if found.user == user]:
            del self._known[name]


def asked(
    messages: Sequence[tuple[str, str]], found: Session, catalog: Catalog, allowed: Bools | None, name: str
) -> Asked:
    """``messages`` are (role, text) of users and assistants. Wishes of past conversations are not those of today: of
    the past, the language model reads the words, and everything else what was liked, seen and rejected."""
    turns = tuple(_turn(role, text, found, catalog) for role, text in messages)
    remembered = () if found.taste is None else (_known(found.taste, catalog),)
    before = tuple(_known(turn, catalog) for turn in found.before)
    read = Dialogue(name, found.user, (*before, *remembered, *turns))
    return Asked(read, Dialogue(name, found.user, (*remembered, *turns)), allowed)


def before_and_taste(before: Sequence[Sequence[Record]], catalog: Catalog) -> tuple[tuple[Turn, ...], Turn | None]:
    """Of past conversations, the oldest first: what was said, and what was liked, seen and rejected."""
    turns = tuple(turn for records in before for turn in _turns(records, catalog))
    return turns, taste([record for records in before for record in records], catalog)


def taste(records: Sequence[Record], catalog: Catalog) -> Turn | None:
    """What the buttons said, as the person might have said it."""
    judged = {item: j for item, j in sessions.judgements(records).items() if item in catalog}
    liked = _named(judged, lambda j: j.liked is True)
    rejected = _named(judged, lambda j: j.liked is False)
    seen = [item for item in _named(judged, lambda j: j.seen is True) if item not in {*liked, *rejected}]
    parts = [
        (liked, "I liked {}."),
        (seen, "I have already seen {}."),
        (rejected, "I didn't like {}."),
    ]
    said = [form.format(" and ".join(catalog[item].title for item in items)) for items, form in parts if items]
    return Turn("user", " ".join(said), (*liked, *seen, *rejected)) if said else None


def _named(judged: dict[ItemId, Judgement], holds: object) -> list[ItemId]:
    assert callable(holds)
    return [item for item, judgement in judged.items() if holds(judgement)][-_EACH:]


def _turn(role: str, text: str, found: Session, catalog: Catalog) -> Turn:
    if role == "user":
        return Turn("user", text, catalog.named(text))
    items = tuple(item for item in found.slates.get(text.strip(), ()) if item in catalog)
    if items:
        return Turn("agent", text, items, Slate(items))
    return Turn("agent", text, catalog.named(text))


def _known(turn: Turn, catalog: Catalog) -> Turn:
    """Without items that this catalogue has not, as after another policy was loaded."""
    items = tuple(item for item in turn.mentions if item in catalog)
    shown = tuple(item for item in turn.slate.items if item in catalog) if turn.slate else ()
    return Turn(turn.speaker, turn.text, items, Slate(shown) if shown else None)


def slates_of(records: Sequence[Record]) -> list[tuple[str, tuple[ItemId, ...]]]:
    """The text of each reply that showed items, and these."""
    return [
        (record.words.said.strip(), tuple(shown.item_id for shown in record.exposure.items))
        for record in records
        if record.words and record.words.said and record.exposure.items
    ]


def _turns(records: Sequence[Record], catalog: Catalog) -> tuple[Turn, ...]:
    found = sessions.dialogue(records, catalog.named)
    return found.turns if found else ()
