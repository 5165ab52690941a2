"""Best of N: the writer stays as it is and writes several texts about everyone; a reward model chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.rerank.align.feedback import Encoder, RerankerScorer
from tacit.rerank.align.text_reward import TextReward
from tacit.rerank.stages.preferences import preferences
from tacit.rerank.stages.rounds import Round
from tacit.rerank.stages.texts import writer
from tacit.rerank.writer.prompts import filled
from tacit.rerank.writer.texts import Texts, load_texts
from tacit.types import Floats64

# Which of S sets of texts is read about each of n users: rewards [n, S] → [n]; the last two are controls.
CHOICES: Mapping[str, Callable[[Floats64, np.random.Generator], npt.NDArray[np.int64]]] = {
    "best_worst": lambda rewards, generator: rewards.argmax(1),
    "random": lambda rewards, generator: generator.random(rewards.shape).argmax(1),
    "swapped": lambda rewards, generator: rewards.argmin(1),
}


def texts(this: Round, scorer: RerankerScorer) -> tuple[Texts, dict[str, Any]]:
    """About everyone those texts that the reward model of the round's feedback likes best."""
    preferred = preferences(this, scorer)
    assert preferred.reward is not None, "config.check asks for a reward model"
    return chosen(this, preferred.reward, scorer.encode), preferred.card


def chosen(this: Round, reward: TextReward, encode: Encoder) -> Texts:
    """About everyone those ``align.keep`` of the first text and ``align.best_of`` samples whose mean vector, which is
    what is read of them, ``reward`` rates highest."""
    context, data, settings = this.context, this.context.data, this.context.config.align
    first_texts = load_texts(context.folder / "knowledge")
    prompts = [data.prompts[user] for user in data.users]
    samples = writer(context).write(prompts, settings.best_of, this.seed)
    options = [[*first_texts[user], *of_user] for user, of_user in zip(data.users, samples, strict=True)]
    n = 1 + settings.best_of
    rows = encode([user for user in data.users for _ in range(n)], [(text,) for o in options for text in o])
    vectors = rows.reshape(len(prompts), n, -1)
    sets = list(combinations(range(n), settings.keep))
    means = np.stack([vectors[:, list(members)].mean(1) for members in sets], axis=1)
    places = np.repeat(data.places[data.users], len(sets), axis=0)
    rewards = reward(means.reshape(len(places), -1), places).reshape(-1, len(sets))
    best = CHOICES[settings.pairs](rewards, np.random.default_rng([this.seed, n]))
    return {
        user: tuple(filled(prompt, of_user[k]) for k in sets[which])
        for user, prompt, of_user, which in zip(data.users, prompts, options, best.tolist(), strict=True)
    }
