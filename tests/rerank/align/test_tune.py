"""The tuning loop: its losses against slow twins, its pieces against one large batch, its order and its refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import tiny_writer as tiny
import torch
from torch import Tensor

from tacit.rerank.align import tune
from tacit.rerank.align.dpo import REFERENCE, DPOSettings, Preference, align
from tacit.rerank.align.sft import Likelihood, WriterConfig, train_writer
from tacit.rerank.align.tune import Example, TextTuning, by_length, examples_of, total_steps
from tacit.run.folder import Stage
from tacit.run.steps import accumulate
from tacit.types import InputError

LONG = [text if i % 3 else f"{text} You love love war." for i, text in enumerate(tiny.LOVES)]


def gradient(model: torch.nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def own(model: torch.nn.Module, examples: Sequence[Example], objective: tune.Objective, size: int) -> float:
    """Loss of one step over all examples in pieces of ``size``; the gradients stay in the model."""
    optimizer, rows = torch.optim.SGD(model.parameters()), range(len(examples))
    loss = partial(tune._mean_loss, model, tiny.tokenizer(), examples, objective, "float32", objective.count(rows))
    return accumulate(optimizer, loss, by_length(examples, rows, size))["loss"]


def text_logprob(model: torch.nn.Module, prompt: Sequence[int], text: Sequence[int]) -> Tensor:
    """log P of a text by a log-softmax over all logits of one sequence, in float64."""
    ids = torch.tensor([[*prompt, *text]])
    every = torch.log_softmax(model(ids).logits[0].double(), dim=-1)
    return sum((every[place - 1, ids[0, place]] for place in range(len(prompt), ids.shape[1])), torch.zeros(()))


def test_the_gradient_of_dpo_is_that_of_its_definition() -> None:
    model, reference = tiny.fresh(), tiny.fresh()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(1.1)  # away from the reference
    pairs = [[loves, hates] for loves, hates in zip(LONG[:5], tiny.HATES, strict=False)]
    examples = examples_of(tiny.tokenizer(), tiny.PROMPTS[:5], pairs, model, TextTuning())
    with torch.no_grad():
        table = torch.tensor([[float(text_logprob(reference, e.prompt, t)) for t in e.texts] for e in examples])
    loss = own(model, examples, Preference(table, beta=0.3), size=2)
    fast = gradient(model)

    model.zero_grad(set_to_none=True)
    total = torch.zeros((), dtype=torch.float64)
    for example, row in zip(examples, table, strict=True):
        chosen, rejected = (text_logprob(model, example.prompt, text) for text in example.texts)
        margin = 0.3 * ((chosen - row[0]) - (rejected - row[1]))
        total = total + torch.log1p(torch.exp(-margin)) / len(examples)
    total.backward()
    assert loss == pytest.approx(float(total.detach()), rel=1e-5) and abs(loss - math.log(2)) > 1e-3
    torch.testing.assert_close(fast, gradient(model), rtol=1e-3, atol=1e-5)


def test_the_loss_of_supervised_tuning_is_that_of_transformers() -> None:
    """Labels of -100 for prompt and padding: what ``PreTrainedModel.forward`` itself makes of them."""
    model = tiny.fresh()
    examples = examples_of(tiny.tokenizer(), tiny.PROMPTS[:6], [[text] for text in LONG[:6]], model, TextTuning())
    loss = own(model, examples, Likelihood(examples), size=4)
    fast = gradient(model)
    model.zero_grad(set_to_none=True)
    width = max(example.length for example in examples)
    ids, labels, real = (torch.zeros(6, width, dtype=torch.long) for _ in range(3))
    labels -= 100
    for row, example in enumerate(examples):
        (text,) = example.texts
        ids[row, : example.length] = torch.tensor([*example.prompt, *text])
        labels[row, len(example.prompt) : example.length] = torch.tensor(text)
        real[row, : example.length] = 1
    theirs = model(input_ids=ids, attention_mask=real, labels=labels).loss
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(fast, gradient(model), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("objective", ["sft", "dpo"])
def test_a_step_in_pieces_is_a_step_over_one_large_batch(objective: str) -> None:
    """Texts of unequal lengths, and a last piece that is smaller: the mean is the step's, not one of means."""
    found = []
    for size in (3, 20):
        model = tiny.fresh()
        texts = [[a, b] if objective == "dpo" else [a] for a, b in zip(LONG, tiny.HATES, strict=True)]
        examples = examples_of(tiny.tokenizer(), tiny.PROMPTS, texts, model, TextTuning())
        table = -torch.arange(40.0).view(20, 2)
        goal = Likelihood(examples) if objective == "sft" else Preference(table, 0.1)
        found.append((own(model, examples, goal, size), gradient(model)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_every_epoch_sees_every_example_once_in_an_order_of_its_own() -> None:
    settings = TextTuning(epochs=2.5, batch=3, accumulation=2)
    steps = total_steps(20, settings)
    assert steps == 10  # four an epoch, the last of them over two examples; two and a half epochs
    whole = list(tune._batches(20, settings, 7, 0, steps))
    assert [number for number, _ in whole] == list(range(1, 11))
    assert [len(rows) for _, rows in whole] == [6, 6, 6, 2, 6, 6, 6, 2, 6, 6]
    epochs = [[row for _, rows in whole[start : start + 4] for row in rows] for start in (0, 4)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20)) and epochs[0] != epochs[1]
    assert list(tune._batches(20, settings, 7, 5, steps)) == whole[5:]  # what a resumed run still has to do


def test_the_rate_rises_and_falls_as_asked(tmp_path: Path) -> None:
    """Ten steps, two of them warm-up: 0, ½, then linearly from 1 to ⅛."""
    stage = Stage("sft", tmp_path)
    settings = WriterConfig(epochs=2, batch=4, lr=0.8e-3, schedule="linear", warmup=0.2)
    train_writer(tiny.fresh(), tiny.tokenizer(), tiny.PROMPTS, LONG, settings, stage, seed=1)
    rates = [row["lr"] for row in stage.log.rows()]
    assert rates == pytest.approx([0.0, 4e-4, 8e-4, 7e-4, 6e-4, 5e-4, 4e-4, 3e-4, 2e-4, 1e-4])


def test_the_reference_is_scored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept is read again, whatever the model has become."""
    base, stage = tiny.save(tmp_path / "base"), Stage("dpo", tmp_path / "dpo")
    settings = DPOSettings(beta=0.1, lr=3e-3, batch=4, accumulation=1, checkpoint_every=2)
    tiny.dying_after(3, stage)
    with pytest.raises(KeyboardInterrupt):
        align(base, tiny.tokenizer(), tiny.PAIRS, settings, stage, seed=1)
    kept = (stage.folder / REFERENCE).read_bytes()
    monkeypatch.setattr("tacit.rerank.align.dpo.logprobs_of", None)
    align(base, tiny.tokenizer(), tiny.PAIRS, settings, Stage("dpo", stage.folder), seed=1)
    assert (stage.folder / REFERENCE).read_bytes() == kept


def test_a_stage_that_trl_left_half_done_is_refused_in_one_sentence(tmp_path: Path) -> None:
    stage = Stage("sft", tmp_path)
    stage.checkpoints.save(50, {"weight.x": torch.zeros(1)}, {"trainer": {}, "optimizer": {}, "schedule": {}})
    with pytest.raises(InputError, match=r"left half done by an earlier version.*delete this folder and run"):
        train_writer(tiny.fresh(), tiny.tokenizer(), tiny.PROMPTS, LONG, WriterConfig(), stage, seed=1)


def test_an_unknown_schedule_is_named_with_those_there_are(tmp_path: Path) -> None:
    settings = replace(WriterConfig(), schedule="cosinus")
    with pytest.raises(InputError, match=r"schedule must be one of cosine, linear, .*, not 'cosinus'"):
        train_writer(tiny.fresh(), tiny.tokenizer(), tiny.PROMPTS, LONG, settings, Stage("sft", tmp_path), seed=1)


def test_a_large_models_rate_and_pieces_come_from_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, model = TextTuning(batch=16), tiny.fresh()
    assert (tune.fitting_lr(model), tune.at_once(model, settings, texts=1)) == (tune.LR_FRESH, 16)
    monkeypatch.setattr(tune, "LARGE", 1000)
    assert (tune.fitting_lr(model), tune.at_once(model, settings, texts=1)) == (tune.LR_WHOLE, 4)
    assert tune.at_once(model, settings, texts=2) == 2 and tune.at_once(model, replace(settings, batch=1), 2) == 1
    assert tune.fitting_lr(tune.prepared(model, replace(settings, lora=2), seed=0, device="cpu")) == tune.LR_LORA


def test_a_rate_that_is_set_is_kept(tmp_path: Path) -> None:
    stage = Stage("s", tmp_path)
    settings = WriterConfig(epochs=1, batch=20, lr=0.5, warmup=0.0, schedule="constant")
    train_writer(tiny.fresh(), tiny.tokenizer(), tiny.PROMPTS, tiny.LOVES, settings, stage, seed=0)
    assert [row["lr"] for row in stage.log.rows()] == [0.5]
