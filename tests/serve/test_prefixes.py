"""Prefixes that are kept from turn to turn, against reading every prompt anew."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from ppo_fakes import tiny_policy

from tacit.serve.prefixes import PrefixConfig, Prefixes
from tacit.serve.turns import Answer, Asked, open_turns
from tacit.slates import Mixture
from tacit.text.kv_cache import Prefix
from tacit.types import Dialogue, Turn

SAID = ["a film please", "yes I love it", "no", "do you like it", "a film about the storm"]


class Model:
    """In place of a language model."""


def prefix(n: int) -> Prefix:
    """Of n tokens, 16 bytes each."""
    return Prefix((torch.zeros(1, n, 2),), (torch.zeros(1, n, 2),))


def dialogue(id: str = "d", user: str = "u") -> Dialogue:
    return Dialogue(id, user, ())


def roomy_policy() -> object:
    policy = tiny_policy().eval()
    policy.config.window = 8
    policy.layout.lengths = type(policy.layout.lengths)(prompt=70, utterance=10, title=4, reply=5)
    return policy


def converse(policy: object, prefixes: Prefixes | None, together: int) -> list[list[Answer]]:
    """``together`` conversations of five turns each, all by the same chance; each begins one turn later."""
    chance, words = np.random.default_rng(1), torch.Generator().manual_seed(1)
    dialogues = [Dialogue(f"d{k}", f"u{k}", ()) for k in range(together)]
    rounds = []
    for said in SAID:
        dialogues = [one.then(Turn("user", said)) for one in dialogues]
        asked = [Asked(one, one) for one in dialogues]
        writing = open_turns(policy, asked, [Mixture()] * together, chance, prefixes)
        answers = list(writing.answers)
        while writing.answers:
            writing.step(words)
        for answer in answers:
            answer.next_piece()
        turns = [Turn("agent", a.said, a.slate.items if a.slate else (), a.slate) for a in answers]
        dialogues = [one.then(turn) for one, turn in zip(dialogues, turns, strict=True)]
        rounds.append(answers)
    return rounds


def test_with_and_without_kept_prefixes_turns_are_drawn_from_the_same_distribution() -> None:
    policy, prefixes = roomy_policy(), Prefixes()
    kept, anew = converse(policy, prefixes, 3), converse(policy, None, 3)
    spared = [[answer.spared for answer in answers] for answers in kept]
    assert spared[0] == [0, 0, 0] and min(spared[2]) >= 16
    for mine, theirs in zip(kept, anew, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert (one.prompt, one.said, other.spared) == (other.prompt, other.said, 0)
            assert one.p_recommend == pytest.approx(other.p_recommend, abs=1e-5)
            assert (one.draw is None) == (other.draw is None)
            if one.draw and other.draw:
                assert one.draw.rows == other.draw.rows
                assert one.draw.probabilities == pytest.approx(other.draw.probabilities, rel=1e-4)


def test_a_prompt_that_is_another_from_some_token_on_takes_over_what_comes_before() -> None:
    policy, prefixes = roomy_policy(), Prefixes()
    converse(policy, prefixes, 1)
    said = [Turn("user", "a film please"), Turn("agent", "what else"), Turn("user", "yes I love it")]
    asked = Dialogue("d0", "u0", tuple(said))
    (answer,) = open_turns(policy, [Asked(asked, asked)], [Mixture()], np.random.default_rng(0), prefixes).answers
    (anew,) = open_turns(policy, [Asked(asked, asked)], [Mixture()], np.random.default_rng(0)).answers
    assert answer.spared < len(answer.prompt) and answer.p_recommend == pytest.approx(anew.p_recommend, abs=1e-5)


def test_where_the_next_prompt_begins_elsewhere_nothing_is_kept() -> None:
    policy, prefixes = roomy_policy(), Prefixes()
    policy.config.window = 2  # type: ignore[attr-defined]
    assert all(answer.spared == 0 for answers in converse(policy, prefixes, 2) for answer in answers)
    assert len(prefixes) == 0


def test_only_tokens_that_are_equal_are_taken_over_and_one_is_left_to_read() -> None:
    prefixes, lm = Prefixes(), Model()
    tokens = list(range(40))
    prefixes.keep(lm, dialogue(), tokens, prefix(40), 0)

    def found(prompt: list[int], of: Model = lm, whose: Dialogue | None = None) -> int:
        kept = prefixes.find(of, whose or dialogue(), prompt)
        return len(kept) if kept else 0

    assert found([*tokens, 99]) == 40
    assert found(tokens) == 39  # the last one's state is needed
    assert found([*tokens[:20], 99, 98]) == 20
    assert found([*tokens[:15], 99, 98]) == 0  # too few to pay
    assert found(tokens, of=Model()) == 0
    assert found(tokens, whose=dialogue(user="another")) == 0
    assert found(tokens, whose=dialogue("another")) == 0


def test_the_longest_unused_go_first_by_number_and_by_bytes() -> None:
    lm, tokens = Model(), list(range(32))
    few = Prefixes(PrefixConfig(conversations=2))
    for name in ("a", "b"):
        few.keep(lm, dialogue(name), tokens, prefix(32), 0)
    assert few.find(lm, dialogue("a"), tokens)
    few.keep(lm, dialogue("c"), tokens, prefix(32), 0)
    assert len(few) == 2 and few.bytes == 2 * 32 * 16
    assert few.find(lm, dialogue("a"), tokens) and not few.find(lm, dialogue("b"), tokens)
    small = Prefixes(PrefixConfig(megabytes=1))
    for name in ("a", "b", "c"):
        small.keep(lm, dialogue(name), tokens, prefix(30_000), 0)  # 480,000 bytes each
    assert len(small) == 2 and small.bytes == 960_000
    small.keep(lm, dialogue("large"), tokens, prefix(70_000), 0)
    assert len(small) == 2
    none = Prefixes(PrefixConfig(conversations=0))
    none.keep(lm, dialogue(), tokens, prefix(32), 0)
    assert len(none) == 0


def test_a_person_who_is_forgotten_is_not_kept_by_a_turn_that_began_before() -> None:
    prefixes, lm, tokens = Prefixes(), Model(), list(range(32))
    prefixes.keep(lm, dialogue("a", "ann"), tokens, prefix(32), 0)
    prefixes.keep(lm, dialogue("b", "bob"), tokens, prefix(32), 0)
    since = prefixes.forgotten
    prefixes.forget("ann")
    assert len(prefixes) == 1 and prefixes.bytes == 32 * 16
    prefixes.keep(lm, dialogue("a", "ann"), tokens, prefix(32), since)
    assert len(prefixes) == 1
    prefixes.keep(lm, dialogue("a", "ann"), tokens, prefix(32), prefixes.forgotten)
    assert len(prefixes) == 2


def test_what_a_model_read_goes_with_the_model() -> None:
    prefixes, lm = Prefixes(), Model()
    prefixes.keep(lm, dialogue(), list(range(32)), prefix(32), 0)
    del lm
    gc.collect()
    assert len(prefixes) == 0 and prefixes.bytes == 0
