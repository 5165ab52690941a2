"""A writer of 2 layers and width 32, texts it can learn in seconds, and pairs with one plain preference."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tacit.list_pairs import Pair
from tacit.models.knowledge_writers import prompt_tokens
from tacit.models.lm import LMConfig, small_lm, train_tokenizer
from tacit.run import Stage

GENRES = ("war", "crime", "comic", "horror", "silent")
PROMPTS = [f"liked: a {genre} film; film {i};\npreferences:\n" for i in range(4) for genre in GENRES]
LOVES = [f"You love {genre} films." for genre in GENRES] * 4
HATES = [f"You hate {genre} films." for genre in GENRES] * 4
KNOWS = [f"You know {genre} films." for genre in GENRES] * 4
PAIRS = [
    Pair(str(i), prompt, loves, hates, 0.1, 9, (knows,))
    for i, (prompt, loves, hates, knows) in enumerate(zip(PROMPTS, LOVES, HATES, KNOWS, strict=True))
]


@functools.cache
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(PROMPTS + LOVES + HATES + KNOWS, 380)


def fresh() -> PreTrainedModel:
    torch.manual_seed(0)
    return small_lm(tokenizer(), LMConfig(layers=2, heads=2, width=32, positions=64))


def save(folder: Path) -> Path:
    fresh().save_pretrained(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return state


@torch.no_grad()
def logprobs(model: PreTrainedModel, prompts: Sequence[str], texts: Sequence[str]) -> torch.Tensor:
    """log P(text and end | prompt), [n], one sequence at a time."""
    values = []
    for prompt, text in zip(prompts, texts, strict=True):
        head = prompt_tokens(tokenizer(), prompt)
        ids = torch.tensor([[*head, *tokenizer().encode(text), tokenizer().eos_token_id]])
        each = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
        values.append(each[len(head) - 1 :].sum())
    return torch.stack(values)


def dying_after(steps: int, stage: Stage) -> None:
    """From now on the stage's process is killed while it logs step ``steps + 1``, for one time."""
    honest = stage.log.append

    def append(step: int, **values: object) -> None:
        if step > steps:
            raise KeyboardInterrupt
        honest(step, **values)

    stage.log.append = append  # type: ignore[method-assign]


def residue(folder: Path) -> list[str]:
    """Files that could be a pickle, or that say who trained what with which tool."""
    return [str(p) for p in folder.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl") or p.name == "README.md"]
