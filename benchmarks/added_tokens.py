"""What an untrained pretrained model takes the tokens that were added to it for, by the words that their rows begin as.

    python benchmarks/added_tokens.py POLICY FOLDER

POLICY is the folder ``prepare/policy`` of a run with such a base, FOLDER is ReDial. Read are human recommenders'
turns of *validation* dialogues: bits a byte of their words and ends, and nats of the decision. Half a minute a line on
one core.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from tacit.data.dialogues import redial
from tacit.dialogue.evaluate.likelihood import human_bits
from tacit.dialogue.evaluate.replies import references
from tacit.dialogue.policy.policy import Policy
from tacit.text.tokens import CHAT, DESCRIBED, RECOMMEND, REPLY, SLOTS
from tacit.types import Dialogue, TestSet

TRIED: Sequence[Mapping[str, str]] = (
    {},
    {RECOMMEND: "Recommend", CHAT: "Chat"},
    {RECOMMEND: "You", CHAT: "What"},
    {REPLY: ":"},
    {REPLY: " "},
    dict.fromkeys(SLOTS, " the"),
    dict.fromkeys(SLOTS, " movie"),
)
TURNS, SEED, AT_ONCE = 20, 7, 4


@torch.no_grad()
def describe(policy: Policy, words: Mapping[str, str]) -> None:
    """Each added token's row becomes the mean of the rows of its words."""
    rows = dict(policy.lm.named_parameters())["model.embed_tokens.rows"]
    vocabulary = policy.tokenizer.get_added_vocab()
    added = sorted({RECOMMEND, CHAT, REPLY, *SLOTS} & set(vocabulary), key=lambda token: int(vocabulary[token]))
    for k, token in enumerate(added):
        ids = policy.tokenizer.encode(words[token], add_special_tokens=False)
        rows[k] = policy.lm.get_input_embeddings()(torch.tensor([ids]))[0].mean(0)


@torch.no_grad()
def costs(policy: Policy, places: Sequence[tuple[Dialogue, int]]) -> tuple[float, float]:
    """(bits a byte of the words and the end of each turn, nats of a decision)."""
    bits, size, decision = 0.0, 0, 0.0
    for start in range(0, len(places), AT_ONCE):
        part = places[start : start + AT_ONCE]
        for one, many in human_bits(policy, part):
            bits, size = bits + one, size + many
        prompts = [policy.prompt(dialogue.before(t)) for dialogue, t in part]
        last = torch.tensor([len(prompt) - 1 for prompt in prompts])
        states = policy.trunk(prompts)[torch.arange(len(part)), last]
        logprobs = torch.log_softmax(policy.lm.get_output_embeddings()(states).float(), dim=-1)
        for row, (dialogue, t) in enumerate(part):
            token = policy.layout.recommend if dialogue.turns[t].slate else policy.layout.chat
            decision -= float(logprobs[row, token])
    return bits / size, decision / len(places)


def main(folder: str, data: str) -> None:
    policy = Policy.from_pretrained(folder)
    _, split = redial.load_training(Path(data), 0.1)
    places = references(TestSet(split.valid), TURNS, SEED)
    for change in TRIED:
        describe(policy, {**DESCRIBED, **change})
        bits, decision = costs(policy, places)
        print(change or "as they are", f"{bits:.3f} bits a byte, {decision:.2f} nats a decision", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
