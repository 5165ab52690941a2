"""Texts about users: who writes them, and what is counted of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.data import RerankData
from tacit.rerank.writer.cache import CachedWriter, cut_texts, prompt_key
from tacit.rerank.writer.prompts import faithfulness, filled
from tacit.rerank.writer.texts import Texts
from tacit.rerank.writer.writers import LocalWriter, Writer
from tacit.text.endpoint import EndpointWriter
from tacit.text.generate import Sampling


def writer(context: RerankRun, folder: str | Path | None = None) -> Writer:
    """The writer of ``folder``, or that of round 0; every text it writes is kept in the run."""
    settings, cache, device = context.config.knowledge, context.data.cache, context.device
    sampling = Sampling(settings.temperature, settings.top_p, settings.max_tokens)
    if settings.writer == "endpoint":
        jitter = np.random.default_rng(context.config.seed)
        author = EndpointWriter(settings.url, settings.model, sampling, settings.parameters, jitter=jitter)
        return CachedWriter(author, cache)
    base, small = str(folder or first_writer(context)), settings.writer == "small"
    rows = 160 if small or device != "cpu" else 64
    local = LocalWriter.load(base, sampling, device, context.config.dtype, rows)
    at_once = torch.get_num_threads() if small and device == "cpu" else 1
    return CachedWriter(local, cache, 640 if small else rows, at_once)  # a large one's texts are too dear to lose


def first_writer(context: RerankRun) -> str | Path:
    """Folder or name of round 0's writer."""
    settings = context.config.knowledge
    return context.folder / "knowledge" / "sft" / "writer" if settings.trained else settings.writer


def write_texts(author: Writer, data: RerankData, seed: int | None = None) -> Texts:
    """The likeliest text about every user, or with a ``seed`` one drawn, its numbers filled with titles."""
    written = author.write([data.prompts[u] for u in data.users], 1, seed or 0, greedy=seed is None)
    return {u: (filled(data.prompts[u], options[0]),) for u, options in zip(data.users, written, strict=True)}


def texts_card(data: RerankData, texts: Texts) -> dict[str, float]:
    """Words, titles, how many of these the writer was told of, and the share of texts that were cut at their longest:
    means over texts, where a user has several."""
    titles = [item.title for item in data.ratings.items]
    prompts = [data.prompts[user] for user, of_user in texts.items() for _ in of_user]
    single = [text for of_user in texts.values() for text in of_user]
    ended = cut_texts(data.cache)
    pairs = zip(prompts, single, strict=True)
    cut = [any(filled(prompt, raw) == text for raw in ended.get(prompt_key(prompt), ())) for prompt, text in pairs]
    card = {"texts a user": len(single) / max(len(texts), 1), **faithfulness(prompts, single, titles)}
    return card | {"cut": sum(cut) / max(len(cut), 1)}
