"""PPO of a writer: advantages and the first loss by hand, learning a word, and a kill that changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_writer as tiny
import torch
from transformers import AutoModelForCausalLM

from tacit.rerank.align.ppo import align_by_scores
from tacit.rerank.align.ppo_learner import Learner, Task, Texts, WriterPPOConfig
from tacit.rerank.writer.writers import LocalWriter, prompt_tokens
from tacit.run.folder import Stage
from tacit.text.generate import NoRepeatPerLine, Sampling, text_logprobs
from tacit.types import Dialogue, Group, InputError, Turn

LETTER = "a"
TASK = Task(range(20), tiny.PROMPTS, samples=6, max_tokens=8)
CONFIG = WriterPPOConfig(users=4, minibatch=12, microbatch=7, lr=3e-3, kl_coef=0.0, kl_stop=1.0)


class Counting:
    """A scorer: how many times the letter stands in the text."""

    name = "counting"

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        return [(float(turn.text.count(LETTER)), {"lists": 9.0}) for turn in turns]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("base"))


def run(base: Path, stage: Stage, task: Task = TASK, **changes: object) -> list[Group]:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return align_by_scores(base, tiny.tokenizer(), task, Counting(), config, stage, seed=1)


def learner(base: Path, **changes: object) -> Learner:
    return Learner.load(base, tiny.tokenizer(), TASK, replace(CONFIG, **changes), 1, "cpu", "float32")  # type: ignore[arg-type]


def written(folder: Path) -> float:
    """How often the letter stands in a text of this writer, over texts nobody learnt from."""
    lm = AutoModelForCausalLM.from_pretrained(folder)
    texts = LocalWriter(lm, tiny.tokenizer(), Sampling(1.0, 1.0, 8)).write(tiny.PROMPTS, 20, seed=99)
    return sum(text.count(LETTER) for options in texts for text in options) / 400


def batch_of(who: Learner, texts: list[str], advantages: list[float]) -> Texts:
    prompts = [prompt_tokens(tiny.tokenizer(), prompt) for prompt in tiny.PROMPTS[: len(texts)]]
    tokens = [[*tiny.tokenizer().encode(text), int(tiny.tokenizer().eos_token_id)] for text in texts]
    old, mask = who._everywhere(who.lm, prompts, tokens)
    return Texts(prompts, tokens, old, mask, torch.tensor(advantages))


def test_the_probability_of_a_text_is_the_sum_over_its_tokens_one_at_a_time() -> None:
    model, texts = tiny.fresh(), [*tiny.LOVES[:3], "", "You love love love war."]
    prompts, end = tiny.PROMPTS[:5], int(tiny.tokenizer().eos_token_id)
    ids = [prompt_tokens(tiny.tokenizer(), prompt) for prompt in prompts]
    each, mask = text_logprobs(model, ids, [[*tiny.tokenizer().encode(text), end] for text in texts], [end], 1.0)
    assert mask.sum(1).tolist() == [len(tiny.tokenizer().encode(text)) + 1 for text in texts]
    expected = tiny.logprobs(model, prompts, texts)
    torch.testing.assert_close(torch.where(mask, each, 0.0).sum(1), expected, rtol=1e-5, atol=1e-5)


def test_with_two_tokens_that_end_a_text_either_is_the_event_that_it_ended() -> None:
    model, prompt = tiny.fresh(), prompt_tokens(tiny.tokenizer(), tiny.PROMPTS[0])
    likely = model(torch.tensor([prompt])).logits[0, -1].detach().div(0.5).log_softmax(-1)
    each, _ = text_logprobs(model, [prompt, prompt], [[3], [5]], [3, 5], temperature=0.5)
    both = float((likely[3].exp() + likely[5].exp()).log())
    assert each.flatten().tolist() == pytest.approx([both, both], abs=1e-5)


def test_under_the_rule_a_token_shares_what_its_line_has_left() -> None:
    """The writer draws from what the rule leaves, one token at a time; the batched probabilities are the same."""
    model, heads = tiny.fresh(), [prompt_tokens(tiny.tokenizer(), prompt) for prompt in tiny.PROMPTS[:2]]
    once = NoRepeatPerLine(tokens=(7, 8, 9), breaks=(5,))
    texts = [[7, 8, 5, 8, 7, 9, 2], [9, 4, 7, 5, 5, 9]]
    each, mask = text_logprobs(model, heads, texts, [2], temperature=0.7, once=once)
    for row, (head, text) in enumerate(zip(heads, texts, strict=True)):
        line: set[int] = set()
        for place, token in enumerate(text):
            logits = model(torch.tensor([[*head, *text[:place]]])).logits[0, -1].detach() / 0.7
            logits[sorted(line)] = -torch.inf
            assert float(each[row, place].detach()) == pytest.approx(float(logits.log_softmax(-1)[token]), abs=1e-4)
            line = set() if token == 5 else line | ({token} & {7, 8, 9})
    assert mask.sum(1).tolist() == [7, 6]
    free, _ = text_logprobs(model, heads, texts, [2], temperature=0.7)
    assert (each >= free - 1e-5)[mask].all() and float(each[0, 1].detach()) > float(free[0, 1].detach())
    each[mask].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_first_loss_is_minus_the_mean_advantage_of_a_token(base: Path) -> None:
    """Ratio 1 everywhere: a text of t tokens with advantage A gives t A, in whatever pieces the minibatch is taken."""
    texts, advantages = ["You love war films.", "You", "love crime"], [1.0, -2.0, 0.5]
    lengths = [len(tiny.tokenizer().encode(text)) + 1 for text in texts]
    expected = -sum(t * a for t, a in zip(lengths, advantages, strict=True)) / sum(lengths)
    norms = []
    for microbatch in (1, 2, 3):
        who = learner(base, microbatch=microbatch)
        stats = who.gradients(batch_of(who, texts, advantages), [2, 0, 1])
        assert stats["loss"] == pytest.approx(expected, abs=1e-5)
        assert stats["clip"] == 0.0 and stats["kl_old"] == pytest.approx(0.0, abs=1e-9)
        norms.append(float(torch.cat([p.grad.flatten() for p in who.lm.parameters() if p.grad is not None]).norm()))
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-3)


def test_one_step_makes_the_better_text_likelier_and_the_worse_one_less(base: Path) -> None:
    who = learner(base, lr=1e-3)
    batch = batch_of(who, ["You love war films.", "You hate war films."], [1.0, -1.0])
    who.gradients(batch, [0, 1])
    who.optimizer.step()
    new, mask = who._everywhere(who.lm, batch.prompts, batch.texts)
    gained = torch.where(mask, new - batch.old, 0.0).sum(1)
    assert gained[0] > 0.05 > -0.05 > gained[1]


def test_leaving_the_reference_is_charged_to_the_text_in_standard_deviations(base: Path) -> None:
    """Equal scores: what is left of the advantage is β times (the group's mean k1 - the text's own)."""
    who = learner(base, kl_coef=0.5)
    with torch.no_grad():
        who.lm.get_input_embeddings().weight.mul_(1.05)
    texts = [[tiny.tokenizer().encode(text) for text in ("You love war films.", "You", "hate comic films")]]
    batch, kl = who._texts(tiny.PROMPTS[:1], texts, torch.ones(1, 3))
    said = [tiny.tokenizer().decode(tokens) for tokens in texts[0]]
    ratio = tiny.logprobs(who.lm, tiny.PROMPTS[:1] * 3, said) - tiny.logprobs(tiny.fresh(), tiny.PROMPTS[:1] * 3, said)
    assert batch.advantages.tolist() == pytest.approx((0.5 * (ratio.mean() - ratio)).tolist(), abs=1e-4)
    assert abs(float(batch.advantages.sum())) < 1e-5 < kl


def test_a_writer_learns_to_write_what_is_counted_with_the_texts_of_one_round(base: Path, tmp_path: Path) -> None:
    """Each user is written about once, N texts each: no more than a round of pairs would sample."""
    stage = Stage("ppo", tmp_path)
    task = replace(TASK, users=range(100), prompts=tiny.PROMPTS * 5)
    groups = run(base, stage, task, users=10, minibatch=30, lr=1e-2)
    rows = stage.log.rows()
    assert len(rows) == 10 and len(groups) == 100 and all(len(group.options) == 6 for group in groups)
    assert sorted(int(group.options[0].context.user) for group in groups) == list(range(100))
    assert rows[0]["kl_ref"] == 0.0 < rows[-1]["kl_ref"]
    assert [row["lr"] for row in rows[::9]] == pytest.approx([1e-2, 1e-2 * (1 - 0.9 * 0.9)])
    assert rows[-1]["reward"] > 2.0 * rows[0]["reward"] > 0.0
    assert written(tmp_path / "writer") > 2.0 * written(base)
    assert tiny.residue(tmp_path) == []


def test_a_row_of_the_log_can_be_redone_from_the_texts_that_were_kept(base: Path, tmp_path: Path) -> None:
    stage = Stage("ppo", tmp_path)
    run(base, stage, epochs=1)
    first = [json.loads(line) for line in (tmp_path / "samples" / "00001.jsonl").read_text().splitlines()]
    counts = torch.tensor([[float(one["text"].count(LETTER)) for one in row["texts"]] for row in first])
    words = [len(one["text"].split()) for row in first for one in row["texts"]]
    row = stage.log.rows()[0]
    assert counts.shape == (4, 6) and row["steps"] == 2
    assert row["reward"] == pytest.approx(float(counts.mean()))
    assert row["reward_std"] == pytest.approx(float(counts.std(1, correction=0).mean()))
    assert row["channel_lists"] == 9.0
    assert row["words"] == pytest.approx(sum(words) / len(words)) and 0.0 <= row["ended"] <= 1.0


def test_a_small_step_allowed_away_from_itself_ends_the_epochs(base: Path, tmp_path: Path) -> None:
    stage = Stage("ppo", tmp_path)
    run(base, stage, lr=1e-1, kl_stop=1e-3, epochs=4)
    assert all(1 <= row["steps"] < 8 for row in stage.log.rows())


@pytest.mark.parametrize("lora", [0, 4])
def test_a_kill_changes_nothing(lora: int, base: Path, tmp_path: Path) -> None:
    whole = Stage("ppo", tmp_path / "whole")
    groups, finished = run(base, whole, lora=lora), tiny.weights(whole.folder / "writer")
    stage = Stage("ppo", tmp_path / "killed")
    for killed_after in (0, 3):
        tiny.dying_after(killed_after, stage)
        with pytest.raises(KeyboardInterrupt):
            run(base, stage, lora=lora)
        stage = Stage("ppo", stage.folder)
    again = run(base, stage, lora=lora)
    resumed = tiny.weights(stage.folder / "writer")
    assert again == groups and set(resumed) == set(finished) == set(tiny.weights(base))
    assert all(torch.equal(resumed[name], finished[name]) for name in finished)
    assert stage.log.path.read_bytes() == whole.log.path.read_bytes()
    assert run(tmp_path / "nowhere", stage, lora=lora) == groups  # a finished stage is only read


def test_adapters_start_at_the_reference_and_the_reference_stays(base: Path) -> None:
    who = learner(base, lora=4, lr=1e-1)
    batch = batch_of(who, tiny.LOVES[:2], [1.0, -1.0])
    who.gradients(batch, [0, 1])
    who.optimizer.step()
    moved, mask = who._everywhere(who.lm, batch.prompts, batch.texts)
    with who._referring() as reference:
        stayed, _ = who._everywhere(reference, batch.prompts, batch.texts)
    assert torch.equal(stayed, batch.old) and not torch.equal(moved[mask], batch.old[mask])


def test_in_mixed_precision_every_step_is_seen_by_the_next(base: Path, tmp_path: Path) -> None:
    who = Learner.load(base, tiny.tokenizer(), TASK, replace(CONFIG, lr=3e-2), 1, "cpu", "bfloat16")
    batch = batch_of(who, tiny.LOVES[:2], [1.0, -1.0])
    moved = []
    for _ in range(3):
        moved.append(who.gradients(batch, [0, 1])["kl_old"])
        who.optimizer.step()
    assert moved[0] < 1e-6 < moved[1] < moved[2]
    stage = Stage("ppo", tmp_path)
    align_by_scores(base, tiny.tokenizer(), TASK, Counting(), CONFIG, stage, seed=1, dtype="bfloat16")
    assert stage.log.rows()[-1]["kl_old"] > 1e-4


def test_what_cannot_be_learnt_from_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs knowledge\.samples=2"):
        run(base, Stage("ppo", tmp_path), replace(TASK, samples=1))
    with pytest.raises(InputError, match="no users"):
        run(base, Stage("ppo", tmp_path), replace(TASK, users=[], prompts=[]))
    broken = tiny.fresh()
    torch.nn.init.constant_(broken.transformer.ln_f.bias, math.nan)
    broken.save_pretrained(tmp_path / "broken")
    with pytest.raises(InputError, match=r"holds NaN or infinity before the first step"):
        run(tmp_path / "broken", Stage("ppo", tmp_path / "ppo"))
