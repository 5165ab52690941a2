"""Every baseline by name: built on the training dialogues, chosen on validation, ready to rank."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.baselines import bm25, counts, dense, llm, sequences
from tacit.dialogue.evaluate.baselines.choose import Score, Validation, best
from tacit.types import Dialogue, Split

log = logging.getLogger("tacit")


@dataclass
class BaselineConfig:
    bm25: bm25.BM25Config = field(default_factory=bm25.BM25Config)
    dense: dense.DenseConfig = field(default_factory=dense.DenseConfig)
    sasrec: sequences.SequenceConfig = field(default_factory=sequences.SequenceConfig)
    bert4rec: sequences.SequenceConfig = field(default_factory=sequences.SequenceConfig)
    llm: llm.LLMConfig = field(default_factory=llm.LLMConfig)


@dataclass(frozen=True)
class Inputs:
    """``contexts``: those of the test, which a server is asked about before ranking. ``folder``: keeps its answers."""

    catalog: Catalog
    split: Split
    contexts: Sequence[Dialogue]
    config: BaselineConfig
    folder: Path
    seed: int


@dataclass(frozen=True)
class Built:
    """``validation``: what was tried → NDCG@10 of new items on the validation dialogues; ``chosen`` is one of them."""

    score: Score
    chosen: str = ""
    validation: Mapping[str, float] = field(default_factory=dict)


def _counted(name: str) -> Callable[[Inputs], Built]:
    return lambda inputs: Built(counts.baselines(inputs.catalog, inputs.split.train)[name].scores)


def _bm25(inputs: Inputs) -> Built:
    made = bm25.variants(inputs.catalog, inputs.split.train, inputs.config.bm25)
    return _chosen({name: ranker.scores for name, ranker in made.items()}, inputs)


def _dense(inputs: Inputs) -> Built:
    made = dense.variants(inputs.catalog, inputs.config.dense)
    return _chosen({name: ranker.scores for name, ranker in made.items()}, inputs)


def _sequence(kind: sequences.Kind) -> Callable[[Inputs], Built]:
    def build(inputs: Inputs) -> Built:
        config = inputs.config.sasrec if kind == "sasrec" else inputs.config.bert4rec
        validate = Validation.of(inputs.split.valid, inputs.catalog)
        ranker, looks = sequences.train(kind, inputs.catalog, inputs.split.train, config, validate, inputs.seed)
        return Built(ranker.scores, f"epoch {best(looks)}" if looks else "", looks)

    return build


def _llm(inputs: Inputs) -> Built:
    answers = llm.ask(inputs.folder / "llm-answers.jsonl", inputs.contexts, inputs.config.llm, inputs.seed)
    titles = llm.LLMTitles(inputs.catalog, answers, inputs.config.llm)
    log.info("llm: %s", titles.told())
    return Built(titles.scores)


def _chosen(scores: Mapping[str, Score], inputs: Inputs) -> Built:
    validate = Validation.of(inputs.split.valid, inputs.catalog)
    values = {name: validate(score) for name, score in scores.items()}
    for name, value in values.items():
        log.info("validation %.4f: %s", value, name)
    chosen = best(values)
    return Built(scores[chosen], chosen, values)


BASELINES: Mapping[str, Callable[[Inputs], Built]] = {
    **{name: _counted(name) for name in counts.NAMES},
    "bm25": _bm25,
    "dense": _dense,
    "sasrec": _sequence("sasrec"),
    "bert4rec": _sequence("bert4rec"),
    "llm": _llm,
}
