"""Reading texts with the pinned sentence encoder, beside sentence-transformers' own ``encode``.

    OMP_NUM_THREADS=1 python benchmarks/text_encoding.py [FILE]

FILE: dialogues, one a line, whose first 512 different utterances are read; without one, made-up utterances of 3 to 40
words. The same weights, at most 96 tokens, nothing cached. Vectors agree to 1e-6. The ways take turns within a round;
seconds are the processor's, medians over rounds.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tacit.data.dialogues.logs import read
from tacit.text.encoder import TextEncoder

TEXTS, ROUNDS = 512, 5
WORDS = "i would like to see a film with more of the old kind but not too long and maybe one that my mother likes"


def texts_of(file: str | None) -> list[str]:
    if file is not None:
        said = (turn.text for _, dialogue in read(Path(file), None) for turn in dialogue.turns)
        return list(dict.fromkeys(said))[:TEXTS]
    draw = random.Random(0)
    return [f"{k} " + " ".join(draw.choices(WORDS.split(), k=int(3 + 37 * draw.random() ** 2))) for k in range(TEXTS)]


def main() -> None:
    torch.set_num_threads(1)
    texts = texts_of(sys.argv[1] if len(sys.argv) > 1 else None)
    encoder = TextEncoder.load()

    def ours() -> Tensor:
        encoder.clear_cache()
        return encoder.encode(texts)

    def theirs() -> Tensor:
        return encoder.model.encode(texts, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False)

    torch.testing.assert_close(ours(), theirs(), rtol=0.0, atol=1e-6)
    ways: dict[str, Callable[[], Tensor]] = {"sentence-transformers": theirs, "tacit": ours}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in middle.items())
    print(f"{len(texts)} texts: {said}; {middle['sentence-transformers'] / middle['tacit']:.2f} x")


if __name__ == "__main__":
    main()
