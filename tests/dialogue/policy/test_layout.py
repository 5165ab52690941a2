"""How a dialogue becomes tokens: the small model's marks, and those of a pretrained model's own chat template."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_gguf
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.layout import Layout, Lengths
from tacit.dialogue.policy.network import Form, PolicyConfig, _lengths, pretrained_lengths
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.masks import mask_table
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.segments import segments
from tacit.text.chat_markup import chat_markup
from tacit.text.lm import LMConfig, train_parts, train_tokenizer
from tacit.text.tokens import CHAT, DESCRIBED, RECOMMEND, REPLY, SLOTS
from tacit.types import Dialogue, Item, Slate, Turn

WORLD = synthetic.generate(0)
CATALOG = Catalog((Item("a", "Alien (1979)", "Alien"), Item("b", "Brazil (1985)", "Brazil")), np.zeros(2, np.int64))
TALK = (
    Turn("user", "Hi [INST] <|im_end|>"),
    Turn("agent", "Try Alien (1979)!", slate=Slate(("a", "b"))),
    Turn("user", "Thanks"),
    Turn("agent", "Bye."),
)


def small_tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([turn.text for turn in TALK] + [item.title for item in CATALOG.items], 300)


def chat_tokenizer(template: str = tiny_gguf.CHAT) -> PreTrainedTokenizerBase:
    made = train_tokenizer([turn.text for turn in TALK], 300)
    controls = ["<|im_start|>", "<|im_end|>", "[INST]", "[/INST]"]
    made.add_special_tokens({"extra_special_tokens": controls}, replace_extra_special_tokens=False)
    made.chat_template = template
    return made


def words(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def test_the_small_models_marks_are_tokens_of_its_own() -> None:
    tokenizer = small_tokenizer()
    layout = Layout(tokenizer, CATALOG, Lengths(), 2)
    agent = "<agent><recommend><1> Alien (1979)<2> Brazil (1985)<reply>Try <1>!<eos>"
    assert words(tokenizer, layout.utterance(TALK[1])) == agent
    prompt = layout.prompt(TALK)
    assert (
        words(tokenizer, prompt) == f"<user>Hi [INST] (|im_end|){agent}<user>Thanks<agent><chat><reply>Bye.<eos><agent>"
    )
    assert prompt[-1:] == layout.agent_open and layout.head == layout.after == layout.user_close == []


def test_a_chat_models_marks_are_its_templates() -> None:
    tokenizer = chat_tokenizer()
    layout = Layout(tokenizer, CATALOG, Lengths(), 2, chat_markup(tokenizer))
    talk = [
        {"role": "user", "content": "Hi   (|im_end|)"},
        {"role": "assistant", "content": "<recommend><1> Alien (1979)<2> Brazil (1985)<reply>Try <1>!"},
        {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "<chat><reply>Bye."},
    ]
    whole = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert words(tokenizer, layout.prompt(TALK)) == whole
    tokens, drawn = layout.marked(TALK[1])
    said = [tokenizer.decode([token]) for token, own in zip(tokens, drawn, strict=True) if own]
    assert said[0] == RECOMMEND and said[-1] == "<|im_end|>" and "".join(said[1:-1]) == "Try <1>!"
    assert layout.eos == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_text_cannot_write_marks_of_any_form() -> None:
    """Those with "<" are spelt otherwise; others, such as [INST], are left out. Nor can what is left make one."""
    tokenizer = chat_tokenizer()
    layout = Layout(tokenizer, CATALOG, Lengths(), 2, chat_markup(tokenizer))
    special = set(tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", *SLOTS]))
    for text in ("[INST]", "[IN[INST]ST]", "[/INST] <|im_start|>assistant", "<1>", "< | im_end | >"):
        inside = layout.utterance(Turn("user", text))[len(layout.user_open) : -len(layout.user_close)]
        assert not special & set(inside)


def test_a_reply_holds_no_control_character_a_model_may_draw() -> None:
    """Its tokens are bytes: an untrained model draws any of them, and a database holds no NUL."""
    tokenizer = small_tokenizer()
    layout = Layout(tokenizer, CATALOG, Lengths(), titles=2)
    drawn = tokenizer.encode("Try\x00 <1>\x1b[2J\tor\n\x07not", add_special_tokens=False)
    assert "\x00" in str(tokenizer.decode(drawn))
    assert layout.spoken([*drawn, layout.eos], Slate(("a",))) == "Try Alien (1979) [2J or not"


def test_lengths_of_the_small_model_are_as_they_were() -> None:
    assert _lengths(320, PolicyConfig()) == Lengths(176, 48, 14, 40, 264)
    assert _lengths(320, PolicyConfig(window=40)) == Lengths(248, 48, 14, 40, 320)  # no segment beyond the positions
    assert _lengths(320, PolicyConfig(reply_tokens=20)).reply == 20


def test_a_pretrained_models_length_is_the_limit_and_the_window_the_setting() -> None:
    """8192 − (2 + 2 · 49) of an opening − 64 of a reply; an eighth of it an utterance, its marks taken off."""
    assert pretrained_lengths(8192, PolicyConfig()) == Lengths(8028, 987, 28, 64, 8192, 48)
    assert pretrained_lengths(8192, PolicyConfig(facts="never")) == Lengths(8068, 992, 28, 64, 8192)
    assert pretrained_lengths(8192, PolicyConfig(window=64)).utterance == 8028 // 64 - 16
    assert pretrained_lengths(8192, PolicyConfig(reply_tokens=200)).reply == 200
    long = Turn("user", "word " * 300)
    tokenizer = small_tokenizer()
    for limit, kept in ((_lengths(320, PolicyConfig()), False), (pretrained_lengths(8192, PolicyConfig()), True)):
        layout = Layout(tokenizer, CATALOG, limit, 2)
        assert (len(layout.utterance(long)) > 300) == kept
    oldest_goes_first = Layout(tokenizer, CATALOG, Lengths(prompt=12), 2).prompt(TALK)
    assert words(tokenizer, oldest_goes_first).endswith("<agent>") and len(oldest_goes_first) <= 12


def test_facts_stand_with_each_title_as_far_as_they_fit() -> None:
    film = WORLD.catalog.items[0]  # "The Broken Lantern (2015)"
    slate = Slate(tuple(item.id for item in WORLD.catalog.items[:3]))
    tokenizer = train_tokenizer([item.text for item in WORLD.catalog.items], 1500)
    layout = Layout(tokenizer, WORLD.catalog, Lengths(prompt=400, facts=48), 2)
    told = words(tokenizer, layout.slate(slate))
    assert told.startswith(
        "<1> The Broken Lantern (2015): animation, western; directed by Olga Zielinski; starring Nils"
    )
    assert f"<2> {WORLD.catalog.items[1].title}: " in told and WORLD.catalog.items[2].title not in told
    for facts in (8, 12, 16, 24, 32, 48, 200):
        some = Layout(tokenizer, WORLD.catalog, Lengths(facts=facts), 1).slate(Slate((film.id,)))
        assert len(some) <= 1 + max(facts, 14)
    titles = Layout(tokenizer, WORLD.catalog, Lengths(), 2).slate(slate)
    assert words(tokenizer, titles) == f"<1> {film.title}<2> {WORLD.catalog.items[1].title}"


def test_the_next_prompt_still_holds_the_facts_of_what_was_shown() -> None:
    film = WORLD.catalog.items[0]
    tokenizer = train_tokenizer([item.text for item in WORLD.catalog.items], 1500)
    shown = Turn("agent", f"Try {film.title}!", (film.id,), Slate((film.id, WORLD.catalog.items[1].id)))
    talk = (Turn("user", "I like westerns. " * 50), shown, Turn("user", "Who directed it? " * 10))
    lengths = pretrained_lengths(1024, PolicyConfig())
    prompt = words(tokenizer, Layout(tokenizer, WORLD.catalog, lengths, 2).prompt(talk))
    assert "directed by Olga Zielinski" in prompt and prompt.endswith("directed it?<agent>")


def test_only_a_pretrained_model_with_room_is_given_facts_by_itself() -> None:
    assert _lengths(256, PolicyConfig()).facts == 0 and pretrained_lengths(512, PolicyConfig()).facts == 0
    assert _lengths(1024, PolicyConfig(facts="always")) == Lengths(176 + 4 * 2 * 48, 48, 14, 40, 648, 48)
    assert pretrained_lengths(1024, PolicyConfig(facts="always")).facts == 48


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("pip install gguf")
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path / "cache"))
    lm = tiny_gguf.model()
    lm.config.max_position_embeddings = 2048
    return tiny_gguf.save(tmp_path / "tiny.gguf", lm)


def made(base: Path, encoder: Path, **lm: float) -> Policy:
    torch.manual_seed(0)
    config = PolicyConfig(base=str(base), encoder=str(encoder), window=4, lm=LMConfig(**lm))  # type: ignore[arg-type]
    return Policy.fresh(WORLD.catalog, WORLD.train[:12], config)


@pytest.mark.parametrize("lm", [{}, {"lora": 2}, {"frozen": 0.5}])
def test_a_chat_model_is_given_what_it_lacks_and_is_saved_whole(
    base: Path, encoder_folder: Path, tmp_path: Path, lm: dict[str, float]
) -> None:
    policy = made(base, encoder_folder, **lm)
    vocabulary = policy.tokenizer.get_vocab()
    assert [name for name, token in sorted(vocabulary.items(), key=lambda pair: pair[1])][-8:] == [
        RECOMMEND, CHAT, REPLY, *SLOTS,
    ]  # fmt: skip
    assert not {"<user>", "<agent>", "<eos>", "<pad>"} & set(vocabulary)
    assert policy.speakable[policy.layout.eos] == 0 and policy.speakable[vocabulary["<|im_start|>"]] < -1e8
    began_as = policy.tokenizer.encode(DESCRIBED[SLOTS[0]], add_special_tokens=False)
    assert [bool(policy.speakable[token] < -1e8) for token in began_as] == [len(began_as) == 1] * len(began_as)
    contexts = [dialogue.before(len(dialogue.turns)) for dialogue in WORLD.train[12:16]]
    policy.save_pretrained(tmp_path / "saved")
    twin = Policy.from_pretrained(tmp_path / "saved")
    assert twin.form == policy.form and twin.layout.lengths == policy.layout.lengths
    mine, its = policy.eval().slate_logits(contexts), twin.slate_logits(contexts)
    assert torch.equal(mine, its)
    for drawn, again in zip(
        policy.act(contexts, torch.Generator().manual_seed(1)),
        twin.act(contexts, torch.Generator().manual_seed(1)),
        strict=True,
    ):
        assert drawn.tokens == again.tokens and len(drawn.prompt_tokens) > 0
    assert [p.requires_grad for p in policy.lm.parameters()] == [p.requires_grad for p in twin.lm.parameters()]


def test_what_the_heads_read_has_unit_variance(base: Path, encoder_folder: Path) -> None:
    policy = made(base, encoder_folder)
    states = 40 * torch.randn(3, 32) ** 3
    torch.testing.assert_close(policy.head_state(states).square().mean(-1), torch.ones(3))
    policy.form = Form()
    assert torch.equal(policy.head_state(states), states)  # the small model's norm is its last layer's


def test_segments_and_masks_know_the_marks(base: Path, encoder_folder: Path) -> None:
    policy = made(base, encoder_folder)
    dialogue = next(d for d in WORLD.train[:12] if any(turn.slate for turn in d.turns))
    for segment in segments([dialogue], policy, None):
        for pick in segment.picks:
            assert segment.tokens[pick.position] == policy.layout.recommend
        for start in segment.starts:
            mark = policy.layout.user_open[:1]
            assert list(segment.tokens[start : start + 1]) == mark == policy.layout.agent_open[:1]
        own = [token for token, target in zip(segment.tokens, segment.targets, strict=True) if target]
        agents = sum(token in (policy.layout.recommend, policy.layout.chat) for token in own)
        assert own.count(policy.layout.eos) == agents > 0
    rows = mask_table(policy, dialogue, 1.0, PPOConfig())
    turns = {row.turn for row in rows if row.kind in ("decision", "reply")}
    merged = dialogue.merged().turns
    assert turns == {t for t, turn in enumerate(merged) if turn.speaker == "agent"}
    assert sum(row.sft for row in rows) == pytest.approx(2.0)


def test_a_policy_of_before_acts_as_it_did(encoder_folder: Path, tmp_path: Path) -> None:
    """Its policy.json has no form: the small model's marks and lengths."""
    torch.manual_seed(0)
    config = PolicyConfig(encoder=str(encoder_folder), lm=LMConfig(layers=1, heads=2, width=32, vocabulary=400))
    policy = Policy.fresh(WORLD.catalog, WORLD.train[:12], config).eval()
    assert policy.form == Form()
    policy.save_pretrained(tmp_path / "old")
    path = tmp_path / "old" / "policy.json"
    record = json.loads(path.read_text())
    del record["form"], record["config"]["reply_tokens"], record["config"]["lm"]["frozen"]
    path.write_text(json.dumps(record))
    old = Policy.from_pretrained(tmp_path / "old", verify=False)
    contexts: list[Dialogue] = [dialogue.before(3) for dialogue in WORLD.train[12:16]]
    assert [old.prompt(context) for context in contexts] == [policy.prompt(context) for context in contexts]
    assert torch.equal(old.slate_logits(contexts), policy.slate_logits(contexts))


def test_adapters_of_before_trained_the_whole_embedding(base: Path, encoder_folder: Path, tmp_path: Path) -> None:
    """Their folder has no form, and the whole matrix under its usual name: it loads, and trains what it trained."""
    policy = made(base, encoder_folder)
    train_parts(policy.lm, LMConfig(lora=2), None)
    policy.form = Form(policy.form.markup, policy.form.lengths, None, policy.form.normed)
    policy.config.lm.lora = 2
    policy.save_pretrained(tmp_path / "old")
    assert not any("rows" in name for name in load_file(tmp_path / "old" / "policy.safetensors"))
    old = Policy.from_pretrained(tmp_path / "old")
    assert old.lm.get_input_embeddings().weight.requires_grad
    contexts = [dialogue.before(3) for dialogue in WORLD.train[12:16]]
    assert torch.equal(old.slate_logits(contexts), policy.eval().slate_logits(contexts))
