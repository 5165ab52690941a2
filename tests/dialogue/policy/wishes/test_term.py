"""From wishes to the policy: features by hand, exclusions and their relaxing, one distribution, old policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from wish_catalogs import films, talk

from tacit.dialogue.evaluate.wish_lists import Facts, make_case
from tacit.dialogue.evaluate.wishes import score_lists
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.wishes.features import FADE, FEATURES, RECEDED, TASTE, excluded, features, unmet
from tacit.dialogue.policy.wishes.state import Wishes, WishReader
from tacit.dialogue.policy.wishes.term import WishTerm
from tacit.text.lm import LMConfig
from tacit.types import Dialogue, InputError, Item

CATALOG = films()
READER = WishReader(CATALOG)


def state(*turns: str | tuple[str, ...]) -> Wishes:
    return READER.read(talk(CATALOG, *turns))


def test_features_by_hand() -> None:
    """Film 1 has all of it, film 0 half of the kinds, film 12 has no attributes."""
    wishes = state("a horror and comedy from the eighties, no Sam Carver")
    found = dict(zip(FEATURES, features(wishes, READER.index), strict=True))
    np.testing.assert_allclose(found["categories"][[0, 1, 2, 3, 12]], [0.5, 1.0, 0.5, 0.0, 0.0])
    np.testing.assert_allclose(found["numbers"][[0, 1, 2, 3, 12]], [1.0, 1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(found["unwanted"][[5, 7, 11, 0, 12]], [1.0, 1.0, 1.0, 0.0, 0.0])
    assert not found["people"].any() and not found["liked"].any()


def test_older_wishes_and_tastes_weigh_less() -> None:
    later = unmet(state("I like westerns", ("Yes?",), "a comedy"), READER.index)
    assert later[4] == pytest.approx(1.0)  # the western lacks the comedy
    assert later[11] == pytest.approx(RECEDED * TASTE * FADE)  # the comedy lacks the western
    assert later[12] == pytest.approx(1.0 + RECEDED * TASTE * FADE)  # what is unknown is not met
    refined = unmet(state("a comedy", ("Yes?",), "hello", ("Yes?",), "from the eighties"), READER.index)
    assert refined[11] == pytest.approx(1.0) and refined[0] == pytest.approx(FADE)  # "hello" ages nothing


def test_with_and_without_gradients_the_features_add_the_same() -> None:
    """Without them in place, and a row at a time."""
    term = WishTerm(CATALOG, 8.0, 3)
    wishes = [state("a horror film"), state("hello"), state("no comedy, something like Deep Orbit (2017)")]
    logits = torch.randn(3, len(CATALOG), generator=torch.Generator().manual_seed(0))
    expected = [[*row] for row in logits.tolist()]
    for row in (0, 2):
        for f, weight in enumerate(term.weights.tolist()):
            for item, value in enumerate(features(wishes[row], READER.index)[f]):
                expected[row][item] += weight * value
    found = term.add_features(logits, wishes)
    torch.testing.assert_close(found, torch.tensor(expected))
    found.sum().backward()
    assert term.weights.grad is not None and bool(term.weights.grad.any())
    with torch.no_grad():
        assert term.add_features(logits, wishes) is logits
    torch.testing.assert_close(logits, torch.tensor(expected))


def test_likeness_counts_common_kinds() -> None:
    like = features(state("something like Deep Orbit (2017)"), READER.index)[FEATURES.index("likeness")]
    np.testing.assert_allclose(like[[10, 5, 7, 3]], [1.0, 0.5, 0.5, 0.0])


def test_exclusions_relax_in_the_stated_order() -> None:
    wishes = state("no horror, I hated Heartline (2016)", SHOWN, "seen it. no comedy")
    out = excluded(wishes, READER.index, 1)
    assert np.flatnonzero(out).tolist() == [0, 1, 2, 4, 6, 9, 11]
    horror_back = excluded(wishes, READER.index, len(CATALOG) - 6)  # refused first
    assert np.flatnonzero(horror_back).tolist() == [1, 2, 4, 6, 9, 11]
    kinds_back = excluded(wishes, READER.index, len(CATALOG) - 2)
    assert np.flatnonzero(kinds_back).tolist() == [4, 9]
    assert set(np.flatnonzero(excluded(wishes, READER.index, len(CATALOG) - 1))) == set(wishes.seen)
    assert not excluded(wishes, READER.index, len(CATALOG)).any()


SHOWN = ("Try this.", "film-4")


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"))


def build(encoder: Path) -> Policy:
    torch.manual_seed(0)
    lm = LMConfig(layers=1, heads=2, width=32, vocabulary=300)
    config = PolicyConfig(encoder=str(encoder), window=4, slate_size=2, lm=lm)
    return Policy.fresh(CATALOG, TALKS, config).eval()


TALKS = [
    talk(CATALOG, "a comedy from the eighties, no horror"),
    talk(CATALOG, "I want a western or a war film", SHOWN, "seen it, another one"),
    talk(CATALOG, "hello there"),
    talk(CATALOG, "directed by Rex Holt", SHOWN, "no, I hate Iron Meridian (1994)"),
]


def test_what_is_drawn_meets_the_wish_and_is_scored_alike(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    for seed in range(5):
        drawn = policy.act(TALKS, torch.Generator().manual_seed(seed), decide="recommend")
        first = [sample.slate.items[0] for sample in drawn if sample.slate]
        assert first[0] == "film-2" and first[1] == "film-8"
        assert set(drawn[3].slate.items) == {"film-7", "film-10"}  # type: ignore[union-attr]
        free = policy.act(TALKS, torch.Generator().manual_seed(seed))
        for samples in (drawn, free):
            again = policy.evaluate(TALKS, samples)
            for row, sample in enumerate(samples):
                assert again.token_logprobs[row, 0].item() == pytest.approx(sample.logprobs[0], abs=1e-4)
                scored = again.slate_logprobs[row, : len(sample.slate_logprobs)].tolist()
                assert scored == pytest.approx(sample.slate_logprobs, abs=1e-4)


def test_lists_are_scored_without_writing_replies(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    facts = Facts(CATALOG)
    rows = [
        {"id": "w0", "turns": ["a western"], "want": [{"genre": ["western"]}]},
        {"id": "w1", "turns": ["something directed by Rex Holt"], "want": [{"director": ["rex holt"]}]},
    ]
    cases = [case for row in rows if (case := make_case(row, facts))]
    scored = score_lists({"list": cases}, {"mine": policy}, CATALOG, 2, seed=0)
    forced = next(row for row in scored if row.decision == "forced")
    assert forced.share.value == 1.0 and {row.decision for row in scored} == {"forced", "free", ""}


def test_a_turn_that_asks_raises_the_odds_of_recommending(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    hidden = torch.zeros(2, policy.lm.config.hidden_size)
    asked, idle = policy.decision_logprobs(hidden, [TALKS[0], TALKS[2]])
    assert (asked[0] - asked[1] - (idle[0] - idle[1])).item() == pytest.approx(policy.wish.decision.item(), abs=1e-5)


def test_ranking_masks_nothing_and_its_weights_learn(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    scores = policy.slate_logits(TALKS)
    assert scores.min() > -1e3
    window, hidden = torch.zeros(4, policy.encoder.dim), torch.zeros(4, policy.lm.config.hidden_size)
    learnt = policy.ranking_scores(window, hidden, TALKS)
    plain = policy.head(window, hidden, policy.mentioned(TALKS))
    wishes = policy.wishes(TALKS)
    by_hand = torch.stack(
        [torch.from_numpy(features(w, policy.wish.reader.index)).T @ policy.wish.weights for w in wishes]
    )
    answered = policy.directed.weight * policy.directed.scores(TALKS)
    torch.testing.assert_close(learnt, plain + answered + by_hand)
    learnt[0, 2].backward()
    assert policy.wish.weights.grad is not None and policy.wish.weights.grad[0] == 1.0


def test_a_policy_of_before_wishes_loads_with_the_weights_at_their_start(encoder_folder: Path, tmp_path: Path) -> None:
    policy = build(encoder_folder)
    policy.save_pretrained(tmp_path)
    file = tmp_path / "policy.safetensors"
    save_file({name: t for name, t in load_file(file).items() if not name.startswith("wish.")}, file)
    again = Policy.from_pretrained(tmp_path, verify=False)
    torch.testing.assert_close(again.wish.weights, policy.wish.weights)
    torch.testing.assert_close(again.slate_logits(TALKS), policy.slate_logits(TALKS))
    save_file({name: t for name, t in load_file(file).items() if name != "head.scale"}, file)
    with pytest.raises(InputError, match="damaged"):
        Policy.from_pretrained(tmp_path, verify=False)


def test_an_extended_policy_keeps_what_it_learnt_of_wishes(encoder_folder: Path) -> None:
    policy = build(encoder_folder)
    with torch.no_grad():
        policy.wish.weights.add_(1.0)
    wider = policy.extended([Item("new", "New One (1983)", "New.", {"genre": ("comedy",)})])
    torch.testing.assert_close(wider.wish.weights, policy.wish.weights)
    dialogue: list[Dialogue] = [TALKS[0]]
    drawn = wider.act(dialogue, torch.Generator(), greedy=True, decide="recommend")[0]
    assert drawn.slate is not None and "new" in drawn.slate.items
