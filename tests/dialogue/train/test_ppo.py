"""PPO on a real policy of a few thousand weights: it learns, it resumes bit for bit, it stops when it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from ppo_fakes import SMALL, FakeCrowd, FakeWorld, Killed, Recorder, Taste, dying, played, record, run, tiny_policy
from safetensors.torch import load_file
from together import together

from tacit import losses
from tacit.dialogue.players import Players, play_group, precision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.rollout import play
from tacit.dialogue.train import ppo, ppo_update
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.train.ppo_batch import Batch, Targets, build, evaluate_all, frozen_copy, targets
from tacit.dialogue.train.ppo_learner import Learner, leave_alone
from tacit.dialogue.train.segments import segments
from tacit.dialogue.train.sft_divergence import SFTDivergence, divergence
from tacit.run.distributed import is_writer
from tacit.run.files import atomic_write
from tacit.run.folder import Stage
from tacit.text.lm import head_logits
from tacit.text.sharding import Sharding
from tacit.types import Dialogue, Episode, InputError, Turn

DISCOUNTS = losses.Discounts(gamma_turn=0.9, lam_turn=0.8)


def plain_targets(batch: Batch, rewards: torch.Tensor) -> Targets:
    return targets(batch, rewards, 0.0, 0.0, DISCOUNTS)


def test_the_reward_goes_up_and_the_slate_learns_what_users_want(tmp_path: Path) -> None:
    """A bandit: half of the films are wanted. Chance is 0.5 a slate; the policy ends far above."""
    config = replace(SMALL, iterations=10, trajectories=48, minibatch=48, microbatch=48, epochs=4, lr=3e-3)
    run(tmp_path, replace(config, kl_slate_target=5.0, kl_stop=0.2))
    rows = Stage("ppo", tmp_path).log.rows()
    start, end = (np.mean([row["reward"] for row in part]) for part in (rows[:2], rows[-2:]))
    assert start < 0.4 and end > 0.8
    assert rows[-1]["recommend_rate"] > 0.85 and rows[-1]["hidden_utility"] == pytest.approx(rows[-1]["reward"])
    assert rows[-1]["kl_slate"] > 0.2 and rows[0]["kl_slate"] == 0.0


def test_the_ratio_is_one_before_the_first_step_and_dropout_is_off(tmp_path: Path) -> None:
    run(tmp_path)
    for row in Stage("ppo", tmp_path).log.rows()[SMALL.value_warmup :]:
        assert row["first_log_ratio"] < 1e-4 and row["rescore_gap"] < 1e-4


class PlainRecorder(Recorder):
    """polars does not survive a fork."""

    def __call__(
        self, path: Path, episodes: list[Episode], kept: list[list[list[float]]], columns: dict[str, list[float]]
    ) -> dict[str, float]:
        told = [[episode.user, [list(step.sample.tokens) for step in episode.steps]] for episode in episodes]
        if is_writer():
            atomic_write(path.with_suffix(".json"), json.dumps(told))
        return {"felt": sum(value for crowd in kept for steps in crowd for value in steps)}


def ppo_in_groups(folder: Path, sharding: Sharding = "never") -> None:
    """Ten conversations in groups of three, and a divergence from SFT: every share of a batch that there is."""
    talk = (Turn("user", "a film please"), Turn("agent", "do you like it?"), Turn("user", "yes I love it"))
    dialogues = [Dialogue(f"d{k}", "u", talk) for k in range(4)]
    config = replace(SMALL, iterations=2, group=3, sft_kl_weight=0.3, sft_batch=3)
    stage = Stage("ppo", folder)
    users = FakeWorld(), Taste(), PlainRecorder()
    run_ppo(tiny_policy(), *users, config, stage, 0, dialogues=dialogues, sharding=sharding)  # type: ignore[arg-type]


@pytest.mark.parametrize("sharding", ["never", "always"])
def test_two_processes_play_and_learn_what_one_does(sharding: Sharding, tmp_path: Path) -> None:
    ppo_in_groups(tmp_path / "one")
    assert together(ppo_in_groups, tmp_path / "two", sharding) == [0, 0]
    stages = [Stage("ppo", tmp_path / name) for name in ("one", "two")]
    for one, two in zip(*(stage.log.rows() for stage in stages), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-5)
    said = [(stage.folder / "rollouts" / "00001.json").read_text() for stage in stages]
    assert said[0] == said[1]
    weights = [load_file(stage.folder / "checkpoints" / "step-00000002" / "tensors.safetensors") for stage in stages]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-4)


def test_a_group_of_conversations_is_the_same_beside_whichever_others(tmp_path: Path) -> None:
    whole = replace(SMALL, trajectories=6, group=3)
    one, other = ppo.groups(whole, 7, 2), ppo.groups(replace(whole, trajectories=4), 7, 2)
    assert [g.size for g in one] == [3, 3] and [g.size for g in other] == [3, 1] and one[0] == other[0]
    assert ppo.groups(replace(whole, group=0), 7, 2)[0].size == 6
    players = Players(tiny_policy().eval(), FakeWorld(), Taste())  # type: ignore[arg-type]
    alone, after = play_group(players, one[1]), [play_group(players, group) for group in one][1]
    assert alone.episodes == after.episodes and alone.finals == after.finals


def test_value_warm_up_moves_the_value_heads_only(tmp_path: Path) -> None:
    before = {name: p.clone() for name, p in tiny_policy().named_parameters()}
    after = dict(run(tmp_path, replace(SMALL, iterations=1)).named_parameters())
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"text_value", "slate_value"}


def test_without_a_rate_for_words_and_decisions_the_slate_alone_is_learnt(tmp_path: Path) -> None:
    """Decision and words are then those of supervised fine-tuning, to the bit: what the slate is worth stands alone."""
    before = {name: p.clone() for name, p in tiny_policy().named_parameters()}
    after = run(tmp_path, replace(SMALL, lr=0.0, decision_lr=0.0))
    moved = {name.split(".")[0] for name, p in after.named_parameters() if not torch.equal(before[name], p)}
    assert moved == {"text_value", "slate_value", "head"}
    assert torch.equal(before["wish.decision"], after.wish.decision), "what a wish does to the decision stays, too"
    row = Stage("ppo", tmp_path).log.rows()[-1]
    assert row["kl_text"] == pytest.approx(0.0, abs=1e-6) and row["kl_slate"] > 0.0


def test_without_passes_of_the_critic_the_mean_return_is_the_baseline(tmp_path: Path) -> None:
    """Value heads begin at zero, so that advantages are returns less their mean over the batch, scaled."""
    policy = run(tmp_path, replace(SMALL, value_epochs=0, value_warmup=0))
    batch = played(policy)
    aims = targets(batch, batch.scores, 0.0, 0.0, losses.Discounts(gamma_turn=1.0, lam_turn=1.0))
    assert not batch.old.values.any() and not batch.old.slate_values.any()
    mask, shown = batch.old.token_mask, batch.old.slate_mask[:, 0]
    returns = torch.cat([aims.token_returns[mask], aims.slate_returns[shown]])
    advantages = torch.cat([aims.token_advantages[mask], aims.slate_advantages[shown]])
    torch.testing.assert_close(advantages, (returns - returns.mean()) / returns.std(correction=0), atol=1e-4, rtol=1e-3)


def test_the_critic_learns_to_explain_returns_and_moves_nothing_else() -> None:
    policy = tiny_policy().eval()
    batch = played(policy, n=40)
    aims = plain_targets(batch, batch.scores)
    learner = Learner.of(policy, replace(SMALL, value_lr=1e-2))
    before = {name: p.clone() for name, p in policy.named_parameters()}
    found = ppo_update.fit_critic(
        learner, batch, aims, replace(SMALL, value_epochs=200), torch.Generator().manual_seed(0)
    )
    assert {name.split(".")[0] for name, p in policy.named_parameters() if not torch.equal(p, before[name])} == {
        "text_value",
        "slate_value",
    }
    again = plain_targets(build_again(batch, policy), batch.scores)
    assert aims.explained_variance == 0.0 and again.explained_variance > 0.5 and found["loss_value"] > 0.0


def build_again(batch: Batch, policy: Policy) -> Batch:
    return replace(batch, old=evaluate_all(policy, batch.contexts, batch.samples, 8))


def test_the_divergence_adds_its_gradient_and_asks_for_dialogues(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sft_kl_weight asks for training dialogues and there are none: set it to 0"):
        run(tmp_path, replace(SMALL, sft_kl_weight=0.5))
    policy, batch = tiny_policy().eval(), played(tiny_policy())
    reference = frozen_copy(policy)
    aims, talk = plain_targets(batch, batch.scores), [d for d in batch.contexts if len(d.turns) > 2]
    assert SFTDivergence(policy, reference, talk, 4).backward(1.0) == pytest.approx(0.0, abs=1e-6)
    nudge(policy)
    config = replace(SMALL, microbatch=100, sft_kl_weight=0.5)
    grads = []
    for beside in (None, SFTDivergence(policy, reference, talk, 4)):
        learner = Learner.of(policy, config)
        stats = ppo_update.gradients(learner, batch, aims, range(len(batch)), config, beside)
        grads.append({name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None})
    policy.zero_grad(set_to_none=True)
    assert SFTDivergence(policy, reference, talk, 4).backward(0.5) == pytest.approx(stats["kl_sft"])
    assert stats["kl_sft"] > 0.0
    for name, parameter in policy.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(grads[1][name], grads[0].get(name, 0.0) + parameter.grad, atol=1e-6, rtol=1e-4)


def nudge(policy: Policy) -> None:
    with torch.no_grad():
        for parameter in policy.lm.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))


@torch.no_grad()
def test_the_divergence_is_that_of_whole_distributions_one_token_after_another() -> None:
    """The slow twin asks for one state at a time, and adds up p (log p − log q) over the vocabulary."""
    policy = tiny_policy().eval()
    reference = frozen_copy(policy)
    nudge(policy)
    talk = [d for d in played(policy).contexts if len(d.turns) > 2]
    batch = segments(talk[:3], policy, np.random.default_rng(0))
    found, expected = divergence(policy, reference, batch), []
    for segment in batch:
        for place, own in enumerate(segment.targets):
            if own:
                p, q = (
                    head_logits(one.lm, one.trunk([segment.tokens[:place]])[:, -1])[0].double().softmax(-1)
                    for one in (reference, policy)
                )
                expected.append(float((p * (p.log() - q.log())).sum()))
    assert found.tolist() == pytest.approx(expected, abs=1e-5) and min(expected) > 0.0


def test_a_part_is_learnt_at_its_own_rate_and_one_of_0_is_left_alone(tmp_path: Path) -> None:
    policy = tiny_policy()
    config = replace(SMALL, terms_lr=0.0, decision_lr=0.25)
    leave_alone(policy, config)
    learner = Learner.of(policy, config)
    names = {id(p): name for name, p in policy.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in learner.optimizer.param_groups for p in group["params"]}
    assert rates["decision.weight"] == 0.25 and rates["head.item_bias"] == rates["wish.weights"] == SMALL.slate_lr
    assert {rate for name, rate in rates.items() if name.startswith("lm.")} == {SMALL.lr}
    assert {rate for name, rate in rates.items() if "value" in name} == {SMALL.value_lr}
    assert not [name for name in rates if name.split(".")[-1] in ("scale", "near_scale", "repeat_bias")]
    first = dict(tiny_policy().named_parameters())
    last = run(tmp_path, replace(SMALL, lr=0.0, slate_lr=0.0))
    moved = {name for name, p in last.named_parameters() if not torch.equal(p, first[name]) and "value" not in name}
    # no item is associated with another here, none was counted, and what was named is not drawn again
    assert moved == {"head.scale", "decision.weight", "decision.bias", "wish.decision"}


def test_the_reference_shares_what_is_frozen_and_copies_what_trains() -> None:
    policy = tiny_policy()
    policy.encoder.requires_grad_(False)
    reference = frozen_copy(policy)
    assert reference.encoder is policy.encoder and reference.catalog is policy.catalog
    assert reference.head.item_text is policy.head.item_text
    assert reference.head.item_bias is not policy.head.item_bias
    assert reference.lm.get_output_embeddings().weight is reference.lm.get_input_embeddings().weight
    assert not any(p.requires_grad for p in reference.parameters()) and policy.head.item_bias.requires_grad


def test_advantages_of_a_batch_equal_those_of_plain_lists() -> None:
    """The slow twin walks each conversation as a list of (reward, value, ends turn), slate after decision."""
    policy = tiny_policy()
    for head in (policy.text_value, policy.slate_value):
        torch.nn.init.normal_(head[2].weight, generator=torch.Generator().manual_seed(1))
    batch = played(policy)
    expected: list[float] = []
    for c in range(len(batch.bootstrap)):
        steps: list[tuple[float, float, bool]] = []
        for n in (batch.conversation == c).nonzero().flatten().tolist():
            values = [float(v) for v, m in zip(batch.old.values[n], batch.old.token_mask[n], strict=True) if m]
            if batch.samples[n].slate:
                values.insert(1, float(batch.old.slate_values[n]))
            rewards = [0.0] * (len(values) - 1) + [float(batch.scores[n])]
            steps += [(r, v, i == len(values) - 1) for i, (r, v) in enumerate(zip(rewards, values, strict=True))]
        expected += slow(steps, float(batch.bootstrap[c]))
    aims = plain_targets(batch, batch.scores)
    mask = torch.cat([batch.old.token_mask[:, :1], batch.old.slate_mask[:, :1], batch.old.token_mask[:, 1:]], 1)
    found = torch.cat([aims.token_advantages[:, :1], aims.slate_advantages[:, None], aims.token_advantages[:, 1:]], 1)
    expectation = torch.tensor(expected)
    torch.testing.assert_close(found[mask], losses.whiten(expectation, torch.ones_like(expectation, dtype=torch.bool)))
    assert batch.bootstrap.abs().max() > 0


def slow(steps: Sequence[tuple[float, float, bool]], bootstrap: float) -> list[float]:
    advantages, running, following = [], 0.0, bootstrap
    for reward, value, end in reversed(steps):
        gamma, lam = (DISCOUNTS.gamma_turn, DISCOUNTS.lam_turn) if end else (1.0, 1.0)
        running = reward + gamma * following - value + gamma * lam * running
        advantages.append(running)
        following = value
    return advantages[::-1]


def test_only_cut_conversations_bootstrap() -> None:
    policy = tiny_policy()
    policy.text_value[2].bias.data.fill_(3.0)
    users, draws, _ = ppo.generators(0, 0)
    crowd = FakeWorld().start(12, users, "d")
    episodes = play(lambda contexts: policy.act(contexts, draws), crowd, Taste(), 2)
    batch = build(episodes, crowd.dialogues, policy, frozen_copy(policy), 5)
    assert batch.bootstrap.tolist() == [3.0 if episode.ended == "cut" else 0.0 for episode in episodes]
    assert {episode.ended for episode in episodes} == {"accepted", "left", "cut"}


def test_what_the_user_says_changes_no_advantage() -> None:
    """The same turns after longer prompts: other user words, same policy steps."""
    batch = played(tiny_policy())
    longer = [replace(s, prompt_tokens=s.prompt_tokens + s.prompt_tokens) for s in batch.samples]
    padded = replace(batch, samples=longer)
    a, b = plain_targets(batch, batch.scores), plain_targets(padded, batch.scores)
    assert torch.equal(a.token_advantages, b.token_advantages) and torch.equal(a.slate_advantages, b.slate_advantages)


def test_pieces_of_a_minibatch_give_the_gradient_of_the_whole() -> None:
    batch = played(tiny_policy())
    aims = plain_targets(batch, batch.scores)
    found = []
    for size in (3, 100):
        policy = tiny_policy().eval()
        learner = Learner.of(policy, SMALL)
        ppo_update.gradients(learner, batch, aims, range(len(batch)), replace(SMALL, microbatch=size))
        found.append({name: p.grad for name, p in policy.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], atol=1e-6, rtol=1e-4)


def test_a_reply_without_an_end_costs_one() -> None:
    batch = played(tiny_policy())
    assert bool(batch.unfinished.any())
    free, _ = ppo.turn_rewards(batch, losses.Moments(), replace(SMALL, no_eos_penalty=0.0))
    rewards, _ = ppo.turn_rewards(batch, losses.Moments(), SMALL)
    torch.testing.assert_close(rewards, free - batch.unfinished.float())
    rows = batch.unfinished.nonzero().flatten().tolist()  # their tokens are learnt from like any others
    assert torch.equal(ppo_update.reply_mask(batch, rows)[:, 1:], batch.old.token_mask[rows, 1:])


def test_rewards_are_normalised_as_asked() -> None:
    batch = played(tiny_policy())
    free = replace(SMALL, no_eos_penalty=0.0)
    within, _ = ppo.turn_rewards(batch, losses.Moments(), replace(free, reward_norm="conversation"))
    assert all(abs(float(within[batch.conversation == c].sum())) < 1e-4 for c in range(10))
    scaled, moments = ppo.turn_rewards(batch, losses.Moments(), free)
    torch.testing.assert_close(scaled, batch.scores / batch.scores.std(correction=0))
    assert moments.count == len(batch)


def test_epochs_stop_early_when_the_policy_has_moved(tmp_path: Path) -> None:
    run(tmp_path, replace(SMALL, iterations=2, epochs=50, kl_stop=1e-4))
    assert 1 <= Stage("ppo", tmp_path).log.rows()[-1]["steps"] < 50


class Killer(FakeWorld):
    """Dies in the middle of the rollout of one iteration."""

    def __init__(self, at: int) -> None:
        self.at = at

    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> FakeCrowd:
        crowd = super().start(n, generator, ids_prefix)
        if ids_prefix == f"ppo{self.at}-":
            crowd.step = dying(crowd.step, 2)  # type: ignore[method-assign]
        return crowd


@pytest.mark.parametrize("where", ["mid-rollout", "mid-update", "before the checkpoint"])
def test_a_killed_run_continues_bit_for_bit(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole")
    world = Killer(2) if where == "mid-rollout" else FakeWorld()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if where == "mid-update":
            patch.setattr(ppo_update, "objective", dying(ppo_update.objective, 8))
        if where == "before the checkpoint":
            patch.setattr(Learner, "save", dying(Learner.save, 3))
        run_ppo(tiny_policy(), world, Taste(), record, SMALL, Stage("ppo", tmp_path / "cut"), 0)
    resumed = run(tmp_path / "cut")
    for (name, a), (_, b) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    last = "checkpoints/step-00000003"
    for name in ("metrics.jsonl", f"{last}/tensors.safetensors", f"{last}/state.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    frames = [pl.read_parquet(tmp_path / side / "rollouts/00003.parquet") for side in ("whole", "cut")]
    assert frames[0].equals(frames[1])


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    first, again = run(tmp_path), run(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert len(Stage("ppo", tmp_path).log.rows()) == SMALL.iterations and Stage("ppo", tmp_path).done()


class Broken(Taste):
    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        return [(float("nan"), {"wanted": 0.0}) for _ in turns]


def test_a_reward_that_is_not_a_number_stops_the_run_and_leaves_the_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reward of a turn in dialogue ppo0-0 is not finite.*scorer taste"):
        run(tmp_path, scorer=Broken())
    saved = json.loads((tmp_path / "stopped-00001" / "batch.json").read_text())
    assert saved["turns"][0]["score"] == "nan" and saved["turns"][0]["tokens"]
    assert not (tmp_path / "policy").exists()


def test_a_gradient_that_is_not_a_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "clipped_policy_loss", lambda logprob, *rest: logprob.sum() * float("nan"))
    with pytest.raises(InputError, match=r"gradient is not finite.*lower ppo\.lr"):
        run(tmp_path)
    assert "advantages" in load_file(tmp_path / "stopped-00002" / "batch.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"min_entropy": 1e3}, r"collapsed to one.*lower ppo\.lr"),
        ({"kl_limit": 1e-6, "iterations": 4}, "nats from SFT.*kl_text_coef"),
    ],
)
def test_collapse_and_drift_stop_the_run(tmp_path: Path, change: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(tmp_path, replace(SMALL, **change))
    assert list(tmp_path.glob("stopped-*/batch.safetensors"))


def test_an_unknown_normalisation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ppo\.reward_norm must be one of running_std, conversation, not 'batch'"):
        run(tmp_path, replace(SMALL, reward_norm="batch"))


def test_every_rollout_and_metric_of_the_contract_is_written(tmp_path: Path) -> None:
    run(tmp_path)
    row = Stage("ppo", tmp_path).log.rows()[-1]
    promised = {
        *("reward", "channel_wanted", "hidden_utility", "kl_text", "kl_slate", "entropy_text", "entropy_slate"),
        *("clip_text", "clip_slate", "explained_variance", "reply_tokens", "eos_rate", "distinct_2", "popularity"),
        *("recommend_rate", "accept_rate", "turns", "kl_text_coef", "kl_slate_coef", "lr"),
    }
    assert promised <= set(row)
    assert len(list((tmp_path / "rollouts").glob("*.parquet"))) == SMALL.iterations
    columns = set(pl.read_parquet_schema(tmp_path / "rollouts/00003.parquet"))
    assert {"context", "slate", "propensities", "reply", "reward", "kl_text", "kl_slate", "hidden_utility"} <= columns


def test_mixed_precision_sees_every_update() -> None:
    layer, ones = torch.nn.Linear(4, 4, bias=False), torch.ones(1, 4)
    with precision(tiny_policy(), "bfloat16"):
        before = layer(ones)
        with torch.no_grad():
            layer.weight.mul_(2.0)
        assert before.dtype == torch.bfloat16 and torch.equal(layer(ones), 2.0 * before)
