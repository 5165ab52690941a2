"""Writers of knowledge: prompts → n texts each, here from a model on this machine (``endpoint.py``: from a server).

A writer's ``name`` holds everything besides prompt, seed and index that decides a text: the model, down to its weights
where they are at hand, and the sampling. So a cache (``cache.py``) can never mistake one model's texts for
another's.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.rerank.writer.prompts import SLOT
from tacit.run.network import allow_download
from tacit.text.generate import CutText, NoRepeatPerLine, Sampling, continuations, uniforms
from tacit.text.gguf import is_gguf
from tacit.text.lm import LMConfig, load_pretrained, max_positions, small_lm, train_tokenizer
from tacit.types import InputError

SMALL = LMConfig(layers=4, heads=4, width=256, positions=512, vocabulary=3000)


class Writer(Protocol):
    """n texts for each prompt. A text depends on its prompt, ``seed`` and its index; greedy ones are all alike."""

    @property
    def name(self) -> str: ...

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]: ...


class LocalWriter:
    """A causal language model on this machine. ``rows`` texts grow side by side, prompts of like length together.

    A small writer points at a title once a line: it learned from such texts, but the likeliest next token is often the
    same again.
    """

    def __init__(
        self,
        lm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        sampling: Sampling,
        rows: int = 160,
    ) -> None:
        self.lm, self.tokenizer, self.sampling, self.rows = lm.eval(), tokenizer, sampling, rows
        self.once = _pointers(tokenizer)
        self.name = f"local {_fingerprint(lm)} {sampling}{' once' if self.once else ''}"
        found = (tokenizer.eos_token_id, getattr(lm.generation_config, "eos_token_id", None))
        self.thinks = _opened_thought(tokenizer)
        self.ends = {token for ids in found for token in (ids if isinstance(ids, list) else [ids]) if token is not None}

    @classmethod
    def load(
        cls, base: str, sampling: Sampling, device: str = "cpu", dtype: str = "float32", rows: int = 160
    ) -> LocalWriter:
        """From a folder in the hub's format (adapters are merged), from a GGUF file, or from the hub by name."""
        if not is_gguf(base):
            with contextlib.suppress(ValueError):  # no name that the hub could have: loading says so
                allow_download("knowledge.writer", base)
        lm, tokenizer = load_pretrained(base, getattr(torch, dtype), "knowledge.writer")
        placed: Any = lm
        return cls(placed.to(device), tokenizer, sampling, rows)

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        """Without thoughts; a ``CutText`` where there was no end. InputError where a text is nothing but thoughts."""
        texts = [
            [self._answer(option) for option in options] for options in self.write_tokens(prompts, n, seed, greedy)
        ]
        return [options * n for options in texts] if greedy else texts

    def write_tokens(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[list[int]]]:
        """The tokens of the n texts (one, where greedy) of each prompt. The end is left out: a text shorter than
        ``sampling.max_tokens`` had one."""
        tokens = [prompt_tokens(self.tokenizer, prompt) for prompt in prompts]
        self._check(tokens)
        texts: list[list[list[int]]] = [[] for _ in prompts]
        shortest_first = sorted(range(len(prompts)), key=lambda row: len(tokens[row]))
        for batch in pieces(shortest_first, max(1, self.rows // (1 if greedy else n))):
            streams = None if greedy else np.stack([self._streams(prompts[row], n, seed) for row in batch])
            asked = [tokens[row] for row in batch]
            found = continuations(self.lm, asked, streams, self.sampling, self.ends, self.once)
            for row, options in zip(batch, found, strict=True):
                texts[row] = options
        return texts

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say, without special tokens and thoughts."""
        raw = self.thinks + str(self.tokenizer.decode(list(tokens)))
        if not has_thoughts(raw):
            return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()
        text = without_thoughts(raw)  # before special tokens are skipped: the tags may be some
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text.strip()

    def _answer(self, tokens: Sequence[int]) -> str:
        text, cut = self.text(tokens), len(tokens) >= self.sampling.max_tokens
        if not text and (self.thinks or has_thoughts(str(self.tokenizer.decode(list(tokens))))):
            raise InputError(
                f"knowledge.writer wrote nothing but thoughts in {len(tokens)} tokens: raise knowledge.max_tokens, or "
                "take a model whose thinking can be switched off."
            )
        return CutText(text) if cut else text

    def _streams(self, prompt: str, n: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.stack([uniforms(prompt, k, seed, self.sampling.max_tokens) for k in range(n)])

    def _check(self, tokens: Sequence[Sequence[int]]) -> None:
        longest, limit = max(map(len, tokens), default=0), max_positions(self.lm)
        if longest + self.sampling.max_tokens > limit:
            raise InputError(
                f"a prompt of {longest} tokens and an answer of {self.sampling.max_tokens} do not fit the model's "
                f"{limit} positions: show fewer ratings in the prompt, or lower knowledge.max_tokens."
            )


def small_writer(
    texts: Iterable[str], config: LMConfig = SMALL, seed: int = 0, whole: Iterable[str] = ()
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A GPT-2 shape with fresh weights and a byte-level BPE tokenizer of ``texts`` (prompts and answers).

    Each phrase of ``whole``, such as a title, is one token: prompts are shorter.
    """
    tokenizer = train_tokenizer(texts, config.vocabulary, whole)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return small_lm(tokenizer, config), tokenizer


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """A prompt as a chat model's template wants it, without thinking where the template offers that; or as it stands
    for a model without one."""
    if not tokenizer.chat_template:
        return list(tokenizer.encode(prompt))
    message = [{"role": "user", "content": prompt}]
    return list(
        tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False, enable_thinking=False)
    )


def _opened_thought(tokenizer: PreTrainedTokenizerBase) -> str:
    """The opening tag of a thought that the template itself writes last, and so no answer holds; "" without one."""
    if not tokenizer.chat_template:
        return ""
    tag = re.search(r"(<think\w*>|\[THINK\])\s*$", str(tokenizer.decode(prompt_tokens(tokenizer, "-"))), re.IGNORECASE)
    return tag.group(1) if tag else ""


def _pointers(tokenizer: PreTrainedTokenizerBase) -> NoRepeatPerLine | None:
    """Whole tokens that are a number of the prompt (``knowledge.slotted``), and the line breaks; None without any."""
    known = {token: str(tokenizer.decode([token])) for token in tokenizer.get_vocab().values()}
    slots = [token for token, text in known.items() if SLOT.fullmatch(text.strip())]
    return NoRepeatPerLine(slots, [token for token, text in known.items() if "\n" in text]) if slots else None


def _fingerprint(lm: PreTrainedModel) -> str:
    """sha256 over all weights: a model that was tuned further writes under another name."""
    digest = hashlib.sha256()
    for name, parameter in lm.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def pieces(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
