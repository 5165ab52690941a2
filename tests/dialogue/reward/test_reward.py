"""The reward model and its stage, with an encoder, a policy and users made of a few lines each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from together import together
from torch import Tensor

from tacit.catalog import Catalog
from tacit.data.dialogues.logs import read
from tacit.dialogue.reward import train as reward_train
from tacit.dialogue.reward.cheats import CHEATS, padded
from tacit.dialogue.reward.collect import LogConfig, with_slate
from tacit.dialogue.reward.exam import (
    clicks_auc,
    liked_auc,
    require_valid,
)
from tacit.dialogue.reward.features import CARD_FACTS, SCALARS, Features, preferred_items
from tacit.dialogue.reward.labels import Labeller, observe
from tacit.dialogue.reward.model import RewardModel, RewardModelConfig, length_directions
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.reward.signals import SignalConfig
from tacit.dialogue.reward.statistics import auc_over, centred, fifths, pearson
from tacit.dialogue.reward.train import RewardConfig, masked_regression, run_reward
from tacit.dialogue.reward.verdict import ExamConfig, ValidationReport, verdict
from tacit.metrics.persons import of_dialogues as persons
from tacit.metrics.ranks import auc
from tacit.run.folder import Stage
from tacit.text.sentiment import Vader
from tacit.types import Dialogue, Ended, Feedback, InputError, Item, Judgement, Sample, Slate, Split, Turn

DIM = 16
TITLES = ("Amber", "Basalt", "Cobalt", "Dolomite", "Ebony", "Flint", "Garnet", "Halite", "Iolite", "Jasper")
CATALOG = Catalog(
    [Item(str(i), f"{t} Valley (200{i})", f"{t} {'calm' if i % 2 else 'wild'}") for i, t in enumerate(TITLES)],
    counts=[50, 40, 30, 20, 10, 5, 4, 3, 2, 1],
)


class BagEncoder:
    """A fixed random unit vector a word, averaged."""

    dim = DIM

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, texts: Sequence[str], what: str = "") -> Tensor:
        self.calls += 1
        return torch.stack([self._one(text) for text in texts]) if texts else torch.zeros(0, DIM)

    def read(self, texts: Sequence[str], folder: Path | None, what: str) -> tuple[Tensor, int]:
        return self.encode(texts), 0

    def clear_cache(self) -> None:
        return

    def _one(self, text: str) -> Tensor:
        words = [w.strip(".,!?|:()").lower() for w in text.split()] or [""]
        total = sum((self._word(word) for word in words), torch.zeros(DIM))
        return torch.nn.functional.normalize(total, dim=0)

    @staticmethod
    def _word(word: str) -> Tensor:
        seed = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)
        return torch.randn(DIM, generator=torch.Generator().manual_seed(seed))


def item_vectors() -> Tensor:
    """Wild items (even) point one way, calm items (odd) another."""
    vectors = torch.randn(len(CATALOG), 6, generator=torch.Generator().manual_seed(3)) * 0.2
    vectors[0::2, 0] += 1.0
    vectors[1::2, 1] += 1.0
    return vectors


@dataclass
class FakePolicy:
    catalog: Catalog
    encoder: BagEncoder

    def item_vectors(self) -> Tensor:
        return item_vectors()

    def item_texts(self, folder: Path | None, what: str) -> Tensor:
        return self.encoder.read([item.text for item in self.catalog.items], folder, what)[0]

    def act(self, contexts: Sequence[Dialogue], generator: torch.Generator, **_: Any) -> list[Sample]:
        samples = []
        for context in contexts:
            wild = "wild" in context.turns[0].text
            draw = torch.rand((), generator=generator).item()
            row = int(torch.randint(5, (), generator=generator)) * 2 + (0 if wild == (draw < 0.9) else 1)
            item = CATALOG.items[row]
            samples.append(Sample((), (1,), (True,), (0.0,), f"Try {item.title}.", Slate((item.id,))))
        return samples


class FakeCrowd:
    """Users like wild (even) or calm (odd) items, say so, click, and leave when they are not shown one."""

    def __init__(self, n: int, generator: np.random.Generator, prefix: str) -> None:
        self.rng = generator
        self.wild = generator.random(n) < 0.5
        words = ["I want wild" if wild else "I want calm" for wild in self.wild]
        self.dialogues = [Dialogue(f"{prefix}{i}", f"u{i}", (Turn("user", words[i]),)) for i in range(n)]
        self.active = np.ones(n, dtype=bool)
        self.redrawn = 1
        self.ended: list[Ended | None] = [None] * n

    def step(self, turns: dict[int, Turn]) -> list[Feedback | None]:
        found: list[Feedback | None] = [None] * len(self.dialogues)
        for i, turn in turns.items():
            items = turn.slate.items if turn.slate else ()
            good = any((int(item) % 2 == 0) == self.wild[i] for item in items)
            left = not good and self.rng.random() < 0.5
            dwell = float(np.exp(0.5 * np.log1p(len(turn.text.split())) + good + 0.2 * self.rng.normal()))
            clicked = (items[:1] if good else ()) if items else None
            feedback = Feedback(dwell_s=dwell, clicked=clicked, left=left, accepted=False, device="phone")
            found[i] = feedback
            self.dialogues[i] = self.dialogues[i].then(replace(turn, feedback=feedback))
            if left:
                self.active[i], self.ended[i] = False, "left"
            else:
                reply = "great, I love it" if good else "nope, something else"
                self.dialogues[i] = self.dialogues[i].then(Turn("user", reply))
        return found


class FakeWorld:
    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> FakeCrowd:
        return FakeCrowd(n, generator, ids_prefix)


def model(**settings: Any) -> RewardModel:
    encoder: Any = BagEncoder()
    texts = encoder.encode([item.text for item in CATALOG.items])
    torch.manual_seed(0)
    return RewardModel(CATALOG, encoder, item_vectors(), texts, RewardModelConfig(**settings)).eval()


def context(*texts: str) -> Dialogue:
    speakers = ("user", "agent")
    return Dialogue("d", "u", tuple(Turn(speakers[i % 2], text) for i, text in enumerate(texts)))  # type: ignore[arg-type]


def scalars(m: RewardModel, c: Dialogue, turn: Turn) -> dict[str, float]:
    return dict(zip(SCALARS, m.features([c], [turn]).scalars[0].tolist(), strict=True))


def cards(m: RewardModel, c: Dialogue, turn: Turn) -> list[dict[str, float]]:
    rows = m.features([c], [turn]).cards[0]
    return [dict(zip(CARD_FACTS, row.tolist(), strict=True)) for row in rows if bool(torch.isfinite(row).all())]


# --- inputs -------------------------------------------------------------------------------------------------------


def test_no_input_grows_with_the_reply() -> None:
    """Ten times the same words: the same embedding, and therefore the same features and the same reward."""
    m = model()
    c = context("I want wild films")
    short = Turn("agent", "good film", slate=Slate(("0",)))
    long = replace(short, text=" ".join(["good film"] * 10))
    a, b = m.features([c], [short]), m.features([c], [long])
    for name in ("window", "reply", "scalars", "cards"):
        assert torch.allclose(getattr(a, name), getattr(b, name), atol=1e-6, equal_nan=True), name
    assert m.score([c], [short])[0][0] == pytest.approx(m.score([c], [long])[0][0], abs=1e-5)
    assert not [name for name in SCALARS if "length" in name or "words" in name or "tokens" in name]


def test_naming_more_titles_makes_no_longer_reply() -> None:
    m = model()
    one = m.reader.masked_reply("You may like Amber Valley (2000)!")[0]
    three = m.reader.masked_reply("You may like Amber Valley (2000), Cobalt Valley (2002) and Flint Valley (2005)!")[0]
    assert one == three == "You may like it!"


def test_length_directions_take_the_length_out() -> None:
    generator = torch.Generator().manual_seed(0)
    words = torch.rand(500, generator=generator)
    reply = torch.randn(500, DIM, generator=generator)
    reply[:, 2] += 3 * words
    basis = length_directions(reply, words, 2)
    left = reply - reply @ basis.T @ basis

    def explained(x: Tensor) -> float:
        x = torch.cat([x, torch.ones(500, 1)], dim=1)
        fitted = x @ torch.linalg.lstsq(x, words[:, None]).solution
        return float(1 - ((words[:, None] - fitted) ** 2).sum() / ((words - words.mean()) ** 2).sum())

    assert torch.allclose(basis @ basis.T, torch.eye(2), atol=1e-5)
    assert explained(reply) > 0.3 and explained(left) < 0.03


def test_plain_facts_of_a_turn() -> None:
    m = model()
    c = context("I want wild films", "What else?", "just films")
    plain = scalars(m, c, Turn("agent", "What else?"))
    assert plain["question"] == 1 and plain["has_slate"] == 0 and plain["empty"] == 0
    assert plain["repeat"] == pytest.approx(1.0) and plain["streak"] == pytest.approx(np.log(2))
    assert scalars(m, c, Turn("agent", "just films"))["echo"] == pytest.approx(1.0)
    assert scalars(m, c, Turn("agent", ""))["empty"] == 1
    assert scalars(m, c, Turn("agent", "Try Amber Valley (2000)"))["unlisted"] == 1
    assert scalars(m, c, Turn("agent", "Try Amber Valley (2000)", slate=Slate(("0",))))["unlisted"] == 0
    assert scalars(m, c, Turn("agent", "Try Zinc Forest (1999)"))["unknown"] == 1
    assert scalars(m, c, Turn("agent", "Try Amber Valley (2000)"))["unknown"] == 0
    for title in ('"Zinc Forest"', "„Zinkwald“", "« Forêt de zinc »", "「亜鉛の森」", "（1999）"):
        assert scalars(m, c, Turn("agent", f"Try {title}"))["unknown"] == 1, title
    for words in ('"nice"', "„schön“", "don't, it's", "a (nice) one"):
        assert scalars(m, c, Turn("agent", f"Try {words}"))["unknown"] == 0, words
    opening = Turn("user", "I liked Amber Valley (2000)", mentions=("0",))
    agent = Turn("agent", "Here.", slate=Slate(("1", "2", "3")), feedback=Feedback(clicked=("2",)))
    shown = Dialogue("d", "u", (opening, agent, Turn("user", "more")))
    assert preferred_items(shown) == ("0", "2")  # named and clicked; what was let pass is no taste
    again = scalars(m, shown, Turn("agent", "Here.", slate=Slate(("0", "4"))))
    assert again["overlap"] == 0.5 and again["streak"] == 0 and again["has_taste"] == 1
    near, _ = cards(m, shown, Turn("agent", "Here.", slate=Slate(("0", "4"))))
    assert near["taste"] > 0.8 > near["passed_over"] and near["named"] == 1 and near["passed"] == 0
    (calm,) = cards(m, shown, Turn("agent", "Here.", slate=Slate(("5",))))
    assert calm["taste"] < 0.6 < calm["passed_over"] and calm["named"] == 0
    (let_pass,) = cards(m, shown, Turn("agent", "Here.", slate=Slate(("1",))))
    assert let_pass["passed"] == 1 and let_pass["taste_nearest"] >= let_pass["taste"]


def test_scoring_in_a_batch_equals_scoring_alone() -> None:
    m = model()
    contexts = [context("I want wild films"), context("calm please", "ok", "go on"), context("hello")]
    turns = [Turn("agent", "Here", slate=Slate(("0", "1"))), Turn("agent", "why?"), Turn("agent", "")]
    together = m.score(contexts, turns)
    for c, turn, (reward, channels) in zip(contexts, turns, together, strict=True):
        alone, alone_channels = m.score([c], [turn])[0]
        assert alone == pytest.approx(reward, abs=1e-5)
        assert alone_channels == pytest.approx(channels, abs=1e-5)
    assert "relevance" in together[0][1] and "relevance" not in together[1][1]
    assert m.score([], []) == []


def test_a_batch_costs_a_handful_of_encoder_calls() -> None:
    m = model()
    before = m.reader.encoder.calls  # type: ignore[attr-defined]
    m.score([context("hello")] * 128, [Turn("agent", "Here", slate=Slate(("0",)))] * 128)
    assert m.reader.encoder.calls - before <= 6  # type: ignore[attr-defined]


# --- outputs ------------------------------------------------------------------------------------------------------


def test_reward_by_hand() -> None:
    m = model(members=2, caution=0.5)
    m.weights.copy_(torch.tensor([0.5, 0.25, -0.25]))
    channels = torch.tensor([[[1.0, 2.0, 0.0], [1.0, 9.0, 0.0]], [[3.0, 2.0, 0.0], [1.0, -9.0, 0.0]]])
    reward, std = m.reward(channels, torch.tensor([True, False]))
    # with a slate: members say 0.5 + 0.5 and 1.5 + 0.5 → mean 1.5, std 0.5; without: 0.5 / 0.75, relevance left out
    assert std.tolist() == pytest.approx([0.5, 0.0])
    assert reward.tolist() == pytest.approx([1.5 - 0.25, 0.5 / 0.75])
    m.bias.fill_(1.0)
    m.gain.fill_(2.0)
    assert m.reward(channels, torch.tensor([True, False]))[0].tolist() == pytest.approx([0.125, (2 / 3 - 1) / 2])


def test_masked_regression_by_hand() -> None:
    predicted = torch.tensor([[[1.0, 5.0], [0.0, 2.0]]])
    target = torch.tensor([[0.0, float("nan")], [2.0, 2.0]])
    assert masked_regression(predicted, target, torch.tensor([[1.0, 3.0]])).item() == pytest.approx((1 + 3 * 4) / 4)


def test_save_and_load_score_alike(tmp_path: Path) -> None:
    m = model()
    m.save_pretrained(tmp_path, {"sentiment": "x"})
    again = RewardModel.from_pretrained(tmp_path, m.reader.encoder)
    c, turn = context("I want wild films"), Turn("agent", "Here", slate=Slate(("0", "1")))
    assert again.score([c], [turn]) == m.score([c], [turn])
    assert not [name for name in m.state_dict() if "encoder" in name]
    with pytest.raises(InputError, match="no reward model"):
        RewardModel.from_pretrained(tmp_path / "other", m.reader.encoder)


def test_a_reward_that_is_not_a_number_stops_here() -> None:
    m = model()
    m.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="dialogue d is not a number"):
        RewardScorer(m).score([context("hi")], [Turn("agent", "ho")])


# --- labels -------------------------------------------------------------------------------------------------------


def test_what_a_dialogue_shows() -> None:
    turns = (
        Turn("user", "hello"),
        Turn("agent", "what do you like?"),
        Turn("user", "wild"),
        Turn("agent", "see this", slate=Slate(("0", "1"))),
        Turn("user", "great"),
        Turn("agent", "bye"),
        Turn("user", "thanks"),
        Turn("agent", "this too", slate=Slate(("2",)), feedback=Feedback(left=True, accepted=False)),
    )
    seen = observe(Dialogue("d", "u", turns))
    assert [o.continued for o in seen] == [True, True, True, False]
    assert [o.abandoned for o in seen] == [False, False, False, True]
    assert seen[0].after == ("wild",) and seen[0].before == ("hello",)
    assert seen[1].after == ("great", "thanks")  # up to the next slate
    cut = observe(Dialogue("d", "u", turns[:4]))[-1]
    assert cut.continued is None and cut.abandoned is None  # nobody knows how it went on
    bye = Dialogue("d", "u", (*turns, Turn("user", "bye")))
    assert observe(bye)[-1].continued is False  # a farewell is an answer, but it goes on with nothing
    accepted = replace(turns[7], feedback=Feedback(left=True, accepted=True))
    assert observe(Dialogue("d", "u", (*turns[:7], accepted)))[-1].abandoned is False


def test_a_watched_turn_that_shows_nothing_earns_no_click() -> None:
    encoder: Any = BagEncoder()
    labeller = Labeller(CATALOG, encoder, Vader(), SignalConfig())
    seen = Feedback(left=False, accepted=False, scroll_depth=1.0)
    shown = Turn("agent", "Here.", slate=Slate(("0",)), feedback=replace(seen, clicked=()))
    chat = Turn("agent", "And what else?", feedback=seen)
    observed = [observe(context("hi").then(turn, Turn("user", "ok")))[0] for turn in (shown, chat)]
    engaged = labeller.channels(observed)[:, 0]
    # scroll .1, click .3, continuation .15, not leaving .2; without cards the first two are 0, not missing
    assert engaged == pytest.approx([0.45 / 0.75, 0.35 / 0.75])
    unwatched = observe(context("hi").then(Turn("agent", "And?"), Turn("user", "ok")))[0]
    assert np.isnan(labeller.channels([unwatched])[0, 0])


def test_labels_are_the_same_after_a_round_trip() -> None:
    encoder: Any = BagEncoder()
    dialogues = _sessions(40)
    seen = [o for d in dialogues for o in observe(d)]
    labeller = Labeller(CATALOG, encoder, Vader(), SignalConfig()).fit(seen)
    record = json.loads(json.dumps(labeller.to_json()))
    record["signals"] |= {"weights": "fixed", "outcome": "auto"}  # as earlier versions wrote it
    again = Labeller.from_json(record, CATALOG, encoder, Vader())
    assert np.array_equal(again.channels(seen), labeller.channels(seen), equal_nan=True)
    labels = labeller.labels(labeller.channels(seen))
    assert np.isfinite(labels).all()
    good = np.array([bool(o.feedback.clicked) for o in seen])
    assert labels[good].mean() > labels[~good].mean() + 1


def _sessions(n: int) -> list[Dialogue]:
    rng, tokens = np.random.default_rng(5), torch.Generator().manual_seed(5)
    crowd, policy = FakeCrowd(n, rng, "s-"), FakePolicy(CATALOG, BagEncoder())
    for _ in range(3):
        live = [i for i in range(n) if crowd.active[i]]
        samples = policy.act([crowd.dialogues[i] for i in live], tokens)
        shuffled = rng.permutation(len(CATALOG))
        turns = [s.turn() if rng.random() < 0.5 else _other(s, int(shuffled[k % 10])) for k, s in enumerate(samples)]
        crowd.step(dict(zip(live, turns, strict=True)))
    return crowd.dialogues


def _other(sample: Sample, row: int) -> Turn:
    return with_slate(sample, [CATALOG.items[row].id], CATALOG).turn()


def test_another_slate_brings_its_titles() -> None:
    sample = Sample((), (), (), (), "Try Amber Valley (2000) or Basalt Valley (2001).", Slate(("0", "1")))
    other = with_slate(sample, ["1", "0"], CATALOG)
    assert other.text == "Try Basalt Valley (2001) or Amber Valley (2000)."
    assert other.slate == Slate(("1", "0"))


# --- cheats and the examination -----------------------------------------------------------------------------------


def test_cheats_are_what_they_say() -> None:
    c = [context("I want wild films")] * 3
    shown = {n: cheat(c, CATALOG, np.random.default_rng(0), True) for n, cheat in CHEATS.items()}
    assert all(len(turns) == 3 and all(t.speaker == "agent" for t in turns) for turns in shown.values())
    assert shown["echo"][0].text == "I want wild films" and shown["empty"][0].text == ""
    assert len(shown["over_long"][0].text.split()) > 100
    assert shown["most_popular"][0].slate == Slate(("0",))
    assert all(t.text.endswith("?") and t.slate is None for t in shown["question_loop"])
    assert len(CATALOG.link(shown["title_spam"][0].text)) == 10
    assert CATALOG.link(shown["invented_title"][0].text) == ()
    for name in ("flattery", "question_loop", "invented_title", "over_long"):
        seen = {t.text for k in range(20) for t in CHEATS[name](c, CATALOG, np.random.default_rng(k), False)}
        assert not seen & {t.text for t in shown[name]}, "the examination must use phrases that training never saw"
    turn = Turn("agent", "Here.", slate=Slate(("0",)))
    assert padded(turn, np.random.default_rng(0)).slate == turn.slate


def test_statistics_by_hand() -> None:
    assert auc(np.array([3.0, 2.0, 1.0]), np.array([True, False, False])) == 1.0
    assert auc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert list(fifths(np.array([1.0, 1.0, 1.0, 1.0]))) == [4, 4, 4, 4]
    assert list(centred(np.array([1.0, 3.0, 10.0]), np.array([False, False, True]))) == [-1.0, 1.0, 0.0]


def over(count: int, people: int) -> tuple[list[int], np.random.Generator]:
    """Rows of as many people in turn, and a generator."""
    return [k % people for k in range(count)], np.random.default_rng(3)


def test_pearson_by_hand_and_over_people() -> None:
    line = pearson(np.array([1.0, 2.0, np.nan, 3.0, 4.0]), np.array([2.0, 4.0, 0.0, 6.0, 8.0]), *over(5, 5))
    assert line["r"] == pytest.approx(1.0) and line["n"] == 4 and line["clusters"] == 4
    x, y = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), np.array([1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0])
    loose = pearson(x, y, *over(7, 7))
    r = 1 - 6 * 6 / (7 * 48)  # Spearman's formula: the values are ranks
    assert loose["r"] == pytest.approx(r) and (loose["ci_low"] or 9) < r < (loose["ci_high"] or -9) <= 1
    # Every turn said four times by one person says no more than once: a plain interval would be half as wide.
    again = pearson(np.repeat(x, 4), np.repeat(y, 4), np.repeat(np.arange(7), 4), np.random.default_rng(3))
    assert (again["r"], again["clusters"], again["n"]) == (pytest.approx(r), 7, 28)
    assert (again["ci_low"], again["ci_high"]) == pytest.approx((loose["ci_low"], loose["ci_high"]))
    lone = pearson(x, y, *over(7, 1))
    assert lone["r"] == pytest.approx(r) and lone["ci_low"] is None is lone["ci_high"]
    assert pearson(np.ones(5), np.arange(5.0), *over(5, 5))["r"] is None


@pytest.mark.parametrize("within", [False, True])
def test_auc_over_people_has_the_value_of_all_pairs(within: bool) -> None:
    generator = np.random.default_rng(0)
    scores, positive = generator.integers(0, 9, 60).astype(float), generator.random(60) < 0.4
    strata = generator.integers(0, 3, 60)
    pairs = [(i, j) for i in range(60) for j in range(60) if positive[i] > positive[j]]
    pairs = [(i, j) for i, j in pairs if not within or strata[i] == strata[j]]
    by_hand = sum((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for i, j in pairs) / len(pairs)
    groups, draws = over(60, 12)
    found = auc_over(scores, positive, groups, draws, strata if within else None)
    assert found.value == pytest.approx(by_hand) and (found.n, found.groups) == (len(pairs), 12)
    assert found.low < by_hand < found.high
    # What one person says twice says it once: the same interval.
    twice = auc_over(scores.repeat(2), positive.repeat(2), np.repeat(groups, 2), over(0, 1)[1],
                     strata.repeat(2) if within else None)  # fmt: skip
    assert (twice.low, twice.high) == pytest.approx((found.low, found.high))
    # across strata the score is useless, within each it is right
    apart = np.array([2.0, 1.0, 9.0, 8.0]), np.array([True, False, True, False])
    assert auc_over(*apart, *over(4, 4), np.array([0, 0, 1, 1])).value == 1.0
    assert auc_over(*apart, *over(4, 4)).value == 0.75
    assert auc_over(np.array([1.0, 2.0]), np.array([True, True]), *over(2, 2)).n == 0


def test_liked_auc_scores_the_humans_turn_item_by_item() -> None:
    dialogues = []
    for k in range(60):
        wild = k % 2 == 0
        opening = Turn("user", "I want wild" if wild else "I want calm")
        agent = Turn("agent", "Try these", slate=Slate(("0", "1")))
        judged = {"0": Judgement(liked=wild), "1": Judgement(liked=not wild)}
        dialogues.append(Dialogue(f"r{k}", f"u{k // 4}", (opening, agent), judged))
    got, unit = liked_auc(model(), dialogues, np.random.default_rng(0))
    assert (unit, got["clusters"]) == ("users", 15)
    alone = [replace(dialogue, user="u") for dialogue in dialogues]
    assert liked_auc(model(), alone, np.random.default_rng(0))[1] == "dialogues", "one user for all is a placeholder"
    assert got["n"] == 120 and got["positives"] == 60
    assert got["popularity_auc"] == got["length_auc"] == 0.5
    assert liked_auc(model(), dialogues[:5], np.random.default_rng(0))[0]["auc"] is None


def report(**changes: Any) -> ValidationReport:
    row = {"mean": -1.0, "sft": 0.0, "difference": -1.0, "ci_low": -1.1, "ci_high": -0.9, "share_below": 0.9}
    base = ValidationReport(
        pearson={"engagement": {"r": 0.7, "n": 100.0}},
        liked={"auc": 0.6},
        length={"correlation": 0.4, "within_decision": 0.0, "padding_gain": -0.1},
        cheats={"flattery": row, "echo": row},
    )
    return verdict(replace(base, **changes), ExamConfig())


def test_a_failed_examination_stops_ppo_unless_forced(tmp_path: Path) -> None:
    good = report()
    assert good.passed
    require_valid(good, force=False)
    weak = report(pearson={"engagement": {"r": 0.4, "n": 100.0, "ci_low": 0.22, "ci_high": 0.55}})
    hacked = report(cheats={"echo": {**good.cheats["echo"], "difference": 0.2, "ci_low": 0.1, "ci_high": 0.3}})
    long = report(length={"correlation": 0.5, "within_decision": 0.5, "padding_gain": 0.4})
    assert [len(r.reasons) for r in (weak, hacked, long)] == [1, 1, 2]
    with pytest.raises(InputError, match=r"echo scores 0\.20 above.*reward\.force=true"):
        require_valid(hacked, force=False)
    require_valid(hacked, force=True)
    assert "0.40 [0.22, 0.55]" in weak.reasons[0] and "reward.logs.explore_sessions" in weak.reasons[0]
    assert "reward.logs.cheat_sessions" in hacked.reasons[0] and "reward.model.length_directions" in long.reasons[0]
    hacked.save(tmp_path / "validation.json")
    assert ValidationReport.load(tmp_path / "validation.json") == hacked


def test_engagement_fails_where_its_whole_interval_lies_below_what_is_asked() -> None:
    """.6 is asked for: .59 [.52, .64] is not told from it, .57 [.52, .59] is."""
    for r, low, high, passed in ((0.59, 0.52, 0.64, True), (0.57, 0.52, 0.59, False), (0.61, 0.5, 0.72, True)):
        assert report(pearson={"engagement": {"r": r, "n": 100.0, "ci_low": low, "ci_high": high}}).passed is passed


def test_a_check_on_few_turns_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    """r = .97 on 12 turns says nothing, and neither does r = .1."""
    for r in (0.97, 0.1, None):
        few = report(pearson={"engagement": {"r": r, "n": 12.0, "ci_low": None, "ci_high": None}})
        assert not few.reasons and not few.passed
        assert "not enough turns: 12 of 50" in few.undecided[0] and "reward.logs.sessions" in few.undecided[0]
    with pytest.raises(InputError, match=r"is not validated \(Engagement: not enough turns: 12 of 50"):
        require_valid(few, force=False)
    assert report(pearson={"engagement": {"r": 0.6, "n": 50.0}}).passed
    row = {**report().cheats["echo"], "n": 8.0, "difference": 2.0, "ci_low": 1.0, "ci_high": 3.0}
    assert [s.split(";")[0] for s in report(cheats={"echo": row}).undecided] == ["Cheats: not enough turns: 8 of 50"]
    length = {"correlation": 0.9, "within_decision": 0.9, "padding_gain": 3.0, "n": 49.0}
    assert "Reply length: not enough turns: 49 of 50" in report(length=length).undecided[0]
    logged = report(pearson={"engagement": {"r": 0.9, "n": 3.0}}, held_out="logged turns")
    assert "give more dialogues with feedback" in logged.undecided[0]


def test_a_check_fails_only_where_its_whole_interval_is_on_the_wrong_side() -> None:
    row = {**report().cheats["echo"], "n": 60.0}
    cheat = {"difference": 2.5, "ci_low": -1.4, "ci_high": 6.4}
    assert report(cheats={"echo": row | cheat}).passed
    assert not report(cheats={"echo": row | cheat | {"ci_low": 0.0}}).passed
    length = {"correlation": 0.0, "within_decision": -0.4, "padding_gain": 0.2, "n": 60.0}
    assert report(length=length | {"within_low": -0.6, "within_high": -0.2, "padding_low": 0.0}).passed
    wrong = report(length=length | {"within_low": -0.5, "within_high": -0.31, "padding_low": 0.11})
    assert len(wrong.reasons) == 2
    assert report(liked={"auc": 0.45, "auc_low": 0.35, "auc_high": 0.55}).passed
    assert len(report(liked={"auc": 0.45, "auc_low": 0.42, "auc_high": 0.48}).reasons) == 1


def test_a_check_on_so_few_people_that_no_interval_exists_is_neither_passed_nor_failed() -> None:
    """1,000 turns of three people are three independent cases."""
    row = {**report().cheats["echo"], "n": 1000.0, "clusters": 3.0, "ci_low": None, "ci_high": None}
    few = report(cheats={"echo": row})
    assert not few.passed and not few.reasons and few.undecided[0].startswith("Cheats: 3 independent users")
    ends = dict.fromkeys(("within_low", "within_high", "padding_low", "padding_high"))
    length = {"correlation": 0.9, "within_decision": 0.9, "padding_gain": 3.0, "n": 1000.0, "clusters": 3.0}
    few = report(length=length | ends)
    assert not few.passed and not few.reasons and few.undecided[0].startswith("Reply length: 3 independent")


def test_a_report_of_before_units_were_kept_still_loads(tmp_path: Path) -> None:
    report().save(tmp_path / "validation.json")
    old = json.loads((tmp_path / "validation.json").read_text())
    del old["units"]
    (tmp_path / "validation.json").write_text(json.dumps(old))
    assert ValidationReport.load(tmp_path / "validation.json").units == {}


# --- the stage ----------------------------------------------------------------------------------------------------


def settings() -> RewardConfig:
    logs = LogConfig(sessions=60, explore_sessions=60, popular_sessions=20, cheat_sessions=12, max_turns=3, batch=40)
    return RewardConfig(
        model=RewardModelConfig(project=8, hidden=16), logs=logs, exam=ExamConfig(contexts=60), epochs=12, lr=1e-2
    )


def run(folder: Path, config: RewardConfig | None = None) -> tuple[RewardModel, Stage]:
    stage = Stage("reward", folder)
    folder.mkdir(parents=True, exist_ok=True)
    policy: Any = FakePolicy(CATALOG, BagEncoder())
    world: Any = FakeWorld()
    opening = Turn("user", "I want wild")
    real = tuple(
        Dialogue(f"r{k}", "u", (opening, Turn("agent", "Hello"), Turn("user", "great wild stuff"))) for k in range(20)
    )
    split = Split(real[:15], real[15:])
    trained = run_reward(policy, world, split, config or settings(), SignalConfig(), stage, seed=1)
    return trained, stage


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RewardModel, Stage]:
    return run(tmp_path_factory.mktemp("reward"))


def test_which_items_are_clicked_is_examined_on_other_turns(trained: tuple[RewardModel, Stage]) -> None:
    """These users say what they want, and click it: the words of an item against theirs are enough to tell."""
    turns = [o for dialogue in _sessions(60) for o in observe(dialogue)]
    clicks = clicks_auc(trained[0], turns, persons([o.context for o in turns]), np.random.default_rng(0))
    low, auc, positives = clicks["ci_low"], clicks["auc"], clicks["positives"]
    assert low is not None and auc is not None and positives is not None
    assert positives >= 20 and auc > 0.7 and low > 0.5
    few = clicks_auc(trained[0], turns[:10], persons([o.context for o in turns[:10]]), np.random.default_rng(0))
    assert few["auc"] is None and few["n"] == sum(bool(o.turn.slate) for o in turns[:10])
    saved = json.loads((trained[1].folder / "validation.json").read_text())["clicks"]
    assert saved["auc"] is None and saved["positives"] < 20


def test_two_processes_learn_the_reward_that_one_does(tmp_path: Path) -> None:
    logs = LogConfig(sessions=20, explore_sessions=20, popular_sessions=8, cheat_sessions=4, max_turns=2, batch=12)
    config = replace(settings(), logs=logs, epochs=3)
    one, _ = run(tmp_path / "one", config)
    assert together(run, tmp_path / "two", config) == [0, 0]
    stages = [Stage("reward", tmp_path / name) for name in ("one", "two")]
    for alone, shared in zip(*(stage.log.rows() for stage in stages), strict=True):
        assert shared == pytest.approx(alone, rel=1e-4)
    for path in (stages[0].folder / "logs").iterdir():
        assert (stages[1].folder / "logs" / path.name).read_bytes() == path.read_bytes()
    two = RewardModel.from_pretrained(stages[1].folder / "model", BagEncoder())  # type: ignore[arg-type]
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    assert stages[0].summary().keys() == stages[1].summary().keys()


@pytest.mark.parametrize("passes", [0, 3])
def test_a_poisoned_weight_stops_it_and_what_broke_is_kept(
    passes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before training the weights are kept, and in it the batch."""
    honest, calls = reward_train.fresh_model, iter(range(passes))

    def poisoned(*everything: Any) -> RewardModel:
        model = honest(*everything)
        layer = next(layer for layer in model.members[0].modules() if isinstance(layer, torch.nn.Linear))

        def poison(*_: object) -> None:
            if next(calls, None) is None:
                layer.weight.data[0, 0] = float("nan")

        layer.register_forward_pre_hook(poison)
        if not passes:
            poison()
        return model

    monkeypatch.setattr(reward_train, "fresh_model", poisoned)
    words = "before the first step" if not passes else "is not finite.*lower reward.lr"
    with pytest.raises(InputError, match=rf"reward stopped: .*{words}"):
        run(tmp_path / "reward", replace(settings(), epochs=3))
    assert list((tmp_path / "reward").glob(f"stopped-*/{'batch' if passes else 'weights'}.json"))
    assert not (tmp_path / "reward" / "model").exists()


def test_the_stage_learns_what_users_like(trained: tuple[RewardModel, Stage]) -> None:
    m, stage = trained
    found = ValidationReport.load(stage.folder / "validation.json")
    r = found.pearson["engagement"]["r"]
    assert r is not None and r > 0.6
    assert set(found.cheats) == set(CHEATS)
    assert set(found.units) == {"pearson", "liked", "length", "cheats"} and found.cheats["echo"]["clusters"]
    for name in ("flattery", "echo", "question_loop", "empty", "invented_title"):
        assert found.cheats[name]["difference"] < 0, name
    wild = context("I want wild")
    good, bad = m.score([wild] * 2, [Turn("agent", "Try it.", slate=Slate((i,))) for i in ("2", "3")])
    assert good[0] > bad[0]
    losses = [row["loss"] for row in stage.log.rows()]
    assert losses[-1] < losses[0]


def test_the_saved_model_is_the_trained_one(trained: tuple[RewardModel, Stage]) -> None:
    m, stage = trained
    again, _ = run(stage.folder)  # the stage is done: nothing is played or trained
    c, turn = context("I want wild"), Turn("agent", "Try it.", slate=Slate(("2",)))
    assert again.score([c], [turn]) == m.score([c], [turn])


def test_sft_turns_have_mean_zero_and_spread_one(trained: tuple[RewardModel, Stage]) -> None:
    m, stage = trained
    seen = [o for _, dialogue in read(stage.folder / "logs" / "sft.jsonl", CATALOG) for o in observe(dialogue)]
    scores = np.array([s for s, _ in m.score([o.context for o in seen], [o.turn for o in seen])])
    assert abs(scores.mean()) < 0.15 and 0.8 < scores.std() < 1.2


class Killed(Exception):
    pass


@pytest.mark.parametrize("when", ["logs", "training"])
def test_a_killed_stage_goes_on_to_the_same_weights(
    when: str, trained: tuple[RewardModel, Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tacit.dialogue.reward.collect as log_code
    from tacit.run.resume import Resumable

    place: Any
    place, name, last = (log_code, "play_behaviour", 3) if when == "logs" else (Resumable, "save", 5)
    original, calls = getattr(place, name), []

    def dies(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > last:
            raise Killed
        return original(*args)

    monkeypatch.setattr(place, name, dies)
    with pytest.raises(Killed):
        run(tmp_path)
    monkeypatch.setattr(place, name, original)
    again, stage = run(tmp_path)
    for key, value in trained[0].state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    assert stage.log.rows() == trained[1].log.rows()
    assert (stage.folder / "validation.json").read_text() == (trained[1].folder / "validation.json").read_text()


def logged(n: int, feedback: bool = True) -> tuple[Dialogue, ...]:
    """People who like wild or calm items: the conversations of the fake users as a product would have logged them."""
    dialogues = (replace(dialogue, id=f"log{k}") for k, dialogue in enumerate(_sessions(n)))
    return tuple(dialogues) if feedback else tuple(_without_feedback(dialogue) for dialogue in dialogues)


def _without_feedback(dialogue: Dialogue) -> Dialogue:
    return replace(dialogue, turns=tuple(replace(turn, feedback=None) for turn in dialogue.turns))


def learnt_from(train: tuple[Dialogue, ...], valid: tuple[Dialogue, ...], folder: Path) -> ValidationReport:
    logs = LogConfig(sessions=0, explore_sessions=0, popular_sessions=0, cheat_sessions=0)
    policy: Any = FakePolicy(CATALOG, BagEncoder())
    config = replace(settings(), logs=logs)
    run_reward(policy, None, Split(train, valid), config, SignalConfig(), Stage("reward", folder), seed=1)  # type: ignore[arg-type]
    return ValidationReport.load(folder / "validation.json")


def test_a_reward_is_learnt_from_logs_alone(tmp_path: Path) -> None:
    """Nobody is simulated (there is no world); the examination runs on turns of the validation dialogues."""
    dialogues = logged(150)
    found = learnt_from(dialogues[:90], dialogues[90:], tmp_path)
    turns = sum(len(observe(dialogue)) for dialogue in dialogues[90:])
    assert found.held_out == "logged turns" and found.pearson["engagement"]["n"] == turns
    assert (found.pearson["engagement"]["r"] or 0) > 0.6
    assert not [reason for reason in (*found.reasons, *found.undecided) if reason.startswith("Engagement")]
    done = Stage("reward", tmp_path).summary()
    assert done["held_out"] == "logged turns" and done["redrawn_lines"] == 0


def test_logs_without_feedback_leave_engagement_open_and_logs_without_anything_are_refused(tmp_path: Path) -> None:
    dialogues = logged(60, feedback=False)
    found = learnt_from(dialogues[:40], dialogues[40:], tmp_path / "plain")
    assert not found.passed and "Engagement: not enough turns: 0 of 50" in found.undecided[0]
    mute = tuple(Dialogue(f"m{k}", "u", (Turn("user", "hi"), Turn("agent", "hello"))) for k in range(4))
    with pytest.raises(InputError, match=r"none of the 3 agent turns .*reward\.logs\.sessions"):
        learnt_from(mute[:3], mute[3:], tmp_path / "mute")
    with pytest.raises(InputError, match="at least one validation dialogue"):
        learnt_from(dialogues[:40], (), tmp_path / "alone")


def test_lines_drawn_again_are_counted_over_all_behaviours(trained: tuple[RewardModel, Stage]) -> None:
    """One a crowd: the sessions of sft and explore need two batches each, the others one."""
    assert trained[1].summary()["redrawn_lines"] == 2 + 2 + 1 + len(CHEATS)


def test_features_concatenate_in_order() -> None:
    m = model()
    c = context("hello")
    parts = [m.features([c], [Turn("agent", text)]) for text in ("one", "two")]
    both = Features.concatenate(parts)
    assert len(both) == 2 and torch.equal(both.reply[1], parts[1].reply[0])
