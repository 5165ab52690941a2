"""BLEU of the replies by sacrebleu, and each formula that published code calls BLEU or distinct under its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import polars as pl

from tacit.metrics import intervals, legacy_texts, texts
from tacit.metrics.intervals import Estimate
from tacit.metrics.persons import Persons, persons
from tacit.metrics.results import Row, blank, difference, make_row
from tacit.referee.form import Context, RunFile
from tacit.types import Floats64

PROTOCOL, SLICE = "replies", "replies with a reference"
_FEW = 300  # resamples of corpus BLEU, which is summed anew in each

Formula = Callable[[Sequence[str], Sequence[str]], float]
SENTENCE: Mapping[str, Formula] = MappingProxyType(
    {
        **{f"bleu@{n} (CRSLab, KGSF, UniCRS)": partial(legacy_texts.ngram_bleu, n=n) for n in (1, 2, 3, 4)},
        "BLEU-4 (nltk, not smoothed)": legacy_texts.cumulative_bleu,
        "BLEU-4 (nltk method 1)": legacy_texts.method1_bleu,
        "BLEU-4 (nltk method 7; MESE, PECRS)": legacy_texts.method7_bleu,
    }
)


def answered(run: RunFile) -> tuple[Context, ...]:
    """The contexts that have a reply and a reference."""
    return tuple(context for context in run.contexts if context.reply is not None and context.reference is not None)


def reply_rows(system: str, run: RunFile, against: Sequence[tuple[str, RunFile]], draws: int, seed: int) -> list[Row]:
    """All formulas × 100 with intervals over persons, then differences where the same contexts were answered."""
    contexts = answered(run)
    if not contexts:
        return []
    people = _people(contexts, run.dataset)
    base = blank(run.dataset, PROTOCOL, SLICE, system, seed, unit=people.unit)
    parts, values = _corpus_parts(contexts), _sentences(contexts)
    signature = texts.corpus_bleu([contexts[0].reply or ""], [contexts[0].reference or ""])[1]
    few = min(draws, _FEW)
    corpus = intervals.bootstrap_sums(parts, people.groups, texts.bleu_of_sums, _generator(seed), few)
    rows = [make_row(base, "BLEU (sacrebleu)", corpus, note=signature)]
    for name, column in values.items():
        mean = intervals.bootstrap_mean(column, people.groups, _generator(seed), draws)
        rows.append(make_row(base, name, mean))
    rows += [make_row(base, name, value) for name, value in _distinct(contexts).items()]
    for name, other in against:
        theirs = {context.id: context for context in answered(other)}
        if {key: context.reference for key, context in theirs.items()} != {
            context.id: context.reference for context in contexts
        }:
            continue  # ``reply_remarks`` says so
        same = [theirs[context.id] for context in contexts]
        both = np.concatenate([parts, _corpus_parts(same)], axis=1)
        gain = intervals.bootstrap_sums(both, people.groups, _corpus_gain, _generator(seed), few)
        rows.append(make_row(base, "BLEU (sacrebleu)", gain, against=name, note=signature))
        for metric, column in _sentences(same).items():
            gain = difference(values[metric], column, people.groups, _generator(seed), draws)
            rows.append(make_row(base, metric, gain, against=name))
    return rows


def reply_remarks(system: str, run: RunFile, against: Sequence[tuple[str, RunFile]]) -> list[str]:
    """Why there is no BLEU, or no difference of it, where there are replies."""
    contexts = answered(run)
    replies = sum(context.reply is not None for context in run.contexts)
    if replies and not contexts:
        return [f"replies: {system} has {replies} replies and no 'reference' to any, so no BLEU"]
    mine = {context.id: context.reference for context in contexts}
    remarks = []
    for name, other in against:
        theirs = {context.id: context.reference for context in answered(other)}
        if mine and theirs and mine != theirs:
            alone = len(mine.keys() - theirs.keys()), len(theirs.keys() - mine.keys())
            unlike = sum(theirs[id] != mine[id] for id in mine.keys() & theirs.keys())
            remarks.append(
                f"replies: no differences of {system} and {name}: {alone[0]} contexts are answered by the one alone, "
                f"{alone[1]} by the other, and {unlike} of the rest have another reference"
            )
    return remarks


def _people(contexts: Sequence[Context], dataset: str) -> Persons:
    table = pl.DataFrame({"dialogue": [context.dialogue for context in contexts]})
    if all(context.person is not None for context in contexts):
        table = table.with_columns(pl.Series("user", [context.person for context in contexts], dtype=pl.String))
    return persons([table], dataset)


def _corpus_parts(contexts: Sequence[Context]) -> Floats64:
    return texts.bleu_parts(
        [context.reply or "" for context in contexts], [context.reference or "" for context in contexts]
    )


def _corpus_gain(sums: Floats64) -> Floats64:
    return np.asarray(texts.bleu_of_sums(sums[:, :10]) - texts.bleu_of_sums(sums[:, 10:]))


def _sentences(contexts: Sequence[Context]) -> dict[str, Floats64]:
    """Formula → 100 × its value of each reply, of lower-cased words and punctuation marks."""
    pairs = [(texts.tokens(context.reply or ""), texts.tokens(context.reference or "")) for context in contexts]
    return {
        name: np.array([100.0 * formula(said, wanted) for said, wanted in pairs]) for name, formula in SENTENCE.items()
    }


def _distinct(contexts: Sequence[Context]) -> dict[str, Estimate]:
    said = [context.reply or "" for context in contexts]
    words = [texts.tokens(reply) for reply in said]
    values: dict[str, float] = {}
    for n in (1, 2, 3, 4):
        values[f"distinct-{n} (per word; Li et al.)"] = texts.distinct(said, n)
        values[f"distinct-{n} (per reply; KGSF, UniCRS, MESE)"] = legacy_texts.distinct_per_sentence(words, n)
        values[f"distinct-{n} (of characters; CRSLab)"] = legacy_texts.distinct_characters(
            [reply.lower() for reply in said], n
        )
    return {name: Estimate(value, np.nan, np.nan, len(said)) for name, value in values.items()}


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 13])
