"""At which temperature a policy's replies are fit to be read, on agent turns of the validation dialogues.

    python benchmarks/words_temperature.py RUN redial FOLDER [TURNS [SEED]]

Prints a Markdown table: replies that end by themselves, that simulated users' sense of language accepts, that are the
same words as another one of the sample, different pairs of words (distinct-2), and words a reply. People's own turns
stand last. RUN is a run folder with a fine-tuned policy. The official test is not touched.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.users.language import LanguageSense, words_of
from tacit.metrics.texts import distinct
from tacit.types import Dialogue, Turn

TEMPERATURES = (1.0, 0.8, 0.7, 0.6, 0.5, 0.3, None)
BATCH = 16


def contexts_of(dialogues: list[Dialogue], count: int, seed: int) -> list[tuple[Dialogue, Turn]]:
    """Agent turns with words, each with what was said before, in an order drawn once."""
    merged = [dialogue.merged() for dialogue in dialogues]
    found = [
        (Dialogue(dialogue.id, dialogue.user, dialogue.turns[:t]), turn)
        for dialogue in merged
        for t, turn in enumerate(dialogue.turns)
        if t and turn.speaker == "agent" and turn.text.strip()
    ]
    return [found[i] for i in np.random.default_rng([seed, 3]).permutation(len(found))[:count]]


def row(name: str, turns: list[Turn], ended: float | None, sense: LanguageSense, policy: Policy) -> str:
    texts = [turn.text for turn in turns]
    times = Counter(text.strip().lower() for text in texts)
    language = np.mean([sense.is_language(words_of(turn, policy.catalog)) for turn in turns])
    again = np.mean([times[text.strip().lower()] > 1 for text in texts])
    words = np.mean([len(text.split()) for text in texts])
    ends = "" if ended is None else f"{ended:.2f}"
    return f"| {name} | {ends} | {language:.2f} | {again:.2f} | {distinct(texts, 2):.2f} | {words:.1f} |"


def main(run: str, name: str, path: str, count: str = "120", seed: str = "0") -> None:
    policy = Policy.from_pretrained(Path(run) / "sft" / "policy").eval()
    catalog, split = load_training(DataConfig(name=name, path=path))  # type: ignore[arg-type]
    sense = LanguageSense.fit(catalog, split.train, int(seed))
    if sense is None:
        raise SystemExit("too few replies to learn a sense of language from")
    asked = contexts_of(list(split.valid), int(count), int(seed))
    print("| temperature | ends by itself | language | said more than once | distinct-2 | words |\n|" + "---|" * 6)
    for temperature in TEMPERATURES:
        generator = torch.Generator().manual_seed(int(seed))
        samples = [
            sample
            for start in range(0, len(asked), BATCH)
            for sample in policy.act(
                [context for context, _ in asked[start : start + BATCH]],
                generator,
                greedy=temperature is None,
                temperature=temperature or 1.0,
            )
        ]
        ended = float(np.mean([sample.finished for sample in samples]))
        label = "the likeliest word" if temperature is None else f"{temperature:g}"
        print(row(label, [sample.turn() for sample in samples], ended, sense, policy), flush=True)
    print(row("people", [turn for _, turn in asked], None, sense, policy))


if __name__ == "__main__":
    main(*sys.argv[1:])
