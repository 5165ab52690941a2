"""The policy π_θ(a_t | s_t): decide, draw a slate, write a reply.

An action is one turn: the decision ``<recommend>`` or ``<chat>``, then (if recommending) an ordered slate of catalogue
items, then a reply conditioned on the slate's first titles. Its log-probability is the sum of the three factors, each
exact: a two-way softmax, Plackett-Luce over the full catalogue, and the language model over the tokens it may say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from tacit.catalog import Catalog
from tacit.dialogue.policy import act, scoring
from tacit.dialogue.policy.act import Decision
from tacit.dialogue.policy.associations import associations
from tacit.dialogue.policy.decision import NEW as NEW_DECISION
from tacit.dialogue.policy.directed import NEW as NEW_COUNTS
from tacit.dialogue.policy.directed import DirectedCounts
from tacit.dialogue.policy.network import Form, PolicyConfig, PolicyNetwork
from tacit.dialogue.policy.scoring import Evaluation
from tacit.dialogue.policy.slate import SlateHead
from tacit.dialogue.policy.wishes.term import NEW as NEW_WISHES
from tacit.run.distributed import is_writer
from tacit.run.files import read_json, says_when_damaged
from tacit.run.manifest import seal
from tacit.run.manifest import verify as verify_files
from tacit.run.shards import Whole
from tacit.text.encoder import TextEncoder
from tacit.text.lm import LMConfig, load_lm, small_lm, train_parts, train_tokenizer
from tacit.text.safe_loading import NO_CODE
from tacit.text.sharding import in_parts
from tacit.text.tokens import plain
from tacit.types import Dialogue, InputError, Ints64, Item, Sample


class Policy(PolicyNetwork):
    """The network with what a user of it does: make it, save it, load it, let it act, score its turns again."""

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
            lm, form = small_lm(tokenizer, config.lm), Form()
        else:
            lm, tokenizer, markup, added = load_lm(config.base, config.lm)
            form = Form.of_pretrained(lm, markup, added, config)
        encoder = TextEncoder.load(config.encoder, config.encoder_tokens)
        encoder.eval()
        item_text, texts_cut = encoder.read([item.text for item in catalog.items], cache)
        near = associations(train, catalog)
        head = SlateHead(item_text, catalog.counts, near, lm.config.hidden_size)
        directed = DirectedCounts.count(catalog, train)
        policy = cls(lm, tokenizer, encoder, head, catalog, config, form, directed)
        policy.texts_cut, policy.texts_by = texts_cut, encoder.fingerprint()
        return policy

    def weights(self) -> nn.Module:
        """Those of ``policy.safetensors``, whole. All who hold a part must ask; the writer has them."""
        parts = self._without_encoder()
        return Whole(parts.state_dict(), keep=is_writer()) if in_parts(self.lm) else parts

    def save_pretrained(self, folder: str | Path, weights: nn.Module | None = None) -> None:
        """Folder with ``policy.json``, ``catalog.jsonl``, ``policy.safetensors``, ``directed.json`` and its counts,
        ``lm/`` and ``encoder/``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog.save(folder / "catalog.jsonl")
        self.directed.counts.save(folder)
        self.lm.config.save_pretrained(folder / "lm")
        self.tokenizer.save_pretrained(folder / "lm")
        self.encoder.save_pretrained(folder / "encoder")
        save_model(weights or self.weights(), str(folder / "policy.safetensors"))
        meta = {"config": asdict(self.config), "version": self.version, **self.head.shape()}
        meta |= {"form": self.form.to_json(), "texts_by": self.texts_by}
        (folder / "policy.json").write_text(json.dumps(meta, indent=1))
        seal(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, verify: bool = True) -> Policy:
        """``InputError`` where a file is not what was saved; ``verify=False`` loads it all the same."""
        folder = Path(folder)
        if not (folder / "policy.json").is_file():
            raise InputError(f"{folder} holds no policy (policy.json is missing); give a folder such as RUN/ppo/policy")
        if verify:
            verify_files(folder)
        with says_when_damaged(folder, "take it from a copy, or train it again."):
            return cls._read(folder)

    @classmethod
    def several(cls, folders: Iterable[str | Path], known: dict[str, TextEncoder] | None = None) -> list[Policy]:
        """Those of these folders, to be asked the same: equal encoders are one, which reads a text once for all.
        ``known``: encoders of before, by fingerprint; those that are new come into it."""
        policies, known = [cls.from_pretrained(folder) for folder in folders], {} if known is None else known
        for policy in policies:
            policy.encoder = known.setdefault(policy.encoder.fingerprint(), policy.encoder)
        return policies

    @classmethod
    def _read(cls, folder: Path) -> Policy:
        meta = read_json(folder / "policy.json", "take it from a copy, or train the policy again.")
        if meta["config"].pop("repeat_items", False):  # a setting of earlier versions
            raise InputError(f"{folder} shows items twice (repeat_items), which no policy does now: train it again.")
        config = PolicyConfig(**{**meta["config"], "lm": LMConfig(**meta["config"]["lm"])})
        form = Form.from_json(meta.get("form"))
        catalog = Catalog.load(folder / "catalog.jsonl")
        tokenizer = AutoTokenizer.from_pretrained(folder / "lm", **NO_CODE)
        lm = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder / "lm", **NO_CODE), **NO_CODE)
        if config.base != "small":
            train_parts(lm, config.lm, form.added)
        encoder = TextEncoder.load(str(folder / "encoder"), config.encoder_tokens)
        head = SlateHead.empty(len(catalog), encoder.dim, meta, lm.config.hidden_size)
        directed = DirectedCounts.load(folder, catalog)
        policy = cls(lm, tokenizer, encoder, head, catalog, config, form, directed)
        load_known(policy._without_encoder(), folder / "policy.safetensors")
        policy.version, policy.texts_by = meta["version"], meta.get("texts_by")
        return policy.eval()

    def _without_encoder(self) -> nn.Module:
        """The same parts under the same names, less the encoder, which is saved in its own format."""
        parts = nn.Module()
        for name, part in self.named_children():
            if name != "encoder":
                parts.add_module(name, part)
        return parts

    def extended(self, items: Sequence[Item]) -> Policy:
        """The same policy, its weights shared, over a catalogue with ``items`` at the end: recommendable at once.

        A new item has its text alone: residual 0, no neighbours, and the mean bias of the items that training never
        named. Its text is read as the others were, by the encoder as it was before fine-tuning.
        """
        counts = np.concatenate([self.catalog.counts, np.zeros(len(items), np.int64)])
        reader = self._reader()
        head = self.head.extended(reader.read([item.text for item in items], None)[0], self._bias_of_unnamed())
        rows = np.concatenate([np.arange(len(self.catalog)), np.full(len(items), -1)])
        return self._with(head, Catalog((*self.catalog.items, *items), counts), rows, reader)

    def onto(self, catalog: Catalog, cache: Path | None = None) -> Policy:
        """The same policy, its weights shared, over another catalogue, another domain's as well.

        An item with the same id and text as one of its own is that item; any other has its text alone, as in
        ``extended``. ``cache`` is a folder for the embeddings of the texts that are read.
        """
        own = self.catalog
        rows = [own.index(i.id) if i.id in own and own[i.id].text == i.text else -1 for i in catalog.items]
        reader, where = self._reader(), torch.tensor(rows)
        texts = self.head.item_text.cpu().float()[where.clamp(min=0)]
        if new := [item.text for item, row in zip(catalog.items, rows, strict=True) if row < 0]:
            texts[where < 0] = reader.read(new, cache)[0].cpu()
        return self._with(self.head.onto(texts, where, self._bias_of_unnamed()), catalog, np.array(rows), reader)

    def _reader(self) -> TextEncoder:
        """Of item texts: the encoder as it was before fine-tuning."""
        return TextEncoder.load(self.config.encoder, self.config.encoder_tokens).eval()

    def _bias_of_unnamed(self) -> float:
        """Mean bias of the items that training never named."""
        unnamed = self.head.item_bias.detach()[torch.from_numpy(self.catalog.counts == 0)]
        return float(unnamed.mean()) if len(unnamed) else 0.0

    def _with(self, head: SlateHead, catalog: Catalog, rows: Ints64, reader: TextEncoder) -> Policy:
        """This policy with another head and catalogue, whose new texts ``reader`` has read; ``rows`` [n]: where each of
        its items stands here, −1 where it does not."""
        directed = self.directed.counts.onto(catalog, rows)
        policy = Policy(self.lm, self.tokenizer, self.encoder, head, catalog, self.config, self.form, directed)
        policy.text_value, policy.slate_value, policy.version = self.text_value, self.slate_value, self.version
        policy.texts_by = self.texts_by if self.texts_by == reader.fingerprint() else None
        policy.wish.load_state_dict(self.wish.state_dict())
        policy.directed.load_state_dict(self.directed.state_dict())
        policy.decision.load_state_dict(self.decision.state_dict())
        return policy.to(self.device).eval()

    def act(
        self,
        contexts: Sequence[Dialogue],
        generator: torch.Generator,
        greedy: bool = False,
        decide: Decision | None = None,
        temperature: float = 1.0,
        likeliest: bool = False,
    ) -> list[Sample]:
        """One turn for every context, in one batch with a KV cache. ``decide`` forces the decision; ``temperature`` is
        that of the words, ``likeliest`` is about the slate, see ``act``."""
        return act.act(self, contexts, generator, greedy, decide, temperature=temperature, likeliest=likeliest)

    def evaluate(self, contexts: Sequence[Dialogue], samples: Sequence[Sample]) -> Evaluation:
        """One differentiable pass over finished turns."""
        return scoring.evaluate(self, contexts, samples)


def load_known(parts: nn.Module, file: Path) -> None:
    """Weights from ``file``; only those that policies of earlier versions lack may be missing, and keep their start."""
    try:
        missing, unexpected = load_model(parts, str(file), strict=False)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if set(missing) - {*NEW_WISHES, *NEW_COUNTS, *NEW_DECISION} or unexpected:
        load_model(parts, str(file))  # says what does not fit
