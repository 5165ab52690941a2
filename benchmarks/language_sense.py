"""How often an emulated user's sense of language is right, on test dialogues that no fit has seen.

    python benchmarks/language_sense.py redial FOLDER [seeds]
    python benchmarks/language_sense.py synthetic

Shares called no language: of people's replies (consecutive messages joined), and of what is made of those with four
words or more. Takes half a minute a seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.dialogue.users.language import SHORT, LanguageSense, replies_of, shuffled

Text = Sequence[str]
LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def corruptions(
    sense: LanguageSense, people: Sequence[Text], rng: np.random.Generator
) -> dict[str, Callable[[Text], Text]]:
    words, counts = sense.words.words[3:], sense.words.counts[3:]

    def drawn(text: Text, p: np.ndarray | None) -> Text:
        return [words[i] for i in rng.choice(len(words), size=len(text), p=p)]

    def again(text: Text) -> Text:
        start, size = int(rng.integers(0, len(text) - 2)), int(rng.integers(1, 4))
        return (list(text[start : start + size]) * 20)[: max(len(text), 8)]

    def spliced(text: Text) -> Text:
        joined: list[str] = []
        while len(joined) < len(text):
            other, size = people[int(rng.integers(len(people)))], int(rng.integers(2, 5))
            start = int(rng.integers(0, max(len(other) - size, 0) + 1))
            joined += other[start : start + size]
        return joined[: len(text)]

    return {
        "words shuffled": lambda text: shuffled(text, rng),
        "drawn by frequency": lambda text: drawn(text, counts / counts.sum()),
        "drawn evenly": lambda text: drawn(text, None),
        "random letters": lambda text: ["".join(rng.choice(LETTERS, size=rng.integers(2, 8))) for _ in text],
        "over and over": again,
        "pieces joined": spliced,
    }


def main(name: str, path: str = "", seeds: str = "3") -> None:
    config = DataConfig(name=name, path=path)  # type: ignore[arg-type]
    catalog, split = load_training(config)
    people = [words for dialogue in load_test(config).dialogues for words in replies_of(dialogue, catalog)]
    long = [words for words in people if len(words) >= SHORT]
    for seed in range(int(seeds)):
        sense = LanguageSense.fit(catalog, split.train, seed)
        if sense is None:
            raise SystemExit("too few replies")
        rates = {f"people ({len(people)})": np.mean([not sense.is_language(words) for words in people])}
        for kind, made in corruptions(sense, people, np.random.default_rng([seed, 1])).items():
            texts = [text for words in long if list(text := made(words)) != list(words)]
            rates[f"{kind} ({len(texts)})"] = np.mean([not sense.is_language(text) for text in texts])
        print(f"seed {seed}: " + ", ".join(f"{kind} {rate:.4f}" for kind, rate in rates.items()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
