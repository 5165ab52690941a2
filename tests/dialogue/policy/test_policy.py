"""The policy: exact factors, agreement of sampling and scoring, legal items, every base it can be built on."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.act import act
from tacit.dialogue.policy.associations import associations
from tacit.dialogue.policy.layout import fill_slots, with_slots
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.plackett_luce import draw_slates, slate_logprobs
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.scoring import said_before
from tacit.dialogue.policy.slate import mask_rows
from tacit.text.encoder import TextEncoder
from tacit.text.lm import LMConfig
from tacit.text.tokens import plain
from tacit.types import Dialogue, InputError, Item, Sample, Slate, Turn

WORLD = synthetic.generate(0)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"))


def build(encoder: Path, base: str = "small", lora: int = 0) -> Policy:
    torch.manual_seed(0)
    config = PolicyConfig(
        base=base, encoder=str(encoder), window=4, lm=LMConfig(layers=2, heads=2, width=32, vocabulary=600, lora=lora)
    )
    policy = Policy.fresh(WORLD.catalog, WORLD.train[:60], config)
    policy.layout.lengths = type(policy.layout.lengths)(prompt=110, utterance=30, title=8, reply=12)
    return policy.eval()


def contexts(n: int = 12) -> list[Dialogue]:
    found = []
    for dialogue in WORLD.train[:n]:
        merged = dialogue.merged()
        last = max(t for t, turn in enumerate(merged.turns[:6]) if turn.speaker == "user")
        found.append(merged.before(last + 1))
    return found


def gap(policy: Policy, drawn: list[Sample]) -> float:
    """Largest |log-probability when drawn − when scored again|, nats, over tokens and slate places."""
    again = policy.evaluate(contexts(), drawn)
    worst = 0.0
    for row, sample in enumerate(drawn):
        scored = again.token_logprobs[row, : len(sample.tokens)]
        worst = max(worst, float((scored - torch.tensor(sample.logprobs)).abs().max()))
        assert again.token_mask[row].sum() == sum(sample.sampled)
        if sample.slate:
            places = again.slate_logprobs[row, : len(sample.slate.items)]
            worst = max(worst, float((places - torch.tensor(sample.slate_logprobs)).abs().max()))
    return worst


@pytest.mark.parametrize("base", ["small", "gpt2", "llama", "llama-lora"])
def test_scoring_a_rollout_again_agrees_within_1e_4(base: str, encoder_folder: Path, tmp_path: Path) -> None:
    source = base if base == "small" else str(tiny.save_lm(tmp_path / "base", base.removesuffix("-lora")))
    policy = build(encoder_folder, source, lora=4 if base.endswith("lora") else 0)
    drawn = policy.act(contexts(), torch.Generator().manual_seed(1))
    drawn[:6] = policy.act(contexts()[:6], torch.Generator().manual_seed(1), decide="recommend")
    with torch.no_grad():
        policy.head.item_residual.weight.normal_(std=0.02)
        assert gap(policy, policy.act(contexts(), torch.Generator().manual_seed(2))) < 1e-4
    assert any(sample.slate for sample in drawn)
    policy.save_pretrained(tmp_path / "saved")
    stored = load_file(tmp_path / "saved" / "policy.safetensors")
    assert {name.split(".")[0] for name in stored} == {
        "lm",
        "head",
        "directed",
        "wish",
        "decision",
        "text_value",
        "slate_value",
    }
    twin = Policy.from_pretrained(tmp_path / "saved")
    twin.layout.lengths = policy.layout.lengths
    mine, its = policy.slate_logits(contexts()), twin.slate_logits(contexts())
    torch.testing.assert_close(mine, its, rtol=0, atol=1e-6)
    assert not list((tmp_path / "saved").rglob("*.bin")) + list((tmp_path / "saved").rglob("*.pt"))
    if base.endswith("lora"):
        trained = sum(p.numel() for n, p in policy.lm.named_parameters() if p.requires_grad and "lora" in n)
        assert 0 < trained < sum(p.numel() for p in policy.lm.parameters()) / 4


def loves_slots(policy: Policy) -> None:
    """Slots become the likeliest tokens after any state."""
    with torch.no_grad():
        bias = policy.lm.base_model.ln_f.bias
        bias.fill_(0.5)
        policy.lm.get_input_embeddings().weight[policy.layout.slots] = 0.5 * torch.ones_like(bias)


def by_hand(policy: Policy, sample: Sample) -> list[float]:
    """log P of each token of the reply, one forward pass a token: what may be said is told from the tokens before."""
    start = len(sample.tokens) - sum(sample.sampled) + 1
    found = []
    for at in range(start, len(sample.tokens)):
        ids = torch.tensor([[*sample.prompt_tokens, *sample.tokens[:at]]])
        logits = policy.lm(input_ids=ids).logits[0, -1]
        shown = policy.layout.slots[: 2 if sample.slate else 0]
        allowed = [slot for slot in shown if slot not in sample.tokens[start:at]]
        barred = [t for t in range(len(logits)) if policy.speakable[t] < 0 and t not in allowed]
        logits[barred] = -torch.inf
        found.append(float(torch.log_softmax(logits, dim=-1)[sample.tokens[at]]))
    return found


@pytest.mark.parametrize("greedy", [False, True])
def test_a_slot_stands_once_in_a_reply_for_drawing_and_scoring_alike(greedy: bool, encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    loves_slots(policy)
    drawn = policy.act(contexts(), torch.Generator().manual_seed(3), greedy=greedy, decide="recommend")
    named = [[t for t in s.tokens[-sum(s.sampled) + 1 :] if t in policy.layout.slots] for s in drawn]
    assert all(sorted(slots) == policy.layout.slots[:2] for slots in named)
    with torch.no_grad():
        assert gap(policy, drawn) < 1e-4
        for sample in drawn[:3]:
            reply = [p for p, own in zip(sample.logprobs, sample.sampled, strict=True) if own][1:]
            assert by_hand(policy, sample) == pytest.approx(reply, abs=1e-4)


@torch.no_grad()
def test_the_likeliest_slate_is_the_top_of_the_logits_whatever_is_drawn_else(encoder_folder: Path) -> None:
    policy = build(encoder_folder, "small")
    for seed in (0, 1):
        drawn = policy.act(contexts(), torch.Generator().manual_seed(seed), decide="recommend", likeliest=True)
        read = policy.read(contexts())
        top = policy.slate_scores(*read, contexts()).topk(policy.config.slate_size, dim=-1).indices.tolist()
        items = [[policy.catalog.items[row].id for row in rows] for rows in top]
        assert [list(sample.slate.items) for sample in drawn if sample.slate] == items


def test_temperature_is_of_the_words_alone_and_a_low_one_says_the_likeliest(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    dice = [torch.Generator().manual_seed(5) for _ in range(3)]
    own = act(policy, contexts(), dice[0])
    low = act(policy, contexts(), dice[1], temperature=0.01)
    assert [s.slate for s in low] == [s.slate for s in own]  # what is shown is drawn before any word, and as ever
    assert [s.logprobs[0] for s in low] == [s.logprobs[0] for s in own]
    greedy = act(policy, contexts(), dice[2], greedy=True, decide="reply")
    colder = act(policy, contexts(), dice[2], decide="reply", temperature=1e-4)
    assert [s.text for s in colder] == [s.text for s in greedy]
    with pytest.raises(ValueError, match="above 0; greedy=True"):
        act(policy, contexts(), dice[2], temperature=0.0)


def test_what_a_row_said_before_by_hand() -> None:
    tokens, slots = torch.tensor([[5, 7, 5, 9]]), torch.tensor([5, 9])
    assert said_before(tokens, slots)[0].tolist() == [[False, False], [True, False], [True, False], [True, False]]


def test_a_batch_draws_what_single_rows_would(encoder_folder: Path) -> None:
    """Padding changes nothing: greedy turns of a ragged batch equal those taken one by one."""
    policy, dice = build(encoder_folder), torch.Generator()
    batch = policy.act(contexts(), dice, greedy=True)
    single = [policy.act([context], dice, greedy=True)[0] for context in contexts()]
    assert [s.tokens for s in batch] == [s.tokens for s in single]
    assert [s.slate and s.slate.items for s in batch] == [s.slate and s.slate.items for s in single]


def test_slates_are_legal_new_and_without_repeats(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    for context, sample in zip(contexts(), policy.act(contexts(), torch.Generator(), decide="recommend"), strict=True):
        assert sample.slate is not None and sample.slate.propensities is not None
        assert all(item in WORLD.catalog for item in sample.slate.items)
        assert len(set(sample.slate.items)) == policy.config.slate_size
        assert not set(sample.slate.items) & set(context.mentioned())
        assert math.isclose(math.exp(sample.slate_logprobs[0]), sample.slate.propensities[0], rel_tol=1e-5)


def test_an_item_added_after_training_is_recommendable_at_once(encoder_folder: Path, tmp_path: Path) -> None:
    policy = build(encoder_folder)
    with torch.no_grad():
        policy.head.item_residual.weight.normal_(std=0.02)
        policy.head.item_bias[torch.from_numpy(WORLD.catalog.counts == 0)] = -0.5
        next(policy.encoder.parameters()).add_(0.1)  # fine-tuning moved the encoder after the items were read
    old = WORLD.catalog.items[7]
    twin = Item("twin", "Twin of an Old Film (2031)", old.text)
    wider = policy.extended([twin])
    assert wider.catalog.items == (*WORLD.catalog.items, twin) and wider.catalog.counts[-1] == 0
    before, after = policy.slate_logits(contexts()), wider.slate_logits(contexts())
    torch.testing.assert_close(after[:, :-1], before, atol=1e-5, rtol=1e-5)
    read = policy.head.item_projection(policy.head.item_text[7])
    torch.testing.assert_close(wider.item_vectors()[-1], read, atol=1e-5, rtol=0)
    assert not wider.head.neighbours(torch.tensor([[len(WORLD.catalog)]])).any()
    assert wider.head.item_bias[-1].item() == pytest.approx(-0.5 if (WORLD.catalog.counts == 0).any() else 0.0)
    with torch.no_grad():
        wider.head.item_bias[-1] += 50.0
        drawn = wider.act(contexts(), torch.Generator().manual_seed(1), decide="recommend")
        assert all(sample.slate and sample.slate.items[0] == "twin" for sample in drawn)
        assert gap(wider, drawn) < 1e-4
    wider.save_pretrained(tmp_path)
    assert "twin" in Policy.from_pretrained(tmp_path).catalog
    with pytest.raises(InputError, match="occurs twice"):
        policy.extended([old])


def test_a_policy_goes_to_another_catalogue(encoder_folder: Path, tmp_path: Path) -> None:
    """Five films under their ids, one of them with another text, and a book: that film and the book are new."""
    policy = build(encoder_folder)
    with torch.no_grad():
        policy.head.item_residual.weight.normal_(std=0.02)
    same = policy.onto(Catalog(WORLD.catalog.items))
    torch.testing.assert_close(same.slate_logits(contexts()), policy.slate_logits(contexts()), atol=1e-5, rtol=1e-5)
    films = WORLD.catalog.items[:5]
    other = Item(films[0].id, "A Book", "A Book. Written by somebody.")
    there = policy.onto(Catalog([Item("b", "Another Book", other.text), other, *films[1:]]), tmp_path)
    vectors = there.item_vectors()
    torch.testing.assert_close(vectors[2:], policy.item_vectors()[1:5], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(vectors[0], vectors[1], atol=1e-5, rtol=1e-5)  # one text, and nothing else
    said = Dialogue("d", "u", (Turn("user", "Something to read?"),))
    (sample,) = there.act([said], torch.Generator().manual_seed(0), decide="recommend")
    assert sample.slate is not None and set(sample.slate.items) <= {item.id for item in there.catalog}
    there.save_pretrained(tmp_path / "policy")
    again = Policy.from_pretrained(tmp_path / "policy")
    torch.testing.assert_close(again.slate_logits([said]), there.slate_logits([said]), atol=1e-5, rtol=1e-5)


def test_plackett_luce_by_hand() -> None:
    """Weights 1, 2, 3: P(2, then 0) = 3/6 · 1/3; all ordered pairs sum to one."""
    logits = torch.log(torch.tensor([[1.0, 2.0, 3.0]]))
    factors = slate_logprobs(logits, torch.tensor([[2, 0]])).exp()
    torch.testing.assert_close(factors, torch.tensor([[3 / 6, 1 / 3]]))
    pairs = torch.tensor(list(itertools.permutations(range(3), 2)))
    total = slate_logprobs(logits.expand(len(pairs), -1), pairs).sum(1).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-6)
    whole = slate_logprobs(logits, torch.tensor([[1, 2, 0]])).exp()
    torch.testing.assert_close(whole, torch.tensor([[2 / 6, 3 / 4, 1.0]]))


def test_a_short_slate_beside_a_long_one_keeps_its_factors() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.5], [4.0, 1.0, -2.0, 30.0]], requires_grad=True)
    slates, mask = torch.tensor([[2, 0, 1], [3, 3, 3]]), torch.tensor([[True] * 3, [True, False, False]])
    factors = torch.where(mask, slate_logprobs(logits, slates, mask), 0.0)
    torch.testing.assert_close(factors[:1], slate_logprobs(logits[:1], slates[:1]))
    torch.testing.assert_close(factors[1:, :1], slate_logprobs(logits[1:], slates[1:, :1]))
    (gradient,) = torch.autograd.grad(factors.sum(), logits)
    assert bool(gradient.isfinite().all()) and float(gradient.sum().abs()) < 1e-5


def test_drawn_slates_follow_the_softmax() -> None:
    """First places of 6,000 draws stand where the weights 1, 2, 3 put them: 1/6, 2/6, 3/6."""
    logits = torch.log(torch.tensor([1.0, 2.0, 3.0])).expand(6000, -1)
    slates = draw_slates(logits, 2, torch.Generator().manual_seed(0))
    shares = torch.bincount(slates[:, 0], minlength=3) / 6000
    torch.testing.assert_close(shares, torch.tensor([1 / 6, 2 / 6, 3 / 6]), atol=0.02, rtol=0)
    assert bool((slates[:, 0] != slates[:, 1]).all())
    assert draw_slates(logits[:1], 2, None).tolist() == [[2, 1]]


def test_masking_rows_leaves_the_rest() -> None:
    masked = mask_rows(torch.zeros(2, 3), torch.tensor([[1, -1], [-1, -1]]))
    assert (masked < -1).tolist() == [[False, True, False], [False, False, False]]


def test_associations_by_hand() -> None:
    """Items 0 and 1 meet in two dialogues, 0 and 2 in one; a_01 = log(1 + 2/√4), a_02 = log(1 + 1/√4)."""
    ids = [item.id for item in WORLD.catalog.items]
    told = [(0, 1), (0, 1), (0, 2)]
    turns = [Turn("user", "", mentions=tuple(ids[i] for i in pair)) for pair in told]
    dialogues = [Dialogue(str(k), "u", (turn,)) for k, turn in enumerate(turns)]
    rows, items, weights = associations(dialogues, Catalog(WORLD.catalog.items), keep=3)
    assert rows.tolist() == [0, 1, 2] and items[0, :2].tolist() == [1, 2]
    torch.testing.assert_close(weights[0], torch.tensor([math.log(2.0), math.log(1.5), 0.0]))


def test_slots_stand_for_titles_and_nothing_else() -> None:
    first, second, third = WORLD.catalog.items[:3]
    slate = Slate((first.id, second.id, third.id))
    text = f"Try {second.title}, or {first.title}! Else {third.title} <1>"
    marked = with_slots(text, slate, WORLD.catalog, titles=2)
    assert marked == "Try <2>, or <1>! Else another one (1)"
    assert with_slots(f"{first.title}? {first.title}.", slate, WORLD.catalog, titles=2) == "<1>? it."
    assert fill_slots("Try <2> , or <1> !", slate, WORLD.catalog) == f"Try {second.title}, or {first.title}!"
    assert fill_slots("Try <4> now", slate, WORLD.catalog) == "Try now"
    assert plain("a <eos>  b") == "a (eos) b"


def test_an_encoder_that_did_not_change_reads_the_catalogue_once(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(encoder_folder).save_pretrained(tmp_path)
    policy, texts = Policy.from_pretrained(tmp_path), [item.text for item in WORLD.catalog.items]
    read, calls = TextEncoder.read, list[int]()

    def counted(encoder: TextEncoder, texts: list[str], *given: object) -> tuple[torch.Tensor, int]:
        calls.append(len(texts))
        return read(encoder, texts, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(TextEncoder, "read", counted)
    torch.testing.assert_close(policy.item_texts(None, ""), read(policy.encoder, texts, None)[0])
    assert not calls
    with torch.no_grad():
        next(policy.encoder.parameters()).mul_(1.5)
    policy.encoder.clear_cache()
    again = policy.item_texts(None, "")
    assert calls == [len(texts)] and not torch.allclose(again, policy.head.item_text)
    torch.testing.assert_close(again, read(policy.encoder, texts, None)[0])
    policy.save_pretrained(tmp_path / "trained")
    Policy.from_pretrained(tmp_path / "trained").item_texts(None, "")
    assert len(calls) == 2


def test_a_policy_saved_with_a_setting_that_is_no_more(encoder_folder: Path, tmp_path: Path) -> None:
    """Earlier versions could show an item twice: a policy that did not is the same now, one that did is refused."""
    build(encoder_folder).save_pretrained(tmp_path)
    (tmp_path / "manifest.json").unlink()  # they wrote none
    meta = json.loads((tmp_path / "policy.json").read_text())
    for repeats in (False, True):
        meta["config"]["repeat_items"] = repeats
        (tmp_path / "policy.json").write_text(json.dumps(meta))
        if not repeats:
            assert Policy.from_pretrained(tmp_path).version == "fresh"
    with pytest.raises(InputError, match="repeat_items"):
        Policy.from_pretrained(tmp_path)


def test_a_policy_saved_with_weights_that_are_no_more(encoder_folder: Path, tmp_path: Path) -> None:
    """Earlier versions could be calibrated: a policy that was not is the same now, one that was is refused."""
    build(encoder_folder).save_pretrained(tmp_path)
    (tmp_path / "manifest.json").unlink()
    file = tmp_path / "policy.safetensors"
    weights = load_file(file)
    save_file(weights | {"head.near_log": torch.tensor(0.0), "head.bias_named": torch.tensor(0.0)}, file)
    again = Policy.from_pretrained(tmp_path)
    assert "head.near_log" not in again.state_dict()
    assert torch.equal(again.head.item_bias, weights["head.item_bias"])
    save_file(weights | {"head.near_log": torch.tensor(1.3), "head.bias_named": torch.tensor(0.0)}, file)
    with pytest.raises(InputError, match=r"policy\.safetensors: .*calibrated.*train it again"):
        Policy.from_pretrained(tmp_path)


def test_a_missing_base_or_encoder_is_named(encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"policy\.base="):
        build(encoder_folder, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"policy\.encoder"):
        TextEncoder.load(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"policy\.json"):
        Policy.from_pretrained(tmp_path)


def test_the_encoder_caches_while_frozen_and_forgets_after_training(encoder_folder: Path) -> None:
    encoder = TextEncoder.load(str(encoder_folder)).eval()
    first = encoder.encode(["a noir", "a western"])
    assert torch.equal(first, encoder.encode(["a noir", "a western"]))
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(2))
    encoder.train()
    with torch.no_grad():
        next(encoder.parameters()).add_(0.5)
    encoder.eval()
    assert not torch.equal(first, encoder.encode(["a noir", "a western"]))


def test_policies_that_are_asked_the_same_share_an_encoder_only_where_it_is_the_same(
    encoder_folder: Path, tmp_path: Path
) -> None:
    policy = build(encoder_folder)
    policy.save_pretrained(tmp_path / "a")
    with torch.no_grad():
        policy.head.item_bias += torch.arange(len(policy.catalog)) / 100.0
    policy.save_pretrained(tmp_path / "b")
    with torch.no_grad():
        next(policy.encoder.parameters()).add_(0.5)
    policy.encoder.clear_cache()
    policy.save_pretrained(tmp_path / "c")
    folders = [tmp_path / name for name in "abc"]
    together, alone = Policy.several(folders), [Policy.from_pretrained(folder) for folder in folders]
    assert together[0].encoder is together[1].encoder is not together[2].encoder
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.slate_logits(contexts(4)), other.slate_logits(contexts(4)), atol=1e-4, rtol=1e-4)
