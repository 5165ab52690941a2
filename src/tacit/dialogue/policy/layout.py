"""How a dialogue becomes tokens, in one place, so that training, sampling and scoring agree to the token.

A dialogue is the concatenation of its utterances:

    <user> text
    <agent> <recommend> <1> Title <2> Title <reply> You could watch <1>! <eos>
    <agent> <chat> <reply> What do you like? <eos>

The slate's titles stand before the reply, and the reply names them by slot (``<1>``): the text is conditioned on the
slate and cannot name an item that is not in it. The policy draws the decision, the reply and ``<eos>``; titles and
``<reply>`` are given. A pretrained chat model has marks of its own in place of ``<user>``, ``<agent>`` and ``<eos>``,
those of its template (``text.chat_markup``); with each title it is given facts (``Lengths.facts``), and finds them
again in later prompts, where they answer "who directed it?".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from tacit.catalog import Catalog
from tacit.dialogue.policy.facts import facts
from tacit.text.chat_markup import SPECIAL, Markup
from tacit.text.tokens import CHAT, RECOMMEND, REPLY, SLOTS, plain
from tacit.types import ItemId, Slate, Turn

_SLOT = re.compile(r"<([1-5])>")
_SPACES = re.compile(r"\s+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token budgets of the language model's input."""

    prompt: int = 160
    utterance: int = 48
    title: int = 14
    reply: int = 40
    segment: int = 0  # of a training segment; 0 = prompt, reply and utterance together
    facts: int = 0  # of a shown item's facts, its title among them; 0 = the title alone

    @property
    def item(self) -> int:
        """Of what stands for a shown item, behind its slot."""
        return max(self.title, self.facts)

    @property
    def longest(self) -> int:
        return self.segment or self.prompt + self.reply + self.utterance


def with_slots(text: str, slate: Slate | None, catalog: Catalog, titles: int) -> str:
    """Replace the slate's titles in a reply by slots; titles past the first ``titles`` become "another one", and one
    that was named before "it".

    A reply must not teach the model to spell titles: every item it names goes through a slot, and a slot stands once in
    a reply.
    """
    if slate is None:
        return plain(text)
    marked = text
    for k, item in enumerate(slate.items):
        marked = marked.replace(catalog[item].title, f"\0{k + 1}\0" if k < titles else "another one")
    named: set[str] = set()

    def slot(match: re.Match[str]) -> str:
        again = match.group(1) in named
        named.add(match.group(1))
        return "it" if again else f"<{match.group(1)}>"

    return re.sub("\0([1-5])\0", slot, plain(marked))


def fill_slots(text: str, slate: Slate | None, catalog: Catalog) -> str:
    """Render a reply for people: ``<2>`` becomes the title of the slate's second item."""
    items = slate.items if slate else ()

    def title(match: re.Match[str]) -> str:
        k = int(match.group(1)) - 1
        return f" {catalog[items[k]].title} " if k < len(items) else ""

    return re.sub(r" ([.,!?;:])", r"\1", _SPACES.sub(" ", _SLOT.sub(title, text))).strip()


def window_text(turns: Sequence[Turn]) -> str:
    """The state s_t as the sentence encoder reads it: newest utterance first, so that truncation drops the oldest."""
    speakers = {"user": "User", "agent": "Agent"}
    return " | ".join(f"{speakers[turn.speaker]}: {turn.text}" for turn in reversed(turns))


class Layout:
    """Utterances → token ids for one tokenizer and catalogue."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        catalog: Catalog,
        lengths: Lengths,
        titles: int,
        markup: Markup = SPECIAL,
    ) -> None:
        self.tokenizer, self.catalog, self.lengths, self.titles = tokenizer, catalog, lengths, titles
        known = tokenizer.get_vocab()
        self.recommend, self.chat, self.reply = (int(known[token]) for token in (RECOMMEND, CHAT, REPLY))
        self.slots = [int(known[token]) for token in SLOTS]
        self.eos = int(known[markup.end])
        self.pad = self.eos if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        self.head, self.user_open, self.user_close, self.agent_open, self.after = (
            self._marks(text)
            for text in (markup.head, markup.user_open, markup.user_close, markup.agent_open, markup.after)
        )
        # Text of people cannot hold "<" (``plain``); some templates mark turns by other signs, such as [INST].
        self._unsayable = sorted((t for t in special_tokens(tokenizer) if "<" not in t), key=len, reverse=True)
        self._items: dict[str, list[int]] = {}

    def _marks(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False) if text else []
        return ids

    def _said(self, text: str) -> str:
        for token in self._unsayable:
            text = text.replace(token, " ")
        return text

    def encode(self, text: str, limit: int) -> list[int]:
        ids: list[int] = self.tokenizer.encode(self._said(text), add_special_tokens=False)
        return ids[:limit]

    def spoken(self, tokens: Sequence[int], slate: Slate | None) -> str:
        """What drawn reply tokens say, with titles in their slots. Control characters, which a model that was hardly
        trained draws and no database or page holds, are left out."""
        said = str(self.tokenizer.decode([token for token in tokens if token != self.eos], skip_special_tokens=False))
        return fill_slots(_CONTROLS.sub("", said), slate, self.catalog)

    def slate(self, slate: Slate) -> list[int]:
        """``<1> Title <2> Title`` for the first items of a slate; with the facts of each where ``lengths.facts``."""
        ids: list[int] = []
        for slot, item in zip(self.slots[: self.titles], slate.items, strict=False):
            if item not in self._items:
                self._items[item] = self.encode(" " + self._item(item), self.lengths.item)
            ids += [slot, *self._items[item]]
        return ids

    def _item(self, item: ItemId) -> str:
        """The title, or as many facts as the budget holds."""
        if not self.lengths.facts:
            return plain(self.catalog[item].title)
        room = self.lengths.facts
        line = facts(self.catalog[item]).line(lambda line: len(self.encode(" " + plain(line), room + 1)) <= room)
        return plain(line)

    def opening(self, slate: Slate | None) -> list[int]:
        """What stands between the mark of the agent's turn and the reply."""
        return [self.recommend, *self.slate(slate), self.reply] if slate else [self.chat, self.reply]

    def agent_turn(self, turn: Turn, text: str | None = None) -> tuple[list[int], list[bool]]:
        """(tokens after the mark of the agent's turn, which of them a policy draws)."""
        opening = self.opening(turn.slate)
        text = with_slots(turn.text, turn.slate, self.catalog, self.titles) if text is None else text
        reply = [*self.encode(text, self.lengths.reply - 1), self.eos]
        return opening + reply, [True] + [False] * (len(opening) - 1) + [True] * len(reply)

    def utterance(self, turn: Turn) -> list[int]:
        return self.marked(turn)[0]

    def marked(self, turn: Turn) -> tuple[list[int], list[bool]]:
        """(tokens of a turn with its marks, which of them a policy draws)."""
        if turn.speaker == "agent":
            tokens, drawn = self.agent_turn(turn)
            before, behind = self.agent_open, self.after
        else:
            tokens = self.encode(plain(turn.text), self.lengths.utterance)
            before, behind, drawn = self.user_open, self.user_close, [False] * len(tokens)
        return [*before, *tokens, *behind], [*[False] * len(before), *drawn, *[False] * len(behind)]

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """The window, then the mark of the agent's turn; the oldest utterances go first when it is too long."""
        ids = list(self.agent_open)
        for turn in reversed(turns):
            utterance = self.utterance(turn)
            if len(self.head) + len(ids) + len(utterance) > self.lengths.prompt:
                break
            ids = utterance + ids
        return self.head + ids


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """All that text is not made of, also such as no attribute of the tokenizer names."""
    named = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(named | {str(token) for token in tokenizer.all_special_tokens})
