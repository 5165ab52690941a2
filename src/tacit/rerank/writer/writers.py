"""Writers of knowledge: prompts → n texts each, from an endpoint or from a model on this machine.

A writer's ``name`` holds everything besides prompt, seed and index that decides a text: the model, down to its weights
where they are at hand, and the sampling. So a cache (``text_cache.py``) can never mistake one model's texts for
another's.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tacit.rerank.writer.prompts import SLOT
from tacit.run.network import allow_download
from tacit.text.generate import NoRepeatPerLine, Sampling, continuations, stream_seed, uniforms
from tacit.text.lm import LMConfig, max_positions, small_lm, train_tokenizer
from tacit.types import InputError

SMALL = LMConfig(layers=4, heads=4, width=256, positions=512, vocabulary=3000)


class Writer(Protocol):
    """n texts for each prompt. A text depends on its prompt, ``seed`` and its index; greedy ones are all alike."""

    @property
    def name(self) -> str: ...

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]: ...


@dataclass(frozen=True)
class EndpointWriter:
    """Any OpenAI-compatible server (vLLM, Ollama, hosted): POST ``url``/chat/completions, or /completions.

    One request a text, ``concurrency`` at a time. What may pass (no connection, 408, 429, 5xx) is tried ``attempts``
    times, waiting ``pause_s``, then twice as long each time, or as long as the server asks.
    """

    url: str  # up to and including /v1
    model: str
    sampling: Sampling = field(default_factory=Sampling)
    chat: bool = True
    key_variable: str = "OPENAI_API_KEY"  # environment variable with the key; none is sent where it is not set
    concurrency: int = 8
    attempts: int = 6
    pause_s: float = 1.0
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"{self.url} {self.model} chat={self.chat} {self.sampling}"

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        asked = [
            (prompt, stream_seed(prompt, k, seed), greedy) for prompt in prompts for k in range(1 if greedy else n)
        ]
        key = os.environ.get(self.key_variable)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(headers=headers, timeout=self.timeout_s) as client:
            pool = ThreadPoolExecutor(self.concurrency)
            try:
                texts = list(pool.map(lambda one: self._text(client, *one), asked))
            finally:
                pool.shutdown(cancel_futures=True)
        return [[text] * n for text in texts] if greedy else [texts[i : i + n] for i in range(0, len(texts), n)]

    def _text(self, client: httpx.Client, prompt: str, seed: int, greedy: bool) -> str:
        body: dict[str, Any] = {
            "model": self.model,
            "seed": seed,
            "max_tokens": self.sampling.max_tokens,
            "temperature": 0.0 if greedy else self.sampling.temperature,
            "top_p": 1.0 if greedy else self.sampling.top_p,
        }
        body |= {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        url = f"{self.url.rstrip('/')}/{'chat/completions' if self.chat else 'completions'}"
        answer = self._post(client, url, body)
        try:
            choice = answer.json()["choices"][0]
            return str((choice["message"]["content"] if self.chat else choice["text"]) or "").strip()
        except (ValueError, LookupError, TypeError):
            raise InputError(f"{url} answered without a text ({_start(answer)}): check writer.url.") from None

    def _post(self, client: httpx.Client, url: str, body: dict[str, Any]) -> httpx.Response:
        reason = ""
        for attempt in range(self.attempts):
            wait = self.pause_s * 2**attempt
            try:
                answer = client.post(url, json=body)
                if answer.is_success:
                    return answer
                reason = f"HTTP status {answer.status_code}: {_start(answer)}"
                if answer.status_code < 500 and answer.status_code not in (408, 429):
                    break
                asked = answer.headers.get("retry-after", "")
                wait = float(asked) if asked.isdecimal() else wait
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            except httpx.InvalidURL as error:
                raise InputError(f"writer.url {self.url!r} is no address ({error}).") from None
            if attempt + 1 < self.attempts:
                time.sleep(wait)
        raise InputError(
            f"{url} gave no text ({reason}): check the server, the model's name {self.model!r} and the key in "
            f"{self.key_variable}; run the same command again to go on."
        )


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
        self.ends = {token for ids in found for token in (ids if isinstance(ids, list) else [ids]) if token is not None}

    @classmethod
    def load(
        cls, base: str, sampling: Sampling, device: str = "cpu", dtype: str = "float32", rows: int = 160
    ) -> LocalWriter:
        """From a folder in the hub's format (adapters included), or from the hub by name."""
        try:
            allow_download("writer.base", base)
            tokenizer = AutoTokenizer.from_pretrained(base)
            lm: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
        except (OSError, ValueError) as error:
            raise InputError(
                f"writer.base={base!r} cannot be loaded ({str(error).splitlines()[0]}): give a folder with "
                "config.json, model.safetensors and tokenizer files, or a hub name while online."
            ) from error
        return cls(lm.to(device), tokenizer, sampling, rows)

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        texts = [[self.text(option) for option in options] for options in self.write_tokens(prompts, n, seed, greedy)]
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
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    def _streams(self, prompt: str, n: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.stack([uniforms(prompt, k, seed, self.sampling.max_tokens) for k in range(n)])

    def _check(self, tokens: Sequence[Sequence[int]]) -> None:
        longest, limit = max(map(len, tokens), default=0), max_positions(self.lm)
        if longest + self.sampling.max_tokens > limit:
            raise InputError(
                f"a prompt of {longest} tokens and an answer of {self.sampling.max_tokens} do not fit the model's "
                f"{limit} positions: show fewer ratings in the prompt, or lower writer.max_tokens."
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
    """A prompt as a chat model's template wants it, or as it stands for a model without one."""
    if not tokenizer.chat_template:
        return list(tokenizer.encode(prompt))
    message = [{"role": "user", "content": prompt}]
    return list(tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False))


def _pointers(tokenizer: PreTrainedTokenizerBase) -> NoRepeatPerLine | None:
    """Whole tokens that are a number of the prompt (``knowledge.slotted``), and the line breaks; None without any."""
    known = {token: str(tokenizer.decode([token])) for token in tokenizer.get_vocab().values()}
    slots = [token for token, text in known.items() if SLOT.fullmatch(text.strip())]
    return NoRepeatPerLine(slots, [token for token, text in known.items() if "\n" in text]) if slots else None


def _start(answer: httpx.Response) -> str:
    """What a server said, on one line."""
    return " ".join(answer.text.split())[:200]


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
