"""Supervised fine-tuning: the right tokens count, it learns, and a kill changes nothing."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from together import together

from tacit.data.dialogues import synthetic
from tacit.dialogue.evaluate.title_writer import TitleWriter, split_as_text
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train import sft
from tacit.dialogue.train.segments import Pick, rejections, segments
from tacit.dialogue.train.sft_config import FRESH_LM_LR, SFTConfig
from tacit.dialogue.train.sft_losses import slate_loss
from tacit.run.folder import Stage
from tacit.text.lm import LMConfig, rows_a_pass
from tacit.text.sharding import Sharding
from tacit.types import Dialogue, Feedback, InputError, Slate, Split, Turn

WORLD = synthetic.generate(0)
SPLIT = Split(WORLD.train[:48], WORLD.train[48:60])
CONFIG = SFTConfig(
    epochs=2, batch=8, checkpoint_every=3, validation_picks=60, lm_lr=5e-3, head_lr=2e-3, encoder_lr=1e-3
)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"), width=16)


def build(encoder: Path) -> Policy:
    torch.manual_seed(0)
    shape = LMConfig(layers=1, heads=2, width=32, vocabulary=500)
    return Policy.fresh(WORLD.catalog, SPLIT.train, PolicyConfig(encoder=str(encoder), window=4, lm=shape))


def test_only_the_policys_own_tokens_are_targets(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    layout = policy.layout
    for segment in segments(SPLIT.train[:20], policy, None):
        for place, (token, own) in enumerate(zip(segment.tokens, segment.targets, strict=True)):
            if token in (*layout.user_open, *layout.agent_open, layout.reply):
                assert not own
            if token in (layout.recommend, layout.chat, layout.eos):
                assert own
            if place and segment.tokens[place - 1] == layout.user_open[0]:
                assert not own
        for pick in segment.picks:
            assert segment.tokens[pick.position] == layout.recommend


def test_every_agent_turn_is_a_target_once(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    dialogues = SPLIT.train[:20]
    turns = sum(turn.speaker == "agent" for d in dialogues for turn in d.merged().turns)
    ends = sum(
        token == policy.layout.eos and own
        for segment in segments(dialogues, policy, None)
        for token, own in zip(segment.tokens, segment.targets, strict=True)
    )
    assert ends == turns


def test_rejected_items_are_positives_left_out_or_negatives(encoder_folder: Path) -> None:
    """Two messages in a row show three items; of the first the person clicked one and took nothing."""
    policy = build(encoder_folder)
    a, b, c = (item.id for item in WORLD.catalog.items[:3])
    turns = (
        Turn("user", "hello"),
        Turn("agent", "See these.", (a, b), Slate((a, b)), Feedback(clicked=(a,), accepted=False)),
        Turn("agent", "Or this.", (c,), Slate((c,)), Feedback(left=False)),
        Turn("user", "no"),
        Turn("agent", "Then this.", (b,), Slate((b,)), Feedback(accepted=False)),
    )
    dialogue = Dialogue("d", "u", turns)
    assert [sorted(part) for part in rejections(dialogue)] == [[], [b], [], [b]]
    read = {
        rejected: [
            (pick.rows, pick.rejected)
            for segment in segments([dialogue], policy, None, rejected)
            for pick in segment.picks
        ]
        for rejected in ("positive", "ignore", "negative")
    }
    assert read["positive"] == [((0, 1, 2), ()), ((1,), ())]
    assert read["ignore"] == [((0, 2), ())]
    assert read["negative"] == [((0, 2), (1,)), ((), (1,))]


def test_the_slates_loss_by_hand() -> None:
    """p = .5, .3, .2: items 0 and 1 wanted cost −(ln .5 + ln .3) / 2, item 2 rejected costs −ln(1 − .2)."""
    log_p = torch.tensor([0.5, 0.3, 0.2]).log()
    context = Dialogue("d", "u", ())
    wanted = -(math.log(0.5) + math.log(0.3)) / 2
    both, one, none = Pick(0, context, (0, 1), (2,)), Pick(0, context, (0, 1)), Pick(0, context, (), (1, 2))
    refused = -math.log(0.7 * 0.8) / 2

    def loss(*picks: Pick) -> float:
        return slate_loss(log_p.expand(len(picks), 3), picks).item()

    assert loss(one) == pytest.approx(wanted) and loss(none) == pytest.approx(refused)
    assert loss(both) == pytest.approx(wanted - math.log(0.8))
    assert loss(one, none, none) == pytest.approx(wanted + refused), "turns of one kind do not dilute the other"
    sure = torch.tensor([[1.0, 0.0]]).log()
    assert math.isfinite(slate_loss(sure, [Pick(0, context, (), (0,))]).item())


def test_rejected_items_fall_and_published_data_is_read_as_it_was(encoder_folder: Path) -> None:
    assert SFTConfig().rejected_as(own_logs=True) == "negative"
    assert SFTConfig().rejected_as(own_logs=False) == "positive"
    assert SFTConfig(rejected="ignore").rejected_as(own_logs=True) == "ignore"
    policy = build(encoder_folder)
    a, b = (item.id for item in WORLD.catalog.items[:2])
    shown = Turn("agent", "See these.", (a, b), Slate((a, b)), Feedback(clicked=(a,), accepted=False))
    dialogue = Dialogue("d", "u", (Turn("user", "hello"), shown))
    optimizer = torch.optim.SGD(policy.head.parameters(), lr=1e-3)
    gaps = []
    for _ in range(2):
        logits = policy.slate_logits([dialogue.before(1)])[0]
        gaps.append(float(logits[0] - logits[1]))
        optimizer.zero_grad()
        sft.losses(policy, segments([dialogue], policy, None, "negative"))[1].backward()
        optimizer.step()
        policy.encoder.clear_cache()
    assert gaps[1] > gaps[0]


def test_it_learns_and_a_kill_at_any_step_changes_nothing(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Stage("sft", tmp_path / "whole")
    policy = build(encoder_folder)
    before = sft.validate(policy, SPLIT.valid, 60)
    trained = sft.run_sft(policy, SPLIT, CONFIG, whole, seed=3)
    assert whole.summary()["lm_lr"] == CONFIG.lm_lr
    after = sft.validate(trained, SPLIT.valid, 60)
    assert after["nll"] < before["nll"] - 1.0
    slate = [row["slate_nll"] for row in whole.log.rows() if "slate_nll" in row]
    # of training batches: so few steps do not show in the validation NDCG; wishes and counts are heard before the first
    assert slate[-1] < slate[0] - 0.15
    finished = torch.cat([p.detach().flatten() for p in policy.parameters()])

    for killed_at in (2, 8):
        stage = Stage("sft", tmp_path / f"killed{killed_at}")
        steps = iter(range(killed_at))
        honest = sft.losses

        def dying(policy: Policy, *pieces: object, steps=steps, honest=honest):  # type: ignore[no-untyped-def]
            if policy.training and next(steps, None) is None:
                raise KeyboardInterrupt
            return honest(policy, *pieces)  # type: ignore[arg-type]

        monkeypatch.setattr(sft, "losses", dying)
        with pytest.raises(KeyboardInterrupt):
            sft.run_sft(build(encoder_folder), SPLIT, CONFIG, stage, seed=3)
        monkeypatch.setattr(sft, "losses", honest)
        again = build(encoder_folder)
        sft.run_sft(again, SPLIT, CONFIG, stage, seed=3)
        assert torch.equal(torch.cat([p.detach().flatten() for p in again.parameters()]), finished)
        assert stage.log.path.read_bytes() == whole.log.path.read_bytes()
        shutil.rmtree(stage.folder)


def sft_dropping(encoder: Path, stage: Stage, sharding: Sharding = "never") -> Policy:
    """Pieces of two segments, so that the masks of dropout do not depend on how many processes there are."""
    policy = build(encoder)
    for module in policy.lm.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
    config = replace(CONFIG, epochs=1, microbatch=2, checkpoint_every=2)
    return sft.run_sft(policy, Split(SPLIT.train[:24], SPLIT.valid), config, stage, seed=3, sharding=sharding)


@pytest.mark.parametrize(
    ("before", "after", "sharding"), [(1, 2, "never"), (1, 2, "always"), (2, 1, "always")], ids=["whole", "in", "out"]
)
def test_two_processes_learn_what_one_does_and_go_on_where_another_number_was_killed(
    before: int, after: int, sharding: Sharding, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of one batch is the sum of both processes' pieces: the same losses but for rounding, whether each
    holds all weights or a part."""
    whole = Stage("sft", tmp_path / "whole")
    trained = sft_dropping(encoder_folder, whole)
    stage, honest, steps = Stage("sft", tmp_path / "two"), sft.clipped_step, iter(range(3))

    def dying(*given: object) -> float:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return honest(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sft, "clipped_step", dying)
    assert together(sft_dropping, encoder_folder, stage, sharding, n=before) == [1] * before
    monkeypatch.undo()
    assert stage.checkpoints.steps() == [2]
    assert together(sft_dropping, encoder_folder, stage, sharding, n=after) == [0] * after
    assert len(stage.log.rows()) == len(whole.log.rows()) == 2 and stage.done()
    for one, two in zip(whole.log.rows(), stage.log.rows(), strict=True):
        assert two == pytest.approx(one, rel=1e-4)
    again = Policy.from_pretrained(stage.folder / "policy")
    for name, weight in trained.named_parameters():
        torch.testing.assert_close(dict(again.named_parameters())[name], weight, rtol=1e-3, atol=1e-4)


def test_dialogues_without_an_agent_are_refused(encoder_folder: Path, tmp_path: Path) -> None:
    lonely = (Dialogue("d", "u", (Turn("user", "hello?"),)),)
    with pytest.raises(InputError, match="no agent turn"):
        sft.run_sft(build(encoder_folder), Split(lonely, lonely), CONFIG, Stage("sft", tmp_path), seed=0)


def test_the_literal_baseline_writes_titles_as_text(encoder_folder: Path, tmp_path: Path) -> None:
    policy = build(encoder_folder)
    plain = split_as_text(SPLIT)
    pool = segments(plain.train, policy, None)
    assert not any(segment.picks for segment in pool)
    told = " ".join(str(policy.tokenizer.decode(segment.tokens)) for segment in pool)
    titles = [item.title for item in WORLD.catalog.items]
    assert sum(title in told for title in titles) > 50
    trained = sft.run_sft(policy, plain, replace(CONFIG, epochs=1), Stage("literal", tmp_path), seed=0)
    contexts = [dialogue.before(1) for dialogue in plain.valid[:3]]
    replies = TitleWriter(trained, 0).generate(contexts, n=4)
    assert [len(texts) for texts in replies] == [4, 4, 4]
    assert replies == TitleWriter(trained, 0).generate(contexts, n=4)


def test_a_batch_in_pieces_has_the_gradients_of_the_whole(encoder_folder: Path) -> None:
    """Pieces of 2 and of 3 of eight segments, some without a slate: the slow twin is one pass over all eight."""
    policy = build(encoder_folder)
    rejecting = replace(WORLD.train[0].turns[1], feedback=Feedback(clicked=(), accepted=False))
    asked = Dialogue("d", "u", (WORLD.train[0].turns[0], rejecting))
    batch = segments([*SPLIT.train[:6], asked], policy, None, "negative")[:8]
    assert len(batch) == 8 or batch[-1].picks[0].rejected
    optimizer = sft._optimizer(policy, CONFIG)
    found = []
    for size in (8, 2, 3):
        values = sft.gradients(policy, optimizer, batch, replace(CONFIG, microbatch=size), "float32")
        found.append((values, [p.grad.clone() for p in policy.parameters() if p.grad is not None]))
    text, slate = sft.losses(policy, batch)
    assert found[0][0] == pytest.approx((text.item(), slate.item()))
    for values, gradients in found[1:]:
        assert values == pytest.approx(found[0][0], rel=1e-5)
        for piece, whole in zip(gradients, found[0][1], strict=True):
            torch.testing.assert_close(piece, whole, rtol=1e-3, atol=1e-5)  # sums in another order


def test_size_and_base_decide_what_is_not_given(encoder_folder: Path, tmp_path: Path) -> None:
    auto = SFTConfig()
    assert auto.settled("small").lm_lr == 1e-3
    assert auto.settled("gpt2-medium").lm_lr is None  # its weights or its adapters: told when the model is there
    assert SFTConfig(lm_lr=2e-4).settled("small").lm_lr == SFTConfig(lm_lr=2e-4).settled("gpt2").lm_lr == 2e-4
    small = build(encoder_folder)
    assert auto.settled_for(small).microbatch == 4, "more would only take more memory"
    assert replace(auto, batch=2).settled_for(small).microbatch == 2
    base = tiny.save_lm(tmp_path / "base", "llama")
    for lora, rate in ((0, 5e-5), (2, 2e-4)):
        config = PolicyConfig(base=str(base), encoder=str(encoder_folder), window=4, lm=LMConfig(lora=lora))
        policy = Policy.fresh(WORLD.catalog, SPLIT.train, config)
        assert auto.settled_for(policy).lm_lr == rate
        optimizer = sft._optimizer(policy, auto.settled_for(policy))
        peaks = {id(p): group["peak"] for group in optimizer.param_groups for p in group["params"]}
        trained = {name: p for name, p in policy.lm.named_parameters() if p.requires_grad}
        assert {name.endswith(".rows"): peaks[id(p)] for name, p in trained.items()} == (
            {False: rate, True: FRESH_LM_LR} if lora else {False: rate}
        )
        assert replace(auto, lm_lr=1e-3, microbatch=3).settled_for(policy).lm_lr == 1e-3
    assert replace(auto, microbatch=3).settled_for(small).microbatch == 3
    weights = {1e6: 4096, 134e6: 4, 345e6: 2, 8e9: 1}
    for count, rows in weights.items():
        assert rows_a_pass(_Weights(int(count))) == rows


class _Weights:
    """A model of so many weights, none of which is held."""

    def __init__(self, count: int) -> None:
        self.count = count

    def parameters(self) -> Iterator[torch.Tensor]:
        return iter([torch.empty(1).expand(self.count)])
