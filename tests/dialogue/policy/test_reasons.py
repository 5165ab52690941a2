from __future__ import annotations

import pytest
import tiny
import torch

from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.reasons import PARTS, reasons
from tacit.dialogue.why import Why, why
from tacit.recommender import Recommender
from tacit.text.lm import LMConfig
from tacit.types import Dialogue, Turn

WORLD = synthetic.generate(0)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    encoder = tiny.save_encoder(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    lm = LMConfig(layers=1, heads=2, width=32, vocabulary=600)
    made = Policy.fresh(WORLD.catalog, WORLD.train[:200], PolicyConfig(encoder=str(encoder), lm=lm)).eval()
    with torch.no_grad():
        made.head.item_residual.weight.normal_(std=0.05)
        made.head.from_lm.weight.normal_(std=0.05)
        made.head.repeat_bias.fill_(-2.0)
    return made


def test_the_parts_of_each_item_sum_to_its_logit_above_the_mean(policy: Policy) -> None:
    named = WORLD.catalog.items[3]
    context = Dialogue("d", "u", (Turn("user", f"I liked {named.title}, a western please", (named.id,)),))
    shown = [item.id for item in WORLD.catalog.items[:6]]  # the item named among them
    logits = policy.slate_logits([context])[0]
    for reason in reasons(policy, context, shown):
        assert tuple(reason.parts) == PARTS
        above = float(logits[policy.catalog.index(reason.item)] - logits.mean())
        assert sum(reason.parts.values()) == pytest.approx(above, abs=1e-3)


def test_neighbours_name_where_they_come_from(policy: Policy) -> None:
    pairs = policy.head.near_weights
    slot = int(pairs[:, 0].argmax())
    item = policy.catalog.items[int(policy.head.history[slot])]
    close = policy.catalog.items[int(policy.head.near_items[slot, 0])]
    context = Dialogue("d", "u", (Turn("user", f"{item.title}!", (item.id,)),))
    found = reasons(policy, context, [close.id, item.id])
    assert found[0].near == (item.id,) and found[0].parts["neighbours"] > 0.5 and found[1].near == ()


def test_a_chat_says_why_and_forgets(policy: Policy) -> None:
    chat = Recommender(policy).start(seed=1)
    assert chat.why() is None
    reply = chat.say(f"I liked {WORLD.catalog.items[3].title}", recommend=True)
    assert reply.titles
    told = chat.why()
    assert isinstance(told, Why) and [item.title for item in told.items] == list(reply.titles)
    assert str(told).startswith("understood: liked: ") and WORLD.catalog.items[3].title in str(told)
    assert all(item.facts.startswith(item.title) and item.reasons for item in told.items)
    chat.reset()
    assert chat.why() is None and chat.dialogue.turns == ()


def test_wishes_are_told_with_what_meets_them(policy: Policy) -> None:
    chat = Recommender(policy).start(seed=4)
    chat.say("A western, please, and no horror.", recommend=True)
    told = chat.why()
    assert told is not None and "wants: western" in told.wishes and "not: horror" in told.wishes
    for item in told.items:
        western = "western" in item.facts
        assert any("what you asked for (western)" in reason for reason in item.reasons) == western
        assert any("does not say that it has western" in reason for reason in item.reasons) == (not western)


def test_a_forced_recommendation_is_one_in_every_turn(policy: Policy) -> None:
    chat = Recommender(policy).start(seed=2)
    assert all(chat.say("hello", recommend=True).titles for _ in range(6))


def test_the_last_slate_is_explained_by_what_was_said_before_it(policy: Policy) -> None:
    first, second = WORLD.catalog.items[:2]
    chat = Recommender(policy).start(seed=3)
    chat.say(f"I liked {first.title}", recommend=True)
    explained = chat.why()
    chat.dialogue = chat.dialogue.then(Turn("user", f"{second.title}?", (second.id,)), Turn("agent", "Yes."))
    assert why(policy, chat.dialogue) == explained
