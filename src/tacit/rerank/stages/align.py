"""Rounds of alignment: texts are sampled and scored by the recommender; the writer, or the choice of texts, follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tacit.rerank.align.feedback import RerankerScorer
from tacit.rerank.stages.arms import arm_jobs
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.jobs import train_all
from tacit.rerank.stages.methods import best_of_n, dpo, ppo
from tacit.rerank.stages.reward import reward_scorer
from tacit.rerank.stages.rounds import Round
from tacit.rerank.stages.texts import first_writer, texts_card
from tacit.rerank.writer.texts import Texts, save_texts
from tacit.run.folder import Run

# One file a method: from the scorer of texts to what the rerankers read after the round, and what the card says of it.
METHODS: Mapping[str, Callable[[Round, RerankerScorer], tuple[Texts, dict[str, Any]]]] = {
    "dpo": dpo.texts,
    "ppo": ppo.texts,
    "best_of_n": best_of_n.texts,
}


def align_rounds(run: Run, config: RerankConfig, device: str) -> None:
    """Each round: sample, score by rerankers that never saw the user, align, write and train rerankers again."""
    stage, rounds = run.stage("align"), config.align.rounds
    if not rounds:
        stage.finish({"rounds": 0})
        return
    context = RerankRun.open(run, config, device)
    scorer, writer = reward_scorer(context), first_writer(context)
    for number in range(1, rounds + 1):
        this = Round(context, number, writer)
        if not this.stage.done():
            texts, card = METHODS[config.align.method](this, scorer)
            save_texts(this.stage.folder, texts)
            this.stage.finish({**card, "texts": texts_card(context.data, texts)})
        writer = this.tuned_writer
        train_all(arm_jobs(context, f"round {number}"), f"rerankers, round {number}")
    stage.finish({"rounds": rounds})
