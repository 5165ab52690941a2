"""What a policy is made of and what it computes of a state: the weights, without drawing from them.

``act`` draws turns from it, ``scoring`` scores them again, and ``policy.Policy`` is the one that can be trained, saved
and talked to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.catalog import Catalog
from tacit.dialogue.policy.answering import answer
from tacit.dialogue.policy.decision import DecisionTerm
from tacit.dialogue.policy.directed import DirectedCounts, DirectedTerm
from tacit.dialogue.policy.layout import Layout, Lengths, special_tokens, window_text
from tacit.dialogue.policy.plackett_luce import NEG
from tacit.dialogue.policy.slate import SlateHead, mask_rows_
from tacit.dialogue.policy.wishes.attributes import Part
from tacit.dialogue.policy.wishes.state import Wishes
from tacit.dialogue.policy.wishes.term import WishTerm
from tacit.run.limits import at_least
from tacit.text.chat_markup import SPECIAL, Markup
from tacit.text.encoder import PINNED, TextEncoder
from tacit.text.lm import LMConfig, head_logits, max_positions, read
from tacit.text.packed import packed_rows, packs
from tacit.text.tokens import DESCRIBED, SLOTS, plain
from tacit.types import Dialogue, ItemId, Slate

PRETRAINED_REPLY = 64  # tokens of a pretrained model's reply, its end included
FACTS = 48  # tokens of a shown item's facts, its title included
ROOMY = 1024  # positions from which a pretrained model is given facts by itself
MARKS = 16  # tokens that a template may write around an utterance
SHOWS_NOTHING = 12.0  # nats against a slate beside an answer about the last one, or a goodbye
MENTIONS = 16  # the most recent items that a query reads


@dataclass
class PolicyConfig:
    base: str = "small"  # small (trained from scratch on the dialogues), smollm2, a GGUF file, a folder or hub name
    encoder: str = PINNED
    encoder_tokens: int = at_least(8, default=96)  # of the window; the oldest utterances are cut
    window: int = at_least(1, default=8)  # k: utterances in the state s_t
    slate_size: int = at_least(1, default=5)
    slate_titles: int = at_least(1, default=2)  # titles the reply is conditioned on
    # nats that an item loses in what is drawn for each thing a user asked for that it lacks; 0 = learnt weights alone
    wish_margin: float = at_least(0.0, default=12.0)
    # longest reply, with its end; 0 = 40 for the small model, PRETRAINED_REPLY for a pretrained one
    reply_tokens: int = at_least(0, default=0)
    # facts of each shown item before the reply: auto = for a pretrained base, which can read them
    facts: Literal["auto", "always", "never"] = "auto"
    # questions about shown items: catalog = answered from it (``answering``), model = left to the language model
    answers: Literal["catalog", "model"] = "catalog"
    lm: LMConfig = field(default_factory=LMConfig)

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.slate_titles > self.slate_size:
            yield "slate_titles", self.slate_titles, f"at most slate_size={self.slate_size}"


@dataclass(frozen=True)
class Form:
    """What a policy is given with its base when it is made, and keeps (``policy.json``)."""

    markup: Markup = SPECIAL
    lengths: Lengths | None = None  # None: by the formula of the small model
    added: tuple[int, ...] | None = None  # tokens that a pretrained model was given; None: not known
    normed: bool = False  # do slate and value heads read the language model's states at unit variance?

    @classmethod
    def of_pretrained(cls, lm: PreTrainedModel, markup: Markup, added: Sequence[int], config: PolicyConfig) -> Form:
        return cls(markup, pretrained_lengths(max_positions(lm), config), tuple(added), True)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any] | None) -> Form:
        """``None``: a policy of before there were forms."""
        if record is None:
            return cls()
        lengths, added = record["lengths"], record["added"]
        return cls(
            Markup(**record["markup"]),
            None if lengths is None else Lengths(**lengths),
            None if added is None else tuple(added),
            record["normed"],
        )


class PolicyNetwork(nn.Module):
    """A language model that decides and writes, a slate head that ranks the catalogue, two value heads, an encoder."""

    speakable: Tensor

    def __init__(
        self,
        lm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        encoder: TextEncoder,
        head: SlateHead,
        catalog: Catalog,
        config: PolicyConfig,
        form: Form | None = None,
        directed: DirectedCounts | None = None,
    ) -> None:
        super().__init__()
        self.form = form or Form()
        self.lm, self.tokenizer, self.encoder, self.head = lm, tokenizer, encoder, head
        self.catalog, self.config, self.version = catalog, config, "fresh"
        self.texts_cut: int | None = (
            None  # items whose text was longer than the encoder reads, told by ``Policy.fresh``
        )
        self.texts_by: str | None = None  # the fingerprint of the encoder that read the head's item texts
        lengths = self.form.lengths or _lengths(max_positions(lm), config)
        self.layout = Layout(tokenizer, catalog, lengths, config.slate_titles, self.form.markup)
        self.directed = DirectedTerm(directed or DirectedCounts.none(catalog))
        self.wish = WishTerm(catalog, config.wish_margin, config.slate_size)
        self.decision = DecisionTerm(lm.config.hidden_size)
        width = lm.config.hidden_size + encoder.dim
        self.text_value = _value_head(width)
        self.slate_value = _value_head(width)
        speakable = torch.zeros(lm.get_output_embeddings().weight.shape[0])
        known = tokenizer.get_vocab()
        speakable[[known[token] for token in special_tokens(tokenizer)]] = NEG
        speakable[len(tokenizer) :] = NEG
        speakable[self.layout.eos] = 0.0
        speakable[self._twins_of_slots()] = NEG
        self.register_buffer("speakable", speakable, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.head.item_bias.device

    def _twins_of_slots(self) -> list[int]:
        """Tokens that a pretrained model's slots began as (``text.tokens.DESCRIBED``): until training has told the two
        apart, one that is drawn is a slot that was meant, and greedy replies repeat it to their limit."""
        if self.form.added is None:
            return []
        words = {token: self.tokenizer.encode(DESCRIBED[token], add_special_tokens=False) for token in SLOTS}
        added = {token for token in SLOTS if self.tokenizer.convert_tokens_to_ids(token) in self.form.added}
        return sorted({ids[0] for token, ids in words.items() if token in added and len(ids) == 1})

    def item_texts(self, folder: Path | None, what: str) -> Tensor:
        """[n_items, dim], the catalogue's texts by the encoder as it is now: the head's own where this very encoder has
        read them; else read, and kept in ``folder`` (``TextEncoder.read``)."""
        held = self.head.item_text
        if held.dtype == torch.float32 and self.texts_by == self.encoder.fingerprint():
            return held
        return self.encoder.read([item.text for item in self.catalog.items], folder, what)[0]

    def item_vectors(self) -> Tensor:
        """[n_items, dim]."""
        return self.head.item_vectors()

    def window_text(self, context: Dialogue) -> str:
        return window_text(context.window(self.config.window))

    def prompt(self, context: Dialogue) -> list[int]:
        return self.layout.prompt(context.window(self.config.window))

    def mentioned(self, contexts: Sequence[Dialogue]) -> Tensor:
        """[B, M] rows of the most recently mentioned items, newest first, padded with -1."""
        rows = [[self.catalog.index(i) for i in reversed(c.mentioned()[-MENTIONS:])] for c in contexts]
        width = max([1, *map(len, rows)])
        return torch.tensor([r + [-1] * (width - len(r)) for r in rows], device=self.device).view(len(rows), width)

    def forget(self) -> None:
        """What is kept of dialogues that were read, which only saves time."""
        self.encoder.clear_cache()
        self.wish.forget()
        self.directed.counts.forget()

    def trunk(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Last hidden states of right-padded sequences, [B, L, width]."""
        if packs(self.lm):
            return packed_rows(self.lm, sequences)
        ids, mask = pad_right(sequences, self.layout.pad, self.device)
        hidden: Tensor = read(self.lm, input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return hidden

    def head_state(self, state: Tensor) -> Tensor:
        """[…, width] as slate and value heads read it, float32: at unit variance where the base is pretrained.

        The scale of a pretrained model's states is its own (norm 43 in SmolLM2, 14 in the small model), and the heads'
        step sizes are not.
        """
        state = state.float()
        return nn.functional.rms_norm(state, state.shape[-1:], eps=1e-6) if self.form.normed else state

    def wishes(self, contexts: Sequence[Dialogue]) -> list[Wishes]:
        """What the user of each context has asked for so far; ``self.wish.reader.describe`` puts it in words."""
        return self.wish.read(contexts)

    def answer(self, context: Dialogue) -> list[int]:
        """The reply that the catalogue gives to the user's last words, its end included; empty where none is asked."""
        if self.config.answers == "model":
            return []
        room = self.layout.lengths.reply - 1

        def met(item: ItemId) -> list[str]:
            row, satisfied = self.catalog.index(item), self.wish.reader.index.satisfied
            return [w.part.label for w in self.wishes([context])[0].current if satisfied(w.part)[row] > 0.5]

        def fits(text: str) -> bool:
            return len(self.layout.encode(plain(text), room + 1)) <= room

        def holds(text: str, item: ItemId) -> list[tuple[Part, bool]]:
            row, index = self.catalog.index(item), self.wish.reader.index
            return [(part, bool(index.satisfied(part)[row] > 0.5)) for part in self.wish.reader.asked_of(text)]

        text = answer(context, self.catalog, met, fits, holds)
        return [*self.layout.encode(plain(text), room), self.layout.eos] if text else []

    def shows_nothing(self, context: Dialogue) -> bool:
        """Whether no slate belongs to the turn: the user wishes nothing, and asks about what was shown, which the
        catalogue answers, or takes leave."""
        wishes = self.wishes([context])[0]
        return not wishes.asks and (wishes.leaves or bool(self.answer(context)))

    def ranking_scores(self, window: Tensor, state: Tensor, contexts: Sequence[Dialogue]) -> Tensor:
        """Slate logits with nothing masked, differentiable: what supervised training and the ranking table read."""
        scores: Tensor = self.head(window, self.head_state(state), self.mentioned(contexts))
        return self.wish.add_features(self.directed.add_(scores, contexts), self.wishes(contexts))

    def slate_scores(self, window: Tensor, state: Tensor, contexts: Sequence[Dialogue]) -> Tensor:
        """Slate logits as the policy draws from them: stated wishes have their margin; items that the dialogue already
        named, and those that the user excluded, are out."""
        mentioned = self.mentioned(contexts)
        scores = self.ranking_scores(window, state, contexts)
        return mask_rows_(self.wish.restrict_(scores, self.wishes(contexts), mentioned.shape[1]), mentioned)

    @torch.no_grad()
    def slate_logits(self, contexts: Sequence[Dialogue], batch_size: int = 64) -> Tensor:
        """[B, n_items] for evaluation, float32, nothing masked."""
        parts = [contexts[start : start + batch_size] for start in range(0, len(contexts), batch_size)]
        chunks = [self.ranking_scores(*self.read(part), part) for part in parts]
        return torch.cat(chunks) if chunks else torch.zeros(0, len(self.catalog))

    @torch.no_grad()
    def read(self, contexts: Sequence[Dialogue]) -> tuple[Tensor, Tensor]:
        """What the slate head reads of contexts: the encoded windows [B, dim] and the states at a decision to recommend
        [B, width], of the whole batch at once."""
        prompts = [[*self.prompt(context), self.layout.recommend] for context in contexts]
        hidden = self.trunk(prompts)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=self.device)
        window = self.encoder.encode([self.window_text(context) for context in contexts])
        return window, hidden[torch.arange(len(contexts), device=self.device), last]

    def sayable(self, slates: Sequence[Slate | None]) -> Tensor:
        """Additive mask [B, V] of a reply's first token: ordinary tokens, ``<eos>``, and the slots whose titles the
        reply was given. A slot stands once in a reply: each drawn token goes to ``say_once``."""
        mask = self.speakable.repeat(len(slates), 1)
        for row, slate in enumerate(slates):
            shown = min(len(slate.items), self.config.slate_titles) if slate else 0
            mask[row, self.layout.slots[:shown]] = 0.0
        return mask

    def say_once(self, sayable: Tensor, said: Sequence[int]) -> None:
        """Put the slots among the B tokens just ``said`` out of their rows' reach, in place."""
        for row, token in enumerate(said):
            if token in self.layout.slots:
                sayable[row, token] = NEG

    def decision_logprobs(self, state: Tensor, contexts: Sequence[Dialogue]) -> Tensor:
        """log P(<recommend>), log P(<chat>) from the states before it: [B, width] → [B, 2]. A turn that asks for
        something raises the first; one that only asks about what was shown, or takes leave, brings no slate."""
        logits = head_logits(self.lm, state)[:, [self.layout.recommend, self.layout.chat]]
        alone = torch.tensor([float(self.shows_nothing(context)) for context in contexts], device=state.device)
        asked = self.wish.log_odds(self.wishes(contexts)) + self.decision.log_odds(state) - SHOWS_NOTHING * alone
        return torch.log_softmax(logits + torch.stack([asked, torch.zeros_like(asked)], dim=1), dim=-1)


def pad_right(sequences: Sequence[Sequence[Any]], fill: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ragged rows → [B, longest] filled with ``fill``, and the 0/1 mask of what is real."""
    width = max(map(len, sequences))
    ids = torch.tensor([[*s, *[fill] * (width - len(s))] for s in sequences], device=device)
    lengths = torch.tensor([len(s) for s in sequences], device=device)
    return ids, (torch.arange(width, device=device) < lengths[:, None]).long()


def _value_head(width: int) -> nn.Sequential:
    """Zero-initialised at the end: the first advantages are the rewards themselves."""
    last = nn.Linear(128, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, 128), nn.Tanh(), last)


def _lengths(positions: int, config: PolicyConfig) -> Lengths:
    """Of the small model: budgets that fit its positions."""
    usual, facts = Lengths(), FACTS if config.facts == "always" else 0
    usual = replace(usual, reply=config.reply_tokens or usual.reply, facts=facts)
    opening = 2 + config.slate_titles * (usual.item + 1)
    wanted = 48 + 16 * config.window + config.window // 2 * config.slate_titles * facts
    prompt = min(wanted, positions - opening - usual.reply)
    return replace(usual, prompt=prompt, segment=min(prompt + usual.reply + usual.utterance, positions))


def pretrained_lengths(positions: int, config: PolicyConfig) -> Lengths:
    """The window is what is read, and the model's length the limit of it: an utterance may take its share."""
    usual = Lengths()
    told = config.facts == "always" or (config.facts == "auto" and positions >= ROOMY)
    reply, title, facts = config.reply_tokens or PRETRAINED_REPLY, 2 * usual.title, FACTS if told else 0
    opening = 2 + config.slate_titles * (max(title, facts) + 1)
    prompt = positions - opening - reply
    utterance = max(prompt // config.window - MARKS, usual.utterance)
    return Lengths(prompt, utterance, title, reply, segment=positions, facts=facts)
