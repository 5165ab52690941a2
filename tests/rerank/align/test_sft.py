"""Fine-tuning a writer: the right tokens count, it learns, and a kill changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_writer as tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tacit.rerank.align.sft import WriterConfig, train_writer
from tacit.rerank.align.tune import tokenized
from tacit.run.folder import Stage
from tacit.text.generate import CutText
from tacit.types import InputError

CONFIG = WriterConfig(epochs=3, batch=4, accumulation=2, lr=1e-2, checkpoint_every=3)


def run(stage: Stage, config: WriterConfig = CONFIG) -> Path:
    return train_writer(tiny.fresh(), tiny.tokenizer(), tiny.PROMPTS, tiny.LOVES, config, stage, seed=1)


def test_the_first_loss_is_that_of_the_texts_tokens_alone(tmp_path: Path) -> None:
    """Twenty texts in one step: the loss is -Σ log P(text, end | prompt) over the number of their tokens."""
    stage = Stage("sft", tmp_path)
    run(stage, WriterConfig(epochs=1, batch=10, accumulation=2))
    logprob = tiny.logprobs(tiny.fresh(), tiny.PROMPTS, tiny.LOVES).sum()
    n_tokens = sum(len(tiny.tokenizer().encode(text)) + 1 for text in tiny.LOVES)
    assert [row["step"] for row in stage.log.rows()] == [1]
    assert stage.log.rows()[0]["loss"] == pytest.approx(-float(logprob) / n_tokens, rel=1e-5)


def test_it_learns_and_a_kill_at_any_step_changes_nothing(tmp_path: Path) -> None:
    """Nine steps, checkpoints after 3 (a new epoch) and 6: killed in the first, at an epoch's end, and inside one."""
    whole = Stage("sft", tmp_path / "whole")
    finished = tiny.weights(run(whole))
    losses = [row["loss"] for row in whole.log.rows()]
    assert len(losses) == 9 and losses[-1] < losses[0] - 1.0
    for killed_after in (1, 4, 8):
        stage = Stage("sft", tmp_path / f"killed{killed_after}")
        tiny.dying_after(killed_after, stage)
        with pytest.raises(KeyboardInterrupt):
            run(stage)
        again = Stage("sft", stage.folder)
        resumed = tiny.weights(run(again))
        assert all(torch.equal(resumed[name], finished[name]) for name in finished)
        assert again.log.path.read_bytes() == whole.log.path.read_bytes()


def test_a_kill_inside_an_epoch_keeps_the_order_of_the_data(tmp_path: Path) -> None:
    config = WriterConfig(epochs=2, batch=2, lr=1e-2, checkpoint_every=4)
    whole, stage = Stage("sft", tmp_path / "whole"), Stage("sft", tmp_path / "killed")
    run(whole, config)
    tiny.dying_after(15, stage)
    with pytest.raises(KeyboardInterrupt):
        run(stage, config)
    again = Stage("sft", stage.folder)
    run(again, config)
    assert again.log.path.read_bytes() == whole.log.path.read_bytes()


def test_the_result_is_a_whole_folder_without_pickles_that_writes_with_a_cache(tmp_path: Path) -> None:
    stage = Stage("sft", tmp_path)
    folder = run(stage, WriterConfig(epochs=1, batch=20))
    assert tiny.residue(tmp_path) == [] and stage.summary() == {"steps": 1, "texts": 20}
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.use_cache and model.generation_config.use_cache is not False
    assert AutoTokenizer.from_pretrained(folder).encode("You love") == tiny.tokenizer().encode("You love")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert run(stage) == folder  # done: only read
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_prompt_and_text_are_encoded_apart_and_cut_at_the_end() -> None:
    tokenizer = tiny.tokenizer()
    head, (short, long) = tokenized(tokenizer, "You lov", ["e war", "love " * 50], limit=12)
    assert head == tokenizer.encode("You lov") and short == [*tokenizer.encode("e war"), tokenizer.eos_token_id]
    assert [*head, *short[:-1]] != tokenizer.encode("You love war")  # where " love" is one token
    assert long == tokenizer.encode("love " * 50)[: 12 - len(head)]


def test_no_end_is_learnt_from_a_text_that_had_none() -> None:
    tokenizer = tiny.tokenizer()
    _, (ended, cut, empty) = tokenized(tokenizer, "a", ["war", CutText("war"), CutText("")], limit=12)
    assert ended == [*cut, tokenizer.eos_token_id] and cut == tokenizer.encode("war")
    assert empty == [tokenizer.eos_token_id]  # there would be nothing to score


def test_what_cannot_be_learnt_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text"):
        train_writer(tiny.fresh(), tiny.tokenizer(), [], [], CONFIG, Stage("sft", tmp_path), seed=1)
    with pytest.raises(InputError, match=r"no room for a text within 64 .*show less"):
        train_writer(tiny.fresh(), tiny.tokenizer(), ["film " * 90], ["a"], CONFIG, Stage("sft", tmp_path), seed=1)
