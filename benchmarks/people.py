"""What is foretold and read of people's reactions, on ReDial's validation seekers, with the frozen pinned encoder.

    python benchmarks/people.py REDIAL CACHE [DIALOGUES [SEED]]

Learns from DIALOGUES (2000) of the training dialogues and examines on validation, as `tacit reward` does with the run's
own encoder; CACHE is a folder that keeps the vectors of texts, and the model that was learnt. Prints a Markdown table.
Some six minutes of one core, most of it reading. The official test is not touched.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tacit.data.dialogues import redial
from tacit.dialogue.reward.exam_people import examine_people
from tacit.dialogue.reward.mismatches import places
from tacit.dialogue.reward.model import RewardModel, RewardModelConfig, length_directions
from tacit.dialogue.reward.reacting import PeopleConfig, learn_people, reader, some
from tacit.text.encoder import TextEncoder


def main(data: Path, cache: Path, dialogues: int = 2000, seed: int = 0) -> None:
    catalog, split = redial.load_training(data)
    encoder = TextEncoder.load()
    texts, _ = encoder.read([item.text for item in catalog.items], cache, "reading the catalogue")
    reward = RewardModel(catalog, encoder, texts, texts, RewardModelConfig())
    train = some(split.train, dialogues)
    embed = reader(reward, train, cache)
    replies = [reward.reader.masked_reply(place.turn.text)[0] for place in places(train)]
    words = torch.tensor([float(len(text.split())) for text in replies]).log1p()
    reward.length_basis.copy_(length_directions(embed([text or " " for text in replies]), words, 4))
    people = learn_people(reward, train, PeopleConfig(dialogues=dialogues), seed, cache)
    assert people is not None
    people.save_pretrained(cache / "people")
    table, unit = examine_people(people, reward, split.valid, seed, cache)
    print(f"| {len(split.valid)} dialogues, {unit} | AUC or r | 95 % | n | words' AUC |\n|---|---|---|---|---|")
    for name, row in table.items():
        value, low, high = (row.get("auc", row.get("r")), row["ci_low"], row["ci_high"])
        span = f"[{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
        by_words = row.get("words_auc")
        cells = ["" if x is None else f"{x:.3f}" for x in (value, by_words)]
        print(f"| {name} | {cells[0]} | {span} | {int(row['n'] or 0)} | {cells[1]} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
