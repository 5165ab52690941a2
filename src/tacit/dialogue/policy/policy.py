"""The policy π_θ(a_t | s_t): decide, draw a slate, write a reply.

An action is one turn: the decision ``<recommend>`` or ``<chat>``, then (if recommending) an ordered slate of catalogue
items, then a reply conditioned on the slate's first titles. Its log-probability is the sum of the three factors, each
exact: a two-way softmax, Plackett-Luce over the full catalogue, and the language model over the tokens it may say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tacit.catalog import Catalog
from tacit.dialogue.policy import act as sampling
from tacit.dialogue.policy import scoring
from tacit.dialogue.policy.layout import Layout, Lengths, fill_slots, window_text
from tacit.dialogue.policy.scoring import Evaluation, pad_right
from tacit.dialogue.policy.slate import NEG, SlateHead, associations
from tacit.text.encoder import PINNED, TextEncoder
from tacit.text.lm import LMConfig, add_lora, load_lm, max_positions, small_lm, train_tokenizer
from tacit.text.tokens import plain
from tacit.types import Dialogue, InputError, Item, Sample, Slate

MENTIONS = 16  # the most recent items that a query reads
Decision = Literal["recommend", "reply"]


@dataclass
class PolicyConfig:
    base: str = "small"  # "small" (trained from scratch on the dialogues), a hub name, or a local folder
    encoder: str = PINNED
    encoder_tokens: int = 96  # of the window; the oldest utterances are cut
    window: int = 8  # k: utterances in the state s_t
    slate_size: int = 5
    slate_titles: int = 2  # titles the reply is conditioned on
    repeat_items: bool = False  # may a slate show items that the dialogue already named?
    lm: LMConfig = field(default_factory=LMConfig)


class Policy(nn.Module):
    speakable: Tensor

    def __init__(
        self,
        lm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        encoder: TextEncoder,
        head: SlateHead,
        catalog: Catalog,
        config: PolicyConfig,
    ) -> None:
        super().__init__()
        self.lm, self.tokenizer, self.encoder, self.head = lm, tokenizer, encoder, head
        self.catalog, self.config, self.version = catalog, config, "fresh"
        self.layout = Layout(tokenizer, catalog, _lengths(max_positions(lm), config), config.slate_titles)
        width = lm.config.hidden_size + encoder.dim
        self.text_value = _value_head(width)
        self.slate_value = _value_head(width)
        speakable = torch.zeros(lm.get_output_embeddings().weight.shape[0])
        speakable[[i for i in tokenizer.all_special_ids if i < len(speakable)]] = NEG
        speakable[len(tokenizer) :] = NEG
        speakable[self.layout.eos] = 0.0
        self.register_buffer("speakable", speakable, persistent=False)

    # --- construction -------------------------------------------------------------------------------------------

    @classmethod
    def fresh(
        cls, catalog: Catalog, train: Sequence[Dialogue], config: PolicyConfig, cache: Path | None = None
    ) -> Policy:
        """Before supervised fine-tuning: the base LM (or a new small one), the encoder, item texts read once.

        ``cache`` is a folder for the item embeddings, which runs on one catalogue share.
        """
        if config.base == "small":
            texts = (plain(turn.text) for dialogue in train for turn in dialogue.turns)
            tokenizer: PreTrainedTokenizerBase = train_tokenizer(texts, config.lm.vocabulary)
            lm = small_lm(tokenizer, config.lm)
        else:
            lm, tokenizer = load_lm(config.base, config.lm)
        encoder = TextEncoder.load(config.encoder, config.encoder_tokens)
        encoder.eval()
        item_text = encoder.encode_stored([item.text for item in catalog.items], cache)
        near = associations(train, catalog)
        head = SlateHead(item_text, catalog.counts, near, lm.config.hidden_size)
        return cls(lm, tokenizer, encoder, head, catalog, config)

    def save_pretrained(self, folder: str | Path) -> None:
        """Folder with ``policy.json``, ``catalog.jsonl``, ``policy.safetensors``, ``lm/`` and ``encoder/``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog.save(folder / "catalog.jsonl")
        self.lm.config.save_pretrained(folder / "lm")
        self.tokenizer.save_pretrained(folder / "lm")
        self.encoder.save_pretrained(folder / "encoder")
        encoder, self.encoder = self.encoder, None  # type: ignore[assignment]
        try:
            save_model(self, str(folder / "policy.safetensors"))
        finally:
            self.encoder = encoder
        meta = {"config": asdict(self.config), "version": self.version, "near": self.head.near_items.shape[1]}
        (folder / "policy.json").write_text(json.dumps(meta, indent=1))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Policy:
        folder = Path(folder)
        if not (folder / "policy.json").is_file():
            raise InputError(f"{folder} holds no policy (policy.json is missing); give a folder such as RUN/ppo/policy")
        meta = json.loads((folder / "policy.json").read_text())
        config = PolicyConfig(**{**meta["config"], "lm": LMConfig(**meta["config"]["lm"])})
        catalog = Catalog.load(folder / "catalog.jsonl")
        tokenizer = AutoTokenizer.from_pretrained(folder / "lm")
        lm = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder / "lm"))
        if config.base != "small":
            add_lora(lm, config.lm)
        encoder = TextEncoder.load(str(folder / "encoder"), config.encoder_tokens)
        n, dim = len(catalog), encoder.dim
        near = (torch.zeros(n, meta["near"], dtype=torch.int64), torch.zeros(n, meta["near"]))
        head = SlateHead(torch.zeros(n, dim), catalog.counts, near, lm.config.hidden_size)
        policy = cls(lm, tokenizer, encoder, head, catalog, config)
        policy.encoder = None  # type: ignore[assignment]
        load_model(policy, str(folder / "policy.safetensors"))
        policy.encoder, policy.version = encoder, meta["version"]
        return policy.eval()

    def extended(self, items: Sequence[Item]) -> Policy:
        """The same policy, its weights shared, over a catalogue with ``items`` at the end: recommendable at once.

        A new item has its text alone: residual 0, no neighbours, and the mean bias of the items that training never
        named. Its text is read as the others were, by the encoder as it was before fine-tuning.
        """
        counts = np.concatenate([self.catalog.counts, np.zeros(len(items), np.int64)])
        reader = TextEncoder.load(self.config.encoder, self.config.encoder_tokens).eval()
        unnamed = self.head.item_bias.detach()[torch.from_numpy(self.catalog.counts == 0)]
        bias = float(unnamed.mean()) if len(unnamed) else 0.0
        head = self.head.extended(reader.encode([item.text for item in items]), bias)
        catalog = Catalog((*self.catalog.items, *items), counts)
        policy = Policy(self.lm, self.tokenizer, self.encoder, head, catalog, self.config)
        policy.text_value, policy.slate_value, policy.version = self.text_value, self.slate_value, self.version
        return policy.to(self.device).eval()

    # --- the state ----------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return self.head.item_bias.device

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

    def trunk(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Last hidden states of right-padded sequences, [B, L, width]."""
        ids, mask = pad_right(sequences, self.layout.pad, self.device)
        hidden: Tensor = self.lm.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return hidden

    def slate_scores(self, window: Tensor, state: Tensor, mentioned: Tensor) -> Tensor:
        """Slate logits as the policy draws from them: items already named are out unless ``repeat_items``."""
        logits = self.head(window, state.float(), mentioned).float()
        return logits if self.config.repeat_items else mask_rows(logits, mentioned)

    @torch.no_grad()
    def slate_logits(self, contexts: Sequence[Dialogue], batch_size: int = 64) -> Tensor:
        """[B, n_items] for evaluation, float32, nothing masked."""
        chunks = []
        for start in range(0, len(contexts), batch_size):
            part = contexts[start : start + batch_size]
            prompts = [[*self.prompt(context), self.layout.recommend] for context in part]
            hidden = self.trunk(prompts)
            last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=self.device)
            state = hidden[torch.arange(len(part), device=self.device), last]
            window = self.encoder.encode([self.window_text(context) for context in part])
            chunks.append(self.head(window, state.float(), self.mentioned(part)).float())
        return torch.cat(chunks) if chunks else torch.zeros(0, len(self.catalog))

    # --- acting -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def act(
        self,
        contexts: Sequence[Dialogue],
        generator: torch.Generator,
        greedy: bool = False,
        decide: Decision | None = None,
    ) -> list[Sample]:
        """One turn for every context, in one batch with a KV cache. ``decide`` forces the decision."""
        return sampling.act(self, contexts, generator, greedy, decide)

    def finish(self, prompt: list[int], drawn: Any) -> Sample:
        """Tokens and log-probabilities → the Sample that is shown, logged and trained on."""
        slate: Slate | None = drawn.slate
        text = str(self.tokenizer.decode([t for t in drawn.reply if t != self.layout.eos], skip_special_tokens=False))
        opening = self.layout.opening(slate)
        return Sample(
            prompt_tokens=tuple(prompt),
            tokens=(*opening, *drawn.reply),
            sampled=(True, *[False] * (len(opening) - 1), *[True] * len(drawn.reply)),
            logprobs=(drawn.decision_logprob, *[0.0] * (len(opening) - 1), *drawn.reply_logprobs),
            text=fill_slots(text, slate, self.catalog),
            slate=slate,
            slate_logprobs=drawn.slate_logprobs,
            finished=bool(drawn.reply) and drawn.reply[-1] == self.layout.eos,
            version=self.version,
        )

    def sayable(self, slates: Sequence[Slate | None]) -> Tensor:
        """Additive mask [B, V]: ordinary tokens, ``<eos>``, and the slots whose titles the reply was given."""
        mask = self.speakable.repeat(len(slates), 1)
        for row, slate in enumerate(slates):
            shown = min(len(slate.items), self.config.slate_titles) if slate else 0
            mask[row, self.layout.slots[:shown]] = 0.0
        return mask

    def decision_logprobs(self, state: Tensor) -> Tensor:
        """log P(<recommend>), log P(<chat>) from the states at ``<agent>``: [B, width] → [B, 2]."""
        logits = self.lm.get_output_embeddings()(state).float()
        return torch.log_softmax(logits[:, [self.layout.recommend, self.layout.chat]], dim=-1)

    # --- scoring finished turns ---------------------------------------------------------------------------------

    def evaluate(self, contexts: Sequence[Dialogue], samples: Sequence[Sample]) -> Evaluation:
        """One differentiable pass over finished turns."""
        return scoring.evaluate(self, contexts, samples)


def mask_rows(logits: Tensor, rows: Tensor) -> Tensor:
    """logits [B, n] with the item rows [B, M] (−1 = none) put out of reach."""
    hit = torch.zeros(logits.shape[0], logits.shape[1] + 1, dtype=torch.bool, device=logits.device)
    hit.scatter_(1, torch.where(rows < 0, logits.shape[1], rows), True)
    return logits.masked_fill(hit[:, :-1], NEG)


def _value_head(width: int) -> nn.Sequential:
    """Zero-initialised at the end: the first advantages are the rewards themselves."""
    last = nn.Linear(128, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, 128), nn.Tanh(), last)


def _lengths(positions: int, config: PolicyConfig) -> Lengths:
    usual = Lengths()
    opening = 2 + config.slate_titles * (usual.title + 1)
    return Lengths(prompt=min(48 + 16 * config.window, positions - opening - usual.reply))
