"""Rounds of alignment: texts are sampled and judged by the recommender; the writer, or the choice of texts, follows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from tacit.rerank.align.dpo import align
from tacit.rerank.align.feedback import Encoder, ModelOnTexts, RerankerScorer, folds, score_samples
from tacit.rerank.align.pairs import (
    Agreement,
    Pair,
    export_llama_factory,
    export_trl,
    judged,
    pair_card,
    pairs,
    random_pairs,
    require_signal,
    split_half,
    swapped,
)
from tacit.rerank.align.ppo import Task, align_by_scores
from tacit.rerank.align.text_reward import PREDICTED, TextReward, as_predicted, learn, nearest
from tacit.rerank.lists.past import Past
from tacit.rerank.stages.arms import arm_jobs, round_folder
from tacit.rerank.stages.config import RerankConfig
from tacit.rerank.stages.material import RerankData, TextReader
from tacit.rerank.stages.jobs import TrainingJob, train_all
from tacit.rerank.stages.knowledge import material
from tacit.rerank.stages.texts import texts_card, write_texts, writer
from tacit.rerank.writer.prompts import filled
from tacit.rerank.writer.texts import Texts, load_texts, save_texts
from tacit.run.files import atomic_write
from tacit.run.folder import Run, Stage
from tacit.types import Group, Scorer


def align_rounds(run: Run, config: RerankConfig, device: str) -> None:
    """Each round: sample, score by rerankers that never saw the user, pair, tune, write and train rerankers again."""
    stage, known = run.stage("align"), material(run, config)
    if not config.align.rounds:
        stage.finish({"rounds": 0})
        return
    scorer = _scorer(run, config, known, device)
    base = _base_folder(run, config)
    for number in range(1, config.align.rounds + 1):
        base = _Round(run, config, known, device, number, base).do(scorer)
        train_all(arm_jobs(run, config, known, f"round {number}", device), f"rerankers, round {number}")
    stage.finish({"rounds": config.align.rounds})


def _scorer(run: Run, config: RerankConfig, known: RerankData, device: str) -> RerankerScorer:
    """Rerankers of the reward, one a fold of the training users, trained on texts of the other folds."""
    first = load_texts(run.folder / "knowledge")
    reading = known.reading(first, device, config.dtype)
    texts = known.knowledge(first, reading)
    if config.align.reads == "samples":
        texts = replace(texts, samples=_sample_vectors(run, config, known, reading, texts.user, device))
    parts, split = folds(known.split.train_users, config.align.folds, config.seed), known.split
    settings = replace(config.ranker, name=config.align.ranker)
    jobs = []
    for number, part in enumerate(parts):
        others = split.train.take(~np.isin(split.train.users, part))
        folder, items = run.folder / "rankers" / f"reward-{config.align.ranker}-fold{number}", known.ratings.items
        valid, histories, dtype = split.valid, split.histories, config.dtype
        jobs.append(TrainingJob(folder, settings, items, others, valid, histories, texts, number, device, dtype))
    train_all(jobs, "rerankers of the reward")
    rankers = []
    for job in jobs:
        model = job.train()
        past = Past(split.histories, split.n_items) if model.reads_past else None
        rankers.append(ModelOnTexts(model, split.train, texts, past, device))
    return RerankerScorer(rankers, parts, known.split.train, reading, config.align.reward)


def _sample_vectors(
    run: Run, config: RerankConfig, known: RerankData, reading: TextReader, user: Tensor, device: str
) -> Tensor:
    """Vectors of the first round's samples, [n_users, N, d]; whoever was not asked keeps ``user``, the first text."""
    users, n = _round_users(known, config, 1), config.knowledge.samples
    prompts = [known.prompts[u] for u in users]
    samples = writer(run, config, known, device).write(prompts, n, _sample_seed(config, 1))
    read = reading([u for u in users for _ in range(n)], [(text,) for options in samples for text in options])
    vectors = user[:, None].repeat(1, n, 1)
    vectors[users] = torch.from_numpy(read).unflatten(0, (len(users), n))
    return vectors


def _sample_seed(config: RerankConfig, number: int) -> int:
    return 1000 * config.seed + number


@dataclass(frozen=True)
class _Round:
    """From the writer in ``base`` to this round's texts."""

    run: Run
    config: RerankConfig
    known: RerankData
    device: str
    number: int
    base: str | Path

    @property
    def stage(self) -> Stage:
        return Stage(f"round {self.number}", round_folder(self.run, self.number))

    @property
    def tuned(self) -> Stage:
        return Stage(f"round {self.number}", self.stage.folder / "tune")

    def do(self, scorer: RerankerScorer) -> Path:
        """The folder of the writer, where one was tuned."""
        if not self.stage.done():
            wanted = self.config.align
            lists = wanted.judge == "lists"
            groups, card, reward = self._judged_by_lists(scorer) if lists else self._judged_by_model(scorer)
            found = _pairs(groups, self.config, self.number)
            card["pairs"] = pair_card(groups, found)
            _keep(self.stage, card, found)
            if wanted.method == "dpo":
                tokenizer, settings = AutoTokenizer.from_pretrained(self.base), wanted.dpo
                known = found, settings, self.tuned, self.config.seed, self.device, self.config.dtype
                align(self.base, tokenizer, *known)
            texts = self._texts(scorer.encode, reward)
            save_texts(self.stage.folder, texts)
            self.stage.finish({**card, "texts": texts_card(self.known, texts)})
        return self.tuned.folder / "writer"

    def _judged_by_lists(self, scorer: RerankerScorer) -> tuple[list[Group], dict[str, Any], None]:
        """Texts about the round's users, scored by the users' own lists; ppo tunes the writer while it samples."""
        users = _round_users(self.known, self.config, self.number)
        if self.config.align.method == "ppo":
            groups = self._ppo(users, scorer)
            return groups, self._card(groups)[0], None
        groups = self._sampled(users, scorer)
        return groups, self._card_of_a_signal(groups), None

    def _judged_by_model(self, scorer: RerankerScorer) -> tuple[list[Group], dict[str, Any], TextReward]:
        """The feedback on texts about the round's users teaches a reward model, which judges in its place; with
        ``align.judge=nearness`` it only says how good a judge nearness is."""
        known, wanted = self.known, self.config.align
        feedback = self._sampled(_round_users(known, self.config, self.number), scorer)
        card = self._card_of_a_signal(feedback)
        reward, groups = _judge(feedback, known, scorer.encode, self.config)
        card[wanted.judge] = asdict(judged(groups, PREDICTED, self.config.seed))
        return as_predicted(groups), card, reward

    def _sampled(self, users: list[int], scorer: Scorer) -> list[Group]:
        """N texts about each of these users, scored."""
        prompts, seed = [self.known.prompts[user] for user in users], _sample_seed(self.config, self.number)
        author = writer(self.run, self.config, self.known, self.device, self.base)
        return score_samples(scorer, users, prompts, author.write(prompts, self.config.knowledge.samples, seed))

    def _ppo(self, users: list[int], scorer: Scorer) -> list[Group]:
        """The same, by a writer that learns from the scores as they come."""
        wanted = self.config.knowledge
        task = Task(users, [self.known.prompts[user] for user in users], wanted.samples, wanted.max_tokens)
        tokenizer, seed = AutoTokenizer.from_pretrained(self.base), _sample_seed(self.config, self.number)
        known = scorer, self.config.align.ppo, self.tuned, seed, self.device, self.config.dtype
        return align_by_scores(self.base, tokenizer, task, *known)

    def _card(self, groups: Sequence[Group]) -> tuple[dict[str, Any], Agreement]:
        agreement = split_half(groups, self.config.seed, self.config.align.reward)
        return {"scored_by": self.config.align.reward, "agreement": asdict(agreement)}, agreement

    def _card_of_a_signal(self, groups: Sequence[Group]) -> dict[str, Any]:
        """Raises where the feedback is noise; card and pairs are kept before that."""
        card, agreement = self._card(groups)
        found = _pairs(groups, self.config, self.number)
        _keep(self.stage, card | {"pairs": pair_card(groups, found)}, found)
        require_signal(agreement, self.config.align.force)
        return card

    def _texts(self, encode: Encoder, reward: TextReward | None) -> Texts:
        if self.config.align.method == "best_of_n":
            assert reward is not None, "rerank_config.check asks for a judge"
            return _best_of_n(self.run, self.config, self.known, reward, encode, self.number, self.device)
        tuned, known = self.tuned.folder / "writer", self.known
        return write_texts(writer(self.run, self.config, known, self.device, tuned), known)


def _judge(
    groups: Sequence[Group], known: RerankData, encode: Encoder, config: RerankConfig
) -> tuple[TextReward, list[Group]]:
    """A reward model, or what stands in its place as a control; and the groups with what it says of each text."""
    users = [int(group.options[0].context.user) for group in groups]
    options = [(user, option) for user, group in zip(users, groups, strict=True) for option in group.options]
    vectors = encode([user for user, _ in options], [(option.sample.text,) for _, option in options])
    if config.align.judge == "nearness":
        return nearest(groups, vectors, known.places[users])
    return learn(groups, vectors, known.places[users], config.seed)


def _keep(stage: Stage, card: dict[str, Any], found: Sequence[Pair]) -> None:
    """The card and the pairs, before hours of training or a refusal."""
    stage.folder.mkdir(parents=True, exist_ok=True)
    atomic_write(stage.folder / "card.json", json.dumps(card, indent=1) + "\n")
    export_trl(found, stage.folder / "pairs.jsonl")
    export_llama_factory(found, stage.folder / "llama_factory")


def _best_of_n(
    run: Run, config: RerankConfig, known: RerankData, reward: TextReward, encode: Encoder, number: int, device: str
) -> Texts:
    """About everyone what the reward model likes best: those ``align.keep`` of the first text and ``align.best_of``
    samples whose mean vector, which is what is read of them, it rates highest.

    As a control they are drawn blindly (``align.pairs=random``) or the worst ones are taken (``swapped``).
    """
    first, seed = load_texts(run.folder / "knowledge"), _sample_seed(config, number)
    prompts = [known.prompts[u] for u in known.users]
    samples = writer(run, config, known, device).write(prompts, config.align.best_of, seed)
    options = [[*first[u], *texts] for u, texts in zip(known.users, samples, strict=True)]
    n = 1 + config.align.best_of
    vectors = encode([u for u in known.users for _ in range(n)], [(text,) for texts in options for text in texts])
    sets = list(combinations(range(n), config.align.keep))
    means = np.stack([vectors.reshape(len(prompts), n, -1)[:, each].mean(1) for each in map(list, sets)], axis=1)
    places = np.repeat(known.places[known.users], len(sets), axis=0)
    liked = reward(means.reshape(len(places), -1), places).reshape(-1, len(sets))
    if config.align.pairs == "random":
        liked = np.random.default_rng([seed, n]).random(liked.shape)
    best = (liked if config.align.pairs == "swapped" else -liked).argmin(1)
    return {
        u: tuple(filled(prompt, texts[k]) for k in sets[which])
        for u, prompt, texts, which in zip(known.users, prompts, options, best.tolist(), strict=True)
    }


def _base_folder(run: Run, config: RerankConfig) -> str | Path:
    small = config.knowledge.writer == "small"
    return run.folder / "knowledge" / "sft" / "writer" if small else config.knowledge.writer


def _round_users(known: RerankData, config: RerankConfig, number: int) -> list[int]:
    users = known.split.train_users
    if config.align.users:
        users = np.random.default_rng([config.seed, number]).permutation(users)[: config.align.users]
    return sorted(int(user) for user in users)


def _pairs(groups: Sequence[Group], config: RerankConfig, number: int) -> list[Pair]:
    best_worst = partial(pairs, groups, min_margin=config.align.min_margin)
    if config.align.pairs == "random":
        return random_pairs(groups, config.seed + number)
    return swapped(best_worst()) if config.align.pairs == "swapped" else best_worst()
