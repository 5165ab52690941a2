"""The writer on this machine: texts that depend on nothing else, thoughts, folders of weights and of adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_writer
import torch

from tacit.rerank.writer.writers import LocalWriter, Sampling, prompt_tokens, small_writer
from tacit.text.generate import CutText
from tacit.text.lm import LMConfig
from tacit.types import InputError

SAMPLING = Sampling(max_tokens=8)


def local(rows: int = 160) -> LocalWriter:
    return LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), SAMPLING, rows)


def exact(rows: int = 160) -> LocalWriter:
    """In double precision, so that no draw stands on the last bits of a product, which the batch may change."""
    return LocalWriter(tiny_writer.fresh().double(), tiny_writer.tokenizer(), SAMPLING, rows)


def test_local_texts_depend_on_prompt_seed_and_index_alone() -> None:
    """Whatever they are batched with: all at once, one prompt at a time, or in another order."""
    prompts = ["liked: a war film; film 1;\n", "short", "liked: a crime film; and another one; film 2;\n"]
    texts = exact().write(prompts, n=3, seed=1)
    assert [len(options) for options in texts] == [3, 3, 3]
    assert texts == exact(rows=3).write(prompts, n=3, seed=1)
    assert texts[::-1] == exact().write(prompts[::-1], n=3, seed=1)
    assert [options[:2] for options in texts] == exact().write(prompts, n=2, seed=1)
    assert len({text for options in texts for text in options}) == 9
    assert texts != exact().write(prompts, n=3, seed=2)


def test_local_greedy_ignores_the_seed() -> None:
    texts = local().write(["a war film"], n=2, seed=1, greedy=True)
    assert texts == local().write(["a war film"], n=2, seed=2, greedy=True)
    assert texts[0][0] == texts[0][1]


def test_local_from_a_folder_and_in_half_precision(tmp_path: Path) -> None:
    tiny_writer.fresh().save_pretrained(tmp_path)
    tiny_writer.tokenizer().save_pretrained(tmp_path)
    loaded = LocalWriter.load(str(tmp_path), SAMPLING)
    assert loaded.name == local().name
    assert loaded.write(["a war film"], 2, 0) == local().write(["a war film"], 2, 0)
    half = LocalWriter.load(str(tmp_path), SAMPLING, dtype="bfloat16")
    assert half.name != loaded.name and len(half.write(["a war film"], 2, 0)[0]) == 2
    with pytest.raises(InputError, match=r"knowledge\.writer='.*nowhere' cannot be loaded"):
        LocalWriter.load(str(tmp_path / "nowhere"), SAMPLING)


def test_local_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"answer of 8 do not fit the model's 64 positions: show fewer ratings"):
        local().write(["a war film; " * 20], 1, 0)


def test_a_tuned_model_writes_under_another_name() -> None:
    tuned = tiny_writer.fresh()
    with torch.no_grad():
        next(tuned.parameters()).add_(1e-3)
    other = LocalWriter(tuned, tiny_writer.tokenizer(), SAMPLING)
    hotter = LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), Sampling(temperature=2.0, max_tokens=8))
    assert len({local().name, other.name, hotter.name}) == 3


def test_chat_models_are_asked_by_their_template() -> None:
    tokenizer = small_writer(["a b c"], LMConfig(layers=1, heads=1, width=8, positions=32, vocabulary=280))[1]
    assert tokenizer.decode(prompt_tokens(tokenizer, "a b")) == "a b"
    tokenizer.chat_template = "{% for m in messages %}<user>{{ m.content }}{% endfor %}<agent>"
    assert tokenizer.decode(prompt_tokens(tokenizer, "a b")) == "<user>a b<agent>"


def test_a_small_writer_points_once_a_line_and_others_are_free() -> None:
    shape = LMConfig(layers=1, heads=1, width=8, positions=48, vocabulary=280)
    lm, tokenizer = small_writer(["Lately: #1 and #2.\nGenre: war."], shape, whole=["#1", "#2", "Heat"])
    sampling = Sampling(max_tokens=40)
    writer, free = LocalWriter(lm, tokenizer, sampling), LocalWriter(lm, tokenizer, sampling)
    free.once = None
    assert writer.once is not None and writer.name.endswith("once")
    assert sorted(tokenizer.decode([t]).strip() for t in writer.once.tokens) == ["#1", "#2"]
    assert [tokenizer.decode([t]) for t in writer.once.breaks] == ["\n"]
    with torch.no_grad():  # a model that says " #1" whatever stood before
        lm.get_input_embeddings().weight.zero_()
        lm.get_input_embeddings().weight[min(writer.once.tokens)] = 9.0
        lm.transformer.ln_f.bias.fill_(1.0)
    assert free.write(["a"], 1, 0, greedy=True) == [["#1" + " #1" * 39]]
    assert writer.write(["a"], 1, 0, greedy=True)[0][0].count("#1") == 1
    assert tiny_writer.tokenizer() and LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), sampling).once is None


def test_small_writer_is_the_same_each_time() -> None:
    shape = LMConfig(layers=1, heads=1, width=8, positions=32, vocabulary=280)
    before = torch.random.get_rng_state()
    first, second, other = (small_writer(["a b c"], shape, seed)[0] for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def thinking(template: str) -> LocalWriter:
    """A writer whose tokenizer has tags of thoughts, with this template."""
    shape = LMConfig(layers=1, heads=1, width=8, positions=64, vocabulary=300)
    lm, tokenizer = small_writer(["<think>a b</think>Likes c"] * 9, shape)
    tokenizer.chat_template = template
    return LocalWriter(lm, tokenizer, Sampling(max_tokens=32))


OFFERED = (
    "{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)
FORCED = "{{ messages[0].content }}<think>\n"


def test_thinking_is_switched_off_where_a_template_offers_it() -> None:
    tokenizer = thinking(OFFERED).tokenizer
    assert tokenizer.decode(prompt_tokens(tokenizer, "a b")) == "a b<think></think>"


@pytest.mark.parametrize(
    ("template", "written", "text"),
    [
        (OFFERED, "<think>a b</think>\n\nLikes c", "Likes c"),
        (OFFERED, "a b</think> Likes c", "Likes c"),
        (OFFERED, "Likes c", "Likes c"),
        (FORCED, "a b</think>\nLikes c", "Likes c"),  # the template wrote the opening tag
        (FORCED, "a b, so", ""),
    ],
)
@pytest.mark.parametrize("special", [False, True])
def test_thoughts_are_no_text(template: str, written: str, text: str, special: bool) -> None:
    writer = thinking(template)
    if special:  # tags that decoding skips: the thoughts would stay without them
        writer.tokenizer.add_special_tokens({"extra_special_tokens": ["<think>", "</think>"]})
    assert writer.text(writer.tokenizer.encode(written)) == text


def test_nothing_but_thoughts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = thinking(OFFERED)
    tokens = writer.tokenizer.encode("<think>a b")
    monkeypatch.setattr(writer, "write_tokens", lambda *_: [[tokens]])
    with pytest.raises(InputError, match=r"nothing but thoughts .* raise knowledge\.max_tokens"):
        writer.write(["a"], 1, 0)


def test_texts_without_an_end_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = local()
    tokens = list(range(9, 9 + SAMPLING.max_tokens))
    monkeypatch.setattr(writer, "write_tokens", lambda *_: [[tokens, tokens[:-1]]])
    assert [isinstance(text, CutText) for text in writer.write(["a"], 2, 0)[0]] == [True, False]
