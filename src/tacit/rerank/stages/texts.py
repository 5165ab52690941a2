"""Texts about users: who writes them, and what is counted of them."""

from __future__ import annotations

from pathlib import Path

import torch

from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.material import RerankData
from tacit.rerank.writer.cache import CachedWriter
from tacit.rerank.writer.prompts import faithfulness, filled
from tacit.rerank.writer.texts import Texts
from tacit.rerank.writer.writers import EndpointWriter, LocalWriter, Writer
from tacit.run.folder import Run
from tacit.text.generate import Sampling
from tacit.types import InputError


def writer(
    run: Run,
    config: RerankConfig,
    known: RerankData,
    device: str,
    folder: str | Path | None = None,
    sampling: Sampling | None = None,
) -> Writer:
    """The writer of ``folder``, or that of round 0; every text it writes is kept in the run."""
    wanted = config.knowledge
    sampling = sampling or Sampling(wanted.temperature, wanted.top_p, wanted.max_tokens)
    if wanted.writer == "endpoint":
        if not wanted.url or not wanted.model:
            raise InputError("knowledge.writer=endpoint needs knowledge.url (up to /v1) and knowledge.model.")
        return CachedWriter(EndpointWriter(wanted.url, wanted.model, sampling), known.cache)
    small = run.folder / "knowledge" / "sft" / "writer"
    base = str(folder or (small if wanted.writer == "small" else wanted.writer))
    at_once = torch.get_num_threads() if wanted.writer == "small" and device == "cpu" else 1
    return CachedWriter(LocalWriter.load(base, sampling, device, config.dtype), known.cache, at_once=at_once)


def write_texts(author: Writer, known: RerankData, seed: int | None = None) -> Texts:
    """The likeliest text about every user, or with a ``seed`` one drawn, its numbers filled with titles."""
    written = author.write([known.prompts[u] for u in known.users], 1, seed or 0, greedy=seed is None)
    return {u: (filled(known.prompts[u], options[0]),) for u, options in zip(known.users, written, strict=True)}


def texts_card(known: RerankData, texts: Texts) -> dict[str, float]:
    """Words, titles, and how many of these the writer was told of: means over texts, where a user has several."""
    titles = [item.title for item in known.ratings.items]
    prompts = [known.prompts[user] for user, of_user in texts.items() for _ in of_user]
    single = [text for of_user in texts.values() for text in of_user]
    return {"texts a user": len(single) / max(len(texts), 1), **faithfulness(prompts, single, titles)}
