"""Makes src/tacit/text/reactions.json, the reader of reactions, and measures it on people it was not made from.

    python benchmarks/reaction_reader.py REDIAL IARD      # folders; umap2020_IARD_Cai.json.gz is in the second

Intents: 336 dialogues of ReDial annotated by Cai and Chen (UMAP 2020, github.com/wanlingcai1997/umap_2020_IARD). Left
out are dialogues of the official test, and seekers of the test or of validation. Log-odds by logistic regression with
an L1 penalty on n-grams; AUC by five folds of seekers. Pleasure: logistic regression of ``liked`` on those and VADER's
sentiment, over reactions in the training dialogues; AUC on validation, by unseen seekers. Seed 0; a minute.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from tacit.catalog import Catalog
from tacit.data.dialogues import redial
from tacit.dialogue.reward.statistics import auc_over
from tacit.text import reactions
from tacit.text.reactions import REACTIONS, ReactionReader, ngrams
from tacit.text.sentiment import MASK, Vader, mask_spans
from tacit.types import Dialogue, Floats64

INTENTS = {"accept": "ACC", "reject": "REJ", "critique": "CRI", "seen": "SEE", "inquire": "INQ", "request": "IQU"}
PLEASURE = ("sentiment", "accept", "reject", "critique", "seen", "inquire")
PENALTY, LEAST = 1.0, 4  # C of the L1 penalty; texts that an n-gram must be in
TITLES = re.compile(rf"\b{MASK}\b(?:(?:\s*,\s*|\s+)(?:(?:and|or)\s+)?{MASK}\b)+")


def annotated(folder: Path, out: set[str], people: set[str]) -> tuple[list[str], Floats64, list[str]]:
    """Texts of seekers that follow a recommender's, their intents [n, 6], and the seekers."""
    raw = json.loads(gzip.decompress((folder / "umap2020_IARD_Cai.json.gz").read_bytes()))
    texts, intents, seekers = [], [], []
    for id, dialogue in raw.items():
        before = ""
        for turn in dialogue["dialogue_info"].values():
            asked = before == "recommender" and id not in out and str(turn["worker_id"]) not in people
            before = turn["role"]
            if turn["role"] == "seeker" and asked:
                text = re.sub(r"@\d+\s*(<[^>]*>)?", f" {MASK} ", turn["utterance_text"]).replace("...", " ")
                texts.append(TITLES.sub(MASK, text))
                labels = turn["sub-intent/action"]
                intents.append([any(label.startswith(INTENTS[name]) for label in labels) for name in REACTIONS])
                seekers.append(str(turn["worker_id"]))
    return texts, np.array(intents, dtype=np.float64), seekers


def reader_of(texts: list[str], intents: Floats64) -> dict[str, dict[str, object]]:
    vectorizer = CountVectorizer(analyzer=lambda text: list(ngrams(text)), binary=True, min_df=LEAST)
    counts = vectorizer.fit_transform(texts)
    names = vectorizer.get_feature_names_out()
    record: dict[str, dict[str, object]] = {"intercepts": {}, "ngrams": {}}
    for column, name in enumerate(REACTIONS):
        model = LogisticRegression(C=PENALTY, l1_ratio=1.0, solver="liblinear", random_state=0)
        model.fit(counts, intents[:, column])
        record["intercepts"][name] = round(float(model.intercept_[0]), 3)
        kept = np.flatnonzero(np.abs(model.coef_[0]) >= 5e-3)
        record["ngrams"][name] = {str(names[k]): round(float(model.coef_[0, k]), 2) for k in kept}
    return record


def judged(dialogues: list[Dialogue], catalog: Catalog) -> tuple[list[str], list[bool], list[str]]:
    """The words after each item that its seeker judged, whether it was liked, and the seeker."""
    texts, liked, seekers = [], [], []
    for dialogue in (d.merged() for d in dialogues):
        for turn, after in zip(dialogue.turns, dialogue.turns[1:], strict=False):
            for item in turn.slate.items if turn.slate else ():
                word = dialogue.judgements.get(item)
                if word is not None and word.liked is not None:
                    texts.append(TITLES.sub(MASK, mask_spans(after.text, catalog.link(after.text))))
                    liked.append(word.liked)
                    seekers.append(dialogue.user)
    return texts, liked, seekers


def columns(reader: ReactionReader, texts: list[str]) -> Floats64:
    parts = dict(zip(REACTIONS, reader.read(texts).T, strict=True)) | {"sentiment": reader.sentiment(texts)}
    return np.stack([parts[name] for name in PLEASURE], axis=1)


def main(data: Path, iard: Path) -> None:
    catalog, split = redial.load_training(data)
    test = redial.load_test(data).dialogues
    people = {dialogue.user for dialogue in (*test, *split.valid)}
    texts, intents, seekers = annotated(iard, {dialogue.id for dialogue in test}, people)
    target = Path(reactions.__file__).with_name("reactions.json")
    nothing = {name: 0.0 for name in (*PLEASURE, "bias")}

    def made(rows: Floats64 | slice) -> ReactionReader:
        record = reader_of(list(np.array(texts)[rows]), intents[rows]) | {"pleased": nothing}
        target.write_text(json.dumps(record, indent=0, sort_keys=True) + "\n", encoding="utf-8")
        return ReactionReader(target)

    found = np.zeros_like(intents)
    for train, held in GroupKFold(5).split(texts, groups=seekers):
        found[held] = made(train).read([texts[k] for k in held])
    sentiment, generator = np.array(Vader()(texts)), np.random.default_rng(0)
    print(f"{len(texts)} annotated turns of {len(set(seekers))} seekers; AUC [95 %], and that of VADER's sentiment")
    for column, name in enumerate(REACTIONS):
        yes = intents[:, column] > 0
        ours, plain = (auc_over(scores, yes, np.array(seekers), generator) for scores in (found[:, column], sentiment))
        print(f"{name}: {int(yes.sum())} turns, {ours.value:.3f} [{ours.low:.3f}, {ours.high:.3f}], {plain.value:.3f}")

    reader = made(slice(None))
    after, liked, _ = judged(list(split.train), catalog)
    x, everyone = columns(reader, after), columns(reader, reactions_of(list(split.train), catalog))
    mean, std = everyone.mean(0), everyone.std(0)
    model = LogisticRegression(C=0.1, class_weight="balanced").fit((x - mean) / std, liked)
    weights = model.coef_[0] / std
    spread = float((everyone @ weights).std())
    pleased = {name: round(float(w / spread), 4) for name, w in zip(PLEASURE, weights, strict=True)}
    pleased["bias"] = round(float(-(mean @ weights) / spread), 4)
    record = reader_of(texts, intents) | {"pleased": pleased}
    target.write_text(json.dumps(record, indent=0, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

    reader = ReactionReader(target)
    after, liked, seekers = judged(list(split.valid), catalog)
    scores = {"pleased": reader.pleased(after), "VADER": np.array(Vader()(after))}
    scores["words"] = np.array([float(len(text.split())) for text in after])
    print(f"liked, validation: {len(liked)} items, {len(liked) - sum(liked)} disliked, {len(set(seekers))} seekers")
    for name, values in scores.items():
        print(f"{name}: {auc_over(values, np.array(liked, dtype=bool), np.array(seekers), generator)}")


def reactions_of(dialogues: list[Dialogue], catalog: Catalog) -> list[str]:
    """Every user turn that follows an agent's."""
    turns = [turn for dialogue in dialogues for turn in dialogue.merged().turns[1:] if turn.speaker == "user"]
    return [TITLES.sub(MASK, mask_spans(turn.text, catalog.link(turn.text))) for turn in turns]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
