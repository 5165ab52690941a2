"""Turns that are written together, against the one call that training uses; and the thread that writes them."""

from __future__ import annotations

import queue

import numpy as np
import pytest
import torch
from ppo_fakes import tiny_policy

from tacit.dialogue.policy.act import act
from tacit.serve.engine import Busy, Engine, EngineConfig, Failed, Opened, Said, Told
from tacit.serve.turns import Answer, Asked, Writing, open_turns
from tacit.slates import Mixture
from tacit.types import Dialogue, Turn

POLICY = tiny_policy().eval()
GREEDY = Mixture(top_k=1)
SAID = ["a film please", "yes I love it, a film about the storm", "do you like it"]
CONTEXTS = [Dialogue(str(k), "u", (Turn("user", text),)) for k, text in enumerate(SAID)]


def opened(contexts: list[Dialogue], mixture: Mixture = GREEDY, seed: int = 0, **more: np.ndarray) -> Writing:
    asked = [Asked(context, context, **more) for context in contexts]
    return open_turns(POLICY, asked, [mixture] * len(asked), np.random.default_rng(seed))


def written(*writings: Writing) -> list[Answer]:
    answers = [answer for writing in writings for answer in writing.answers]
    first, *others = writings
    for other in others:
        first.step(torch.Generator())  # the others come in later, at another length
        assert first.join(other)
    while first.answers:
        first.step(torch.Generator())
    return answers


def test_greedy_turns_are_those_of_act_however_they_came_together() -> None:
    samples = act(POLICY, CONTEXTS, torch.Generator(), greedy=True)
    together = written(opened(CONTEXTS))
    one_by_one = written(*[opened([context]) for context in CONTEXTS])
    for answers in (together, one_by_one):
        for answer, sample in zip(answers, samples, strict=True):
            answer.next_piece()
            assert answer.said == sample.text
            assert (answer.slate and answer.slate.items) == (sample.slate and sample.slate.items)


def test_cold_words_are_the_likeliest_whatever_the_slate_is_drawn_by() -> None:
    drawn = opened(CONTEXTS * 4, Mixture(), seed=3)
    answers = list(drawn.answers)
    while drawn.answers:
        drawn.step(torch.Generator().manual_seed(1), temperature=1e-4)
    again = opened(CONTEXTS * 4, Mixture(), seed=3)
    for answer in again.answers:
        answer.mixture = GREEDY  # from here on: its words
    assert [answer.reply for answer in answers] == [answer.reply for answer in written(again)]


def test_a_slot_stands_once_in_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = POLICY.lm.get_input_embeddings().weight.detach().clone()
    weight[POLICY.layout.slots] = 0.5
    monkeypatch.setattr(POLICY.lm.get_input_embeddings().weight, "data", weight)
    monkeypatch.setattr(POLICY.lm.base_model.ln_f.bias, "data", torch.full((weight.shape[1],), 0.5))
    answers = written(opened(CONTEXTS * 4, Mixture(), seed=3))
    named = [[t for t in answer.reply if t in POLICY.layout.slots] for answer in answers]
    assert any(named) and all(len(set(slots)) == len(slots) for slots in named)


def test_the_logged_probabilities_are_those_of_act() -> None:
    answers = opened(CONTEXTS * 4, Mixture(), seed=3).answers
    shown = [answer for answer in answers if answer.draw]
    assert shown and len(shown) < len(answers)
    asked = [answer.asked.read for answer in answers]
    samples = act(POLICY, asked, torch.Generator().manual_seed(0), write=False)
    for answer, sample in zip(answers, samples, strict=True):
        p = float(np.exp(sample.logprobs[0]))
        assert answer.p_recommend == pytest.approx(p if sample.slate else 1 - p, abs=1e-5)
    answer = shown[0]
    state = POLICY.trunk([[*POLICY.prompt(answer.asked.read), POLICY.layout.recommend]])[:, -1]
    window = POLICY.encoder.encode([POLICY.window_text(answer.asked.read)])
    logits = POLICY.slate_scores(window, state, [answer.asked.read])[0].detach().double()
    assert answer.draw is not None
    first, second = answer.draw.rows
    expected = torch.softmax(logits, 0)[first]
    rest = logits.clone()
    rest[first] = -torch.inf
    assert answer.draw.probabilities == pytest.approx(
        (float(expected), float(torch.softmax(rest, 0)[second])), rel=1e-4
    )


def test_items_that_are_not_allowed_are_never_drawn_and_without_any_it_only_talks() -> None:
    allowed = np.zeros(len(POLICY.catalog), dtype=np.bool_)
    allowed[[2, 5, 7]] = True
    for seed in range(10):
        for answer in opened(CONTEXTS, Mixture(epsilon=0.5), seed, allowed=allowed).answers:
            assert answer.draw is None or (set(answer.draw.rows) <= {2, 5, 7} and answer.candidates == 3)
    answers = opened(CONTEXTS, Mixture(), allowed=np.zeros_like(allowed)).answers
    assert all(answer.p_recommend == 0.0 and answer.slate is None for answer in answers)


def ask(engine: Engine, told: queue.Queue[Told], context: Dialogue = CONTEXTS[0]) -> object:
    return engine.submit(Asked(context, context), POLICY, Mixture(), told.put)


def everything(told: queue.Queue[Told]) -> list[Told]:
    found = [told.get(timeout=60)]
    while not (isinstance(found[-1], Failed) or (isinstance(found[-1], Said) and found[-1].last)):
        found.append(told.get(timeout=60))
    return found


def test_the_thread_tells_the_slate_first_and_then_the_text() -> None:
    engine = Engine(seed=0)
    queues = [queue.Queue[Told]() for _ in range(6)]
    for told in queues:
        ask(engine, told)
    for told in queues:
        first, *pieces = everything(told)
        assert isinstance(first, Opened)
        assert "".join(piece.text for piece in pieces if isinstance(piece, Said)) == first.answer.said
    engine.close()
    with pytest.raises(Busy):
        ask(engine, queues[0])


def test_a_turn_that_cannot_be_opened_fails_alone() -> None:
    engine = Engine(seed=0)
    bad, good = queue.Queue[Told](), queue.Queue[Told]()
    unknown = Dialogue("d", "u", (Turn("user", "it again", ("of another catalogue",)),))
    ask(engine, bad, unknown)
    ask(engine, good)
    assert isinstance(everything(bad)[-1], Failed)
    assert isinstance(everything(good)[0], Opened)
    engine.close()


def test_beyond_the_queue_people_are_told_to_come_back_and_who_is_gone_frees_a_place() -> None:
    engine = Engine(EngineConfig(queued=2), seed=0)
    engine._wake.acquire()  # the model is slow
    try:
        told = queue.Queue[Told]()
        tickets = [ask(engine, told) for _ in range(2)]
        with pytest.raises(Busy) as busy:
            ask(engine, told)
        assert busy.value.retry_after_s > 0
        tickets[0].cancel()  # type: ignore[attr-defined]
        ask(engine, told)
    finally:
        engine._wake.release()
    engine.close()
