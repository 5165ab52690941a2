"""Directed counts by hand on four films, beside a slow twin, left out, saved, and over another catalogue."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from ppo_fakes import tiny_policy

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.directed import START, AttributeNames, DirectedCounts, DirectedTerm
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import segments
from tacit.dialogue.train.sft_losses import losses
from tacit.text.lm import LMConfig
from tacit.types import Dialogue, Item, Slate, Turn

LEE = {"director": ("ann lee",)}
CATALOG = Catalog([Item(k, k.upper(), k, LEE if k == "a" else {}) for k in "abcd"])


def user(text: str, *items: str) -> Turn:
    return Turn("user", text, mentions=items)


def shows(*items: str) -> Turn:
    return Turn("agent", "try it", mentions=items, slate=Slate(items))


# After Ann Lee: b in both, c in the second; after a: b; after b: c.
FIRST = Dialogue("1", "u", (user("Anything by Ann Lee?", "a"), shows("b")))
SECOND = Dialogue("2", "v", (user("ann lee!"), shows("b"), user("no, another one"), shows("c")))
COUNTS = DirectedCounts.count(CATALOG, (FIRST, SECOND))


def scores(
    context: Dialogue, without: dict[str, Dialogue] | None = None, counts: DirectedCounts = COUNTS
) -> list[float]:
    return list(np.asarray(counts.scores([context], without).todense())[0].tolist())


def test_counts_and_scores_by_hand() -> None:
    table = {f: COUNTS.counts[row].toarray()[0].tolist() for row, f in enumerate(COUNTS.features)}
    assert table == {"item a": [0, 1, 0, 0], "name ann lee": [0, 2, 1, 0], "item b": [0, 0, 1, 0]}
    lee = Dialogue("x", "w", (user("I like Ann Lee and leeway"),))
    expected = [0.0, math.log(3) / math.log(5), math.log(2) / math.log(5), 0.0]
    assert scores(lee) == pytest.approx(expected)
    both = Dialogue("x", "w", (user("Ann Lee"), user("and a, a", "a")))  # c_a = 1: log 2 / log 3 more for b
    assert scores(both) == pytest.approx([0.0, expected[1] + math.log(2) / math.log(3), expected[2], 0.0])
    assert scores(Dialogue("x", "w", (user("hello", "d"),))) == [0.0] * 4
    assert DirectedCounts.none(CATALOG).scores([both]).nnz == 0


def test_a_dialogue_is_left_out_of_its_own_scores() -> None:
    """Without the second, Ann Lee was answered with b once and nothing followed b."""
    context = SECOND.before(3)
    alone = DirectedCounts.count(CATALOG, (FIRST,))
    assert scores(context, {"2": SECOND}) == pytest.approx([0.0, math.log(2) / math.log(3), 0.0, 0.0])
    assert scores(context, {"2": SECOND}) == pytest.approx(scores(context, counts=alone))
    assert scores(context, {"1": FIRST}) == scores(context)  # another id
    stranger = Dialogue("2", "v", (user("Ann Lee"), *[shows("b")] * 9))  # was never counted: no count falls below 0
    assert scores(context, {"2": stranger}) == pytest.approx([0.0, 0.0, math.log(2) / math.log(2) + 1.0, 0.0])


def test_the_most_frequent_are_kept_and_the_total_of_all() -> None:
    few = DirectedCounts.count(CATALOG, (FIRST, SECOND), keep=1)
    row = few.features.index("name ann lee")
    assert few.counts[row].toarray()[0].tolist() == [0, 2, 0, 0] and few.totals[row] == 3


def slow(catalog: Catalog, dialogues: list[Dialogue], context: Dialogue) -> list[float]:
    """The formula of the module's docstring with dictionaries."""
    names = AttributeNames.of(catalog)

    def features(turns: tuple[Turn, ...]) -> set[tuple[str, str]]:
        items = {("item", i) for t in turns for i in (*t.mentions, *(t.slate.items if t.slate else ()))}
        return items | {("name", name) for t in turns for name in names.find(t.text)}

    counts: Counter[tuple[tuple[str, str], str]] = Counter()
    for dialogue in dialogues:
        for at, turn in enumerate(dialogue.turns):
            if turn.speaker == "agent" and turn.slate:
                counts.update((f, item) for f in features(dialogue.turns[:at]) for item in set(turn.slate.items))
    totals: Counter[tuple[str, str]] = Counter()
    for (feature, _), times in counts.items():
        totals[feature] += times
    named = features(context.turns)
    return [
        sum(math.log(1 + counts[f, item.id]) / math.log(2 + totals[f]) for f in named if totals[f]) for item in catalog
    ]


def test_scores_are_those_of_the_slow_twin() -> None:
    world = synthetic.generate(0)
    dialogues = list(world.train[:30])
    counts = DirectedCounts.count(world.catalog, dialogues)
    contexts = [dialogue.before(3) for dialogue in world.train[25:40]]
    found = np.asarray(counts.scores(contexts).todense())
    assert found.any(axis=1).sum() > 10
    for row, context in enumerate(contexts):
        assert found[row].tolist() == pytest.approx(slow(world.catalog, dialogues, context), abs=1e-5)
    held = {dialogue.id: dialogue for dialogue in dialogues}
    apart = np.asarray(counts.scores(contexts[:5], held).todense())
    for row, context in enumerate(contexts[:5]):
        others = [dialogue for dialogue in dialogues if dialogue.id != context.id]
        assert apart[row].tolist() == pytest.approx(slow(world.catalog, others, context), abs=1e-5)


def test_saved_and_over_another_catalogue(tmp_path: Path) -> None:
    COUNTS.save(tmp_path)
    again = DirectedCounts.load(tmp_path, CATALOG)
    both = Dialogue("x", "w", (user("Ann Lee", "a"),))
    assert again.features == COUNTS.features and scores(both, counts=again) == scores(both)
    assert DirectedCounts.load(tmp_path / "before", CATALOG).features == ()
    there = Catalog([Item(k, k.upper(), k) for k in "ecab"])  # without b's history: another item has its id
    moved = COUNTS.onto(there, np.array([-1, 2, 0, -1]))
    turned = COUNTS.onto(Catalog(CATALOG.items[::-1]), np.arange(4)[::-1].copy())
    assert turned.counts.has_sorted_indices  # in which a dialogue that is left out looks its items up
    assert scores(SECOND.before(3), {"2": SECOND}, turned)[::-1] == scores(SECOND.before(3), {"2": SECOND})
    lee = [math.log(3) / math.log(5), math.log(2) / math.log(5)]
    assert scores(both, counts=moved) == pytest.approx([0.0, lee[1], 0.0, 0.0])
    named = Dialogue("x", "w", (user("b", "b"),))
    assert scores(named)[2] > 0.0 and scores(named, counts=moved) == [0.0] * 4


def test_the_term_adds_its_weight_times_the_score_and_learns_it() -> None:
    term, contexts = DirectedTerm(COUNTS), [SECOND.before(1), Dialogue("x", "w", ())]
    plain = torch.tensor(COUNTS.scores(contexts).toarray())
    start = torch.ones(2, 4)
    logits = term.add_(start.clone() * 1.0, contexts)
    torch.testing.assert_close(logits, start + START * plain)
    torch.testing.assert_close(term.scores(contexts), plain)
    logits[0, 1].backward()
    assert term.weight.grad is not None and float(term.weight.grad) == pytest.approx(float(plain[0, 1]))
    with term.leaving_out({"2": SECOND}):
        assert not torch.equal(term.scores(contexts), plain)
    torch.testing.assert_close(term.scores(contexts), plain)
    empty = DirectedTerm(DirectedCounts.none(CATALOG))
    assert not empty.weight.requires_grad and empty.add_(start, contexts) is start


def test_a_policy_ranks_by_it_keeps_it_and_goes_without_where_it_was_saved_before(tmp_path: Path) -> None:
    world = synthetic.generate(0)
    torch.manual_seed(0)
    encoder = tiny.save_encoder(tmp_path / "encoder", width=16)
    config = PolicyConfig(encoder=str(encoder), lm=LMConfig(layers=1, heads=2, width=32, vocabulary=400))
    policy = Policy.fresh(world.catalog, world.train[:30], config).eval()
    contexts = [dialogue.before(3) for dialogue in world.train[30:36]]
    with torch.no_grad():
        policy.directed.weight.fill_(2.0)
        whole = policy.slate_logits(contexts)
        added = 2.0 * torch.tensor(policy.directed.counts.scores(contexts).toarray())
        policy.directed.weight.fill_(0.0)
        torch.testing.assert_close(whole, policy.slate_logits(contexts) + added, atol=1e-4, rtol=1e-4)
        policy.directed.weight.fill_(2.0)
    policy.save_pretrained(tmp_path / "saved")
    again = Policy.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(again.slate_logits(contexts), whole, atol=1e-5, rtol=1e-5)
    for name in ("directed.json", "directed.safetensors"):
        (tmp_path / "saved" / name).unlink()
    old = Policy.from_pretrained(tmp_path / "saved", verify=False)
    torch.testing.assert_close(old.slate_logits(contexts), whole - added, atol=1e-4, rtol=1e-4)


def test_the_loss_of_training_dialogues_teaches_the_weight_without_their_own_counts() -> None:
    policy = tiny_policy().eval()
    talk = Dialogue("t", "u", (Turn("user", "a film please", ("i0",)), Turn("agent", "try", ("i1",), Slate(("i1",)))))
    policy.directed = DirectedTerm(DirectedCounts.count(policy.catalog, [talk]))
    batch = segments([talk], policy, None)
    for without, learns in (({}, True), ({"t": talk}, False)):
        policy.zero_grad()
        with policy.directed.leaving_out(without):
            losses(policy, batch)[1].backward()
        grad = policy.directed.weight.grad
        assert (grad is not None and float(grad) < -0.1) == learns
