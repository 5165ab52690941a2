"""What people did and will do: the reader of reactions, wrong turns, what is foretold, and satisfaction."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_talk import GLAD, PLAIN, SORE
from torch import Tensor
from two_systems import conversations

from tacit.catalog import Catalog
from tacit.dialogue.reward.exam_people import examine_people
from tacit.dialogue.reward.foretell import HEADS, INPUTS, Foreteller
from tacit.dialogue.reward.listening import ASKED_AGAIN, Listener, accepted, mood, refused, requested
from tacit.dialogue.reward.mismatches import KINDS, WrongTurns, places
from tacit.dialogue.reward.model import RewardModel, RewardModelConfig
from tacit.dialogue.reward.pairing import Pairer, contrast_loss, learn_pairs
from tacit.dialogue.reward.reacting import PeopleConfig, learn_people, reaction_loss, some, target
from tacit.dialogue.reward.satisfaction import RECENT, judge_dialogue, judge_turns, satisfaction, whole
from tacit.dialogue.reward.statistics import partial_pearson
from tacit.recommender import Reward
from tacit.text.idioms import plain_words, without_declining
from tacit.text.reactions import COMPLAINT_WEIGHT, REACTIONS, ReactionReader, ngrams, reaction_reader
from tacit.types import Dialogue, Floats64, InputError, Item, Slate, Turn

THINGS = ("amber", "basalt", "cobalt", "dolomite", "ebony", "flint", "garnet", "halite", "iolite", "jasper")
CATALOG = Catalog([Item(str(k), f"{t.title()} Valley (2001)", t) for k, t in enumerate(THINGS)], counts=[5] * 10)
DIM = 24


class Words:
    """A fixed random unit vector a word, averaged."""

    dim = DIM

    def encode(self, texts: Sequence[str], what: str = "") -> Tensor:
        return torch.stack([self._one(text) for text in texts]) if texts else torch.zeros(0, DIM)

    def read(self, texts: Sequence[str], folder: Path | None, what: str) -> tuple[Tensor, int]:
        return self.encode(texts), 0

    def clear_cache(self) -> None:
        pass

    def _one(self, text: str) -> Tensor:
        words = text.lower().split() or [""]
        draws = [np.random.default_rng(list(word.encode())).normal(size=DIM) for word in words]
        return torch.nn.functional.normalize(torch.tensor(np.mean(draws, axis=0), dtype=torch.float32), dim=0)


def reward_model() -> RewardModel:
    encoder: Any = Words()
    return RewardModel(CATALOG, encoder, torch.eye(10), encoder.encode(THINGS), RewardModelConfig())


def talks(n: int, first: int = 0) -> list[Dialogue]:
    """The user asks for a thing and the agent shows a film; the one about that thing is accepted, another refused."""
    made = []
    for k in range(first, first + n):
        generator, turns = np.random.default_rng(k), []
        for _ in range(3):
            asked, other = (int(x) for x in generator.permutation(len(THINGS))[:2])
            right = bool(generator.integers(2))
            slate = Slate((str(asked if right else other),))
            turns.append(Turn("user", f"please tell me about {THINGS[asked]}"))
            turns.append(Turn("agent", f"here is some news of {THINGS[asked]} for you", slate.items, slate))
            turns.append(Turn("user", "sounds great, i will watch it, thanks" if right else "no, i do not like that"))
        made.append(Dialogue(f"d{k}", f"u{k % 12}", tuple(turns)))
    return made


# --- the reader ---------------------------------------------------------------------------------------------------


def test_log_odds_are_the_sum_of_the_ngrams_that_occur(tmp_path: Path) -> None:
    assert list(ngrams("No, I won't")) == ["no", "i", "won't", "no i", "i won't", "no i won't"]
    empty = dict.fromkeys(REACTIONS, 0.0)
    record = {
        "intercepts": empty | {"accept": -2.0},
        "ngrams": {name: {} for name in REACTIONS} | {"accept": {"watch it": 1.5, "watch": 0.25, "sure": 4.0}},
        "pleased": {"bias": 0.5, "accept": 2.0},
    }
    (tmp_path / "r.json").write_text(json.dumps(record))
    reader = ReactionReader(tmp_path / "r.json")
    assert reader.read(["I’ll watch it, watch it"])[0].tolist() == [-0.25, 0, 0, 0, 0, 0]
    assert reader.pleased(["watch it"]).tolist() == [pytest.approx(0.5 + 2.0 * -0.25)]
    assert reader.pleased([]).shape == (0,)
    told = reader.pleased(["sure, sure", "watch it, I already told you"])
    assert told[0] == 3.0 and told[1] == pytest.approx(max(-3.0, 0.0 - COMPLAINT_WEIGHT))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Sounds good, I'll check it out", accepted),
        ("Ok great I will watch that one tonight", accepted),
        ("No, I don't like horror movies", refused),
        ("that one was not for me, too slow", refused),
        ("Hi, can you suggest a good movie? I like comedies", requested),
    ],
)
def test_the_shipped_reader_reads_plain_cases(text: str, what: Any) -> None:
    intents = dict(zip((accepted, refused, requested), [f(reaction_reader().read([text])[0]) for f in (
        accepted, refused, requested)], strict=True))  # fmt: skip
    assert [f for f, told in intents.items() if told] == [what]


def test_pleasure_is_ordered_and_does_not_grow_with_words() -> None:
    glad, flat, sore = reaction_reader().pleased(
        ["Great, thank you, I will watch it!", "ok", "No, not that. I hate it."]
    )
    assert glad > 1 > flat > -1 > sore
    longer = reaction_reader().pleased([" ".join(["the film is on a shelf in the room"] * n) for n in (1, 2, 8)])
    assert np.ptp(longer) < 0.2


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("That was not too bad at all", "That good"),
        ("it isn’t bad", "it good"),
        ("no problem, no worries", "all good, all good"),
        ("Can't complain", "good"),
        ("We don't mind the rain", "We like the rain"),
        ("It couldn't be better", "It great"),
        ("I can't wait to go", "I happy to go"),
        ("I can't wait any longer", "I can't wait any longer"),
        ("No, that's everything. Thank you!", "that's everything. Thank you!"),
        ("Nope, thank you, I'm all set", "thank you, I'm all set"),
        ("No, that is all wrong", "No, that is all wrong"),
        ("It is bad, not good", "It is bad, not good"),
        ("\U0001f44d\U0001f3fd", " good "),
        ("\u2764\ufe0f", " love "),
    ],
)
def test_idioms_are_read_by_what_they_mean(said: str, meant: str) -> None:
    assert plain_words(said) == meant


def test_no_to_the_question_for_more_turns_nothing_down() -> None:
    asked = "Your table is booked. Is there anything else I can help you with?"
    assert without_declining("No", asked) == without_declining("nope.", asked) == "that is all"
    assert without_declining("No, thanks. Bye", asked) == "that is all thanks. Bye"
    assert without_declining("No, I said two people", asked) == "No, I said two people"
    assert without_declining("No, thanks", "Shall I book the Avalon?") == "No, thanks"
    assert without_declining("No, thanks", "There is nothing else in town.") == "No, thanks"
    turns = [Turn("user", "a table"), Turn("agent", "Shall I?"), Turn("user", "No thanks")]
    plain, more = Listener(CATALOG), [*turns[:1], Turn("agent", asked), turns[2]]
    assert plain.pleasures(turns)[2] < -1.0 < -0.5 < plain.pleasures(more)[2]


KINDS_OF_WORDS = {  # in several domains; of films the shipped weights speak
    1: (
        "Not bad at all, book it please",
        "I'll take it",
        "That works for me",
        "Yes, go ahead",
        "perfect, that's fine",
        "\U0001f44d thanks",
        "No thanks, that's all. You have been great!",
    ),
    0: ("For two people on Saturday", "Is there one in the north?", "Do you have anything cheaper?", "the red one"),
    -1: (
        "No, that's not what I asked",
        "I told you that before",
        "no, I meant Tuesday",
        "I said north, not south",
        "That makes no sense",
        "that is incorrect",
        "thanks for nothing",
        "Can I speak to a real person?",
        "Never mind, I'll book it myself",
        "I will look elsewhere",
        "you don't understand",
        "are you kidding?",
        "hello???",
        "it still doesn't work",
    ),
}


def test_taking_what_is_offered_is_above_plain_answers_and_complaints_below_them() -> None:
    good, plain, bad = (reaction_reader().pleased(KINDS_OF_WORDS[kind]) for kind in (1, 0, -1))
    assert good.min() > plain.max() and plain.min() > bad.max()


def test_everyday_words_that_no_phrase_was_written_for_are_ordered() -> None:
    glad, plain, sore = (reaction_reader().pleased(words) for words in (GLAD, PLAIN, SORE))

    def auc(above: Floats64, below: Floats64) -> float:
        return float((above[:, None] > below).mean() + (above[:, None] == below).mean() / 2)

    assert auc(glad, plain) >= 0.95 and auc(plain, sore) >= 0.75 and auc(glad, sore) >= 0.98


def test_phrases_are_worth_what_they_are_said_to_be_and_count_once() -> None:
    """On texts of which nothing else is known: the reading is that of no words, and the phrase."""
    reader = reaction_reader()
    nothing = reader.pleased(["xyz"])[0]
    assert reader.pleased(["nevermind", "deal"]).tolist() == [pytest.approx(nothing - 1.0), pytest.approx(nothing + 1)]
    kinds = (
        "ffs",
        "ffs, I give up",
        "never mind, ffs",
        "hello?",
        "sold out",
        "ok, book it",
        "i've read the book it is",
    )
    assert reader._phrases(kinds).tolist() == [-2.0, -2.0, -2.0, -1.0, 0.0, 1.0, 0.0]
    mild = (
        "I meant to see it",
        "like I said",
        "something like that would be perfect",
        "that worked out",
        "if it works",
    )
    assert reader._phrases(mild).tolist() == [0.0] * 5


def test_words_of_which_nothing_is_known_are_no_reaction() -> None:
    assert reaction_reader().says(["你好", "12345", "xyz", "thanks", "nope", "ffs", ""]).tolist() == (
        [False, False, False, True, True, True, False]
    )
    listener, asks = Listener(CATALOG), "ich suche ein zimmer am see"
    talk = [Turn("user", asks), Turn("agent", "Nein"), Turn("user", "xyz"), Turn("agent", "Nein"), Turn("user", asks)]
    read = listener.pleasures(talk)
    assert math.isnan(read[2])
    again = reaction_reader().pleased([asks])[0] - ASKED_AGAIN  # said twice is told in any language
    assert read[4] == pytest.approx(max(-3.0, again))
    assert mood(read[:4]) == read[0]


# --- listening ----------------------------------------------------------------------------------------------------


def test_an_agent_turn_is_judged_by_the_users_next_words_and_mood_forgets_by_half() -> None:
    listener = Listener(CATALOG)
    said = ("hello", "Hi", "great, thanks", "Bye", " ")
    turns = tuple(Turn("agent" if k % 2 else "user", text) for k, text in enumerate(said))
    seen = listener.observed(Dialogue("d", "u", turns))
    assert np.isfinite(seen).tolist() == [False, True, False, False, False]
    assert seen[1] == listener.pleasures(turns)[2] == reaction_reader().pleased(["great, thanks"])[0]
    assert mood(np.array([1.0, math.nan, -1.0])) == pytest.approx((0.5 * 1 - 1) / 1.5)
    assert mood(np.array([math.nan])) == 0.0


def test_asking_the_same_again_is_less_pleased_and_an_opening_is_no_reaction() -> None:
    listener, asks = Listener(CATALOG), "a film about the sea with my brother"
    turns = [Turn("user", "hello"), Turn("agent", "Hi"), Turn("user", asks), Turn("agent", "Look"), Turn("user", asks)]
    first, again = listener.pleasures(turns)[[2, 4]]
    assert again == pytest.approx(max(-3.0, first - ASKED_AGAIN))
    wish, greets = Turn("user", "I am looking for a film"), Turn("agent", "Hi, how can I help?")
    assert listener.pleasures([wish])[0] == listener.pleasures([greets, wish])[1] == 0.0
    offers, no = Turn("agent", "Amber Valley (2001)!", ("0",), Slate(("0",))), Turn("user", "No, I do not like that")
    assert listener.pleasures([offers, no])[1] == reaction_reader().pleased([no.text])[0] < -1
    assert listener.pleasures([Turn("user", "Amber Valley (2001) was terrible")])[0] < 0


def test_users_of_the_good_system_react_better_than_those_of_the_bad_one() -> None:
    """Ten made-up pairs of the same number of turns; the reading alone, no model of what is foretold."""
    listener = Listener(CATALOG)
    won = [
        float(np.nanmean(listener.observed(good)) > np.nanmean(listener.observed(bad)))
        for _, good, bad in conversations()
    ]
    assert len(won) == 10 and np.mean(won) >= 0.9
    assert all(len(good.turns) == len(bad.turns) for _, good, bad in conversations())


# --- wrong turns --------------------------------------------------------------------------------------------------


def test_wrong_turns_are_what_they_are_called() -> None:
    spoken = places(talks(12))
    words = Words()
    wrong = WrongTurns(spoken, lambda text: len(text.split()), lambda text: words._one(text).double().numpy())
    met: set[str] = set()
    for place in spoken:
        made = dict(wrong.of(place, np.random.default_rng(0)))
        met |= set(made)
        agents = [turn.text for turn in place.dialogue.turns if turn.speaker == "agent"]
        for kind in ("mismatched", "misplaced", "off_topic"):
            if kind in made:
                assert len(made[kind].text.split()) == len(place.turn.text.split())
        assert made["echo"].text == place.dialogue.turns[place.t - 1].text and made["echo"].speaker == "agent"
        assert "repeated" not in made or made["repeated"].text in agents[: place.t // 2]
        assert "premature" not in made or made["premature"].text in agents[place.t // 2 + 1 :]
        if "contradicting" in made:
            slate = made["contradicting"].slate
            assert slate and place.turn.slate and made["contradicting"].text == place.turn.text
            assert set(slate.items) <= set(place.context.mentioned()) and slate.items != place.turn.slate.items
    assert met == set(KINDS)


def test_targets_are_what_followed() -> None:
    listener, place = Listener(CATALOG), places(talks(1, 7))[0]
    row = dict(zip(HEADS, target(place, listener), strict=True))
    shown = place.turn.slate is not None
    assert (
        row["fits"] == 1 and row["accept"] == shown and row["refuse"] == (not shown) and (row["pleased"] > 0) == shown
    )
    last = places([Dialogue("x", "u", (Turn("user", "hi"), Turn("agent", "bye")))])[0]
    assert np.isnan(target(last, listener)[1:]).all()


def test_the_loss_by_hand() -> None:
    """One member, two rows: cross-entropy ln 2 at log-odds 0; half a squared error; a row that was not observed."""
    shape = (2, len(HEADS) - 1)
    heads, y, seen = torch.zeros(1, *shape), torch.zeros(shape), torch.ones(shape)
    y[0, 0] = 2.0
    seen[1] = 0.0
    assert float(reaction_loss(heads, y, seen > 0)) == pytest.approx(4 * math.log(2) + 4 / 2, rel=1e-6)


def test_contrast_by_hand_and_turns_of_one_dialogue_are_no_wrong_pair() -> None:
    scores = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    one = math.log(1 + math.exp(1 - 2)) + math.log(1 + math.exp(0 - 3))  # replies to a context
    other = math.log(1 + math.exp(0 - 2)) + math.log(1 + math.exp(1 - 3))  # contexts of a reply
    assert float(contrast_loss(scores, torch.tensor([0, 1]))) == pytest.approx((one + other) / 4, rel=1e-6)
    assert float(contrast_loss(scores, torch.tensor([0, 0]))) == 0.0


def test_pairers_learn_which_reply_belongs_where_and_leave_their_own_fold_out() -> None:
    """Replies are their turns turned by a fixed rotation, which no cosine sees."""
    draw = torch.Generator().manual_seed(3)
    turn = torch.linalg.qr(torch.randn(DIM, DIM, generator=draw))[0]
    last = torch.nn.functional.normalize(torch.randn(400, DIM, generator=draw), dim=1)
    texts, dialogue = (last, torch.zeros_like(last), last @ turn), torch.arange(400) // 4
    pairers = [Pairer(DIM, 16, torch.Generator().manual_seed(k)) for k in range(2)]
    with torch.no_grad():
        first = pairers[0].pairs(*texts)
        assert torch.allclose(first, 2.5 * last @ texts[2].T, atol=1e-6)  # cosines, before anything is learnt
        assert torch.allclose(first.diagonal(), pairers[0](*texts), atol=1e-6)
    learn_pairs(pairers, texts, dialogue, 20, 64, 1e-2, 0.0, 0)
    for k, pairer in enumerate(pairers):
        unseen = dialogue % 2 == k
        scores = pairer.pairs(*(text[unseen] for text in texts))
        won = (scores.diagonal()[:, None] > scores).float().sum(1) / (len(scores) - 1)
        assert float(won.mean()) > 0.9
    changed = (texts[0], texts[1], torch.where((dialogue % 2 == 0)[:, None], -texts[2], texts[2]))
    again = [Pairer(DIM, 16, torch.Generator().manual_seed(k)) for k in range(2)]
    learn_pairs(again, changed, dialogue, 2, 64, 1e-2, 0.0, 0)
    plain = [Pairer(DIM, 16, torch.Generator().manual_seed(k)) for k in range(2)]
    learn_pairs(plain, texts, dialogue, 2, 64, 1e-2, 0.0, 0)
    assert torch.equal(again[0].reply.weight, plain[0].reply.weight)  # which saw none of the changed dialogues
    assert not torch.equal(again[1].reply.weight, plain[1].reply.weight)


def test_a_conversation_is_worth_its_bad_and_late_moments_and_no_more_for_being_long() -> None:
    assert whole([]) is None and whole([0.7]) == pytest.approx(0.7)
    for n in (2, 5, 40):
        assert whole([0.3] * n) == pytest.approx(0.3)
    values = [1.0, -1.0, 0.5]
    weights = np.array([RECENT**2, RECENT, 1.0]) / (RECENT**2 + RECENT + 1.0)
    by_hand = -math.log(sum(w * math.exp(-v) for w, v in zip(weights, values, strict=True)))
    assert whole(values) == pytest.approx(by_hand)
    assert min(values) < by_hand < float(weights @ values)
    assert (whole([1.0, -1.0]) or 0) < (whole([-1.0, 1.0]) or 0) < 0.0


def test_partial_correlation_is_the_textbook_one() -> None:
    a, b, c = np.random.default_rng(0).normal(size=(3, 60))
    a, b = a + c, b + c + 0.5 * a
    r = np.corrcoef([a, b, c])
    by_hand = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    found = partial_pearson(a, b, c[:, None], np.arange(60), np.random.default_rng(1))
    assert found["r"] == pytest.approx(by_hand)


# --- what is foretold, and satisfaction -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learnt() -> tuple[RewardModel, Foreteller]:
    reward = reward_model()
    people = learn_people(reward, talks(60), PeopleConfig(epochs=8, batch=64, lr=1e-2), 0)
    assert people is not None
    return reward, people


def test_it_knows_turns_that_fit_and_who_will_accept_by_unseen_people(learnt: tuple[RewardModel, Foreteller]) -> None:
    reward, people = learnt
    table, unit = examine_people(people, reward, talks(40, 1000), 0)
    assert unit == "users"
    for name, least in {
        "real against mismatched": 0.65,
        "real against repeated": 0.8,
        "accept": 0.8,
        "refuse": 0.8,
    }.items():
        assert (table[name]["auc"] or 0) > least, name
    assert (table["pleased"]["r"] or 0) > 0.5
    assert table["liked, observed"]["auc"] is None  # nobody judged anything


def test_what_was_saved_foretells_the_same_and_other_inputs_are_refused(
    learnt: tuple[RewardModel, Foreteller], tmp_path: Path
) -> None:
    reward, people = learnt
    people.save_pretrained(tmp_path / "people")
    again, one = Foreteller.from_pretrained(tmp_path / "people", reward), talks(1, 5)[0]
    assert judge_turns(again, one) == judge_turns(people, one)
    record = json.loads((tmp_path / "people" / "config.json").read_text())
    (tmp_path / "people" / "config.json").write_text(json.dumps(record | {"inputs": list(INPUTS[1:])}))
    with pytest.raises(InputError, match="run tacit reward in a new run folder"):
        Foreteller.from_pretrained(tmp_path / "people", reward, verify=False)
    with pytest.raises(InputError, match="is not the file that was saved"):
        Foreteller.from_pretrained(tmp_path / "people", reward)


def test_a_turn_without_an_answer_is_foretold_and_one_with_an_answer_is_the_mean(
    learnt: tuple[RewardModel, Foreteller],
) -> None:
    _, people = learnt
    talk = talks(1, 3)[0]
    turns = judge_turns(people, talk)
    assert [turn.turn for turn in turns] == [1, 4, 7]
    for turn in turns:
        assert turn.observed is not None
        assert turn.satisfaction == pytest.approx((turn.observed + turn.foretold) / 2)
        assert turn.satisfaction == pytest.approx(satisfaction(np.array([turn.observed]), np.array([turn.foretold]))[0])
    cut = judge_turns(people, talk.before(8))
    assert cut[-1].observed is None and cut[-1].satisfaction == cut[-1].foretold == pytest.approx(turns[-1].foretold)
    assert cut[0].foretold == pytest.approx(turns[0].foretold, abs=1e-6)  # later words change no forecast
    found = judge_dialogue(talk, turns)
    assert (found.turns, found.answered) == (3, 3)
    assert found.satisfaction == whole([turn.satisfaction for turn in turns])
    silent = Dialogue("s", "u", (Turn("user", "hello"),))
    assert judge_dialogue(silent, judge_turns(people, silent)).satisfaction is None


def test_before_the_users_first_word_nothing_is_foretold(learnt: tuple[RewardModel, Foreteller]) -> None:
    _, people = learnt
    lines = (
        Turn("agent", "Hello, how may I help?"),
        Turn("user", " "),
        Turn("agent", "Hello?"),
        Turn("user", "thanks"),
    )
    turns = judge_turns(people, Dialogue("d", "u", lines))
    assert [(turn.turn, turn.foretold) for turn in turns] == [(0, 0.0), (2, 0.0)]
    assert all(turn.parts == {"mood": 0.0, **dict.fromkeys(HEADS)} for turn in turns)
    assert turns[0].satisfaction == 0.0 and turns[0].observed is None
    assert turns[1].satisfaction == pytest.approx(reaction_reader().sentiment(["thanks"])[0] / 2)


@pytest.mark.parametrize("spoken", ["uauauau", "auuaau", "uaaauua", "aaua", "uaa", "uuauu"])
def test_turns_are_judged_as_if_each_stood_alone(spoken: str, learnt: tuple[RewardModel, Foreteller]) -> None:
    """Moods and reactions are read once a dialogue; here every turn has a dialogue of its own, cut after the answer."""
    _, people = learnt
    words = ("tell me of amber", "Look", "great, thanks", "no, i do not like that", "here is some news", "sounds good")
    turns = tuple(Turn("user" if who == "u" else "agent", words[k % 6]) for k, who in enumerate(spoken))
    for turn in judge_turns(people, Dialogue("d", "u", turns)):
        end = next((k for k in range(turn.turn + 1, len(turns)) if turns[k].speaker == "agent"), len(turns))
        context, listener = Dialogue("d", "u", turns).before(turn.turn), Listener(CATALOG)
        assert turn.parts["mood"] == mood(listener.pleasures(context.merged().turns))
        assert (turn.observed is None) == (end == turn.turn + 1)
        if turn.observed is not None:
            assert turn.observed == listener.pleasures(Dialogue("d", "u", turns[:end]).merged().turns)[-1]


def test_a_long_dialogue_is_read_once(learnt: tuple[RewardModel, Foreteller], monkeypatch: pytest.MonkeyPatch) -> None:
    _, people = learnt
    read: list[int] = []
    pleasures = Listener.pleasures
    monkeypatch.setattr(Listener, "pleasures", lambda self, turns: (read.append(len(turns)), pleasures(self, turns))[1])
    judge_turns(people, Dialogue("d", "u", tuple(Turn("agent" if k % 2 else "user", f"{k}") for k in range(60))))
    assert read == [60]


def test_several_messages_in_a_row_are_answered_once(learnt: tuple[RewardModel, Foreteller]) -> None:
    _, people = learnt
    lines = (
        Turn("user", "hi"),
        Turn("agent", "Hello"),
        Turn("agent", "Look"),
        Turn("user", "great"),
        Turn("user", "thanks"),
    )
    first, second = judge_turns(people, Dialogue("d", "u", lines))
    assert first.observed is None
    assert second.observed == pytest.approx(reaction_reader().pleased(["great thanks"])[0])


def test_people_from_too_few_turns_are_not_learnt_and_satisfaction_says_so() -> None:
    reward = reward_model()
    assert learn_people(reward, talks(3), PeopleConfig(), 0) is None
    judge = Reward(reward)
    assert judge.score(talks(1))[0].satisfaction is None
    with pytest.raises(InputError, match="learn it again with tacit reward"):
        judge.satisfaction(talks(1))


def test_a_reward_of_people_gives_each_turn_its_satisfaction(learnt: tuple[RewardModel, Foreteller]) -> None:
    judge = Reward(*learnt)
    scores = judge.score(talks(1, 3))
    assert all(score.satisfaction is not None and set(score.reaction) == {"mood", *HEADS} for score in scores)
    (found,) = judge.satisfaction(talks(1, 3))
    assert found.satisfaction == whole([score.satisfaction for score in scores if score.satisfaction is not None])


def test_a_dialogue_of_texts_alone_is_scored_by_the_titles_in_them(learnt: tuple[RewardModel, Foreteller]) -> None:
    judge = Reward(*learnt)
    said = ("I liked Amber Valley (2001)", "Then see Cobalt Valley (2001)", "thanks")
    named = (("0",), ("2",), ())
    bare, full = [], []
    for text, speaker, items in zip(said, ("user", "agent", "user"), named, strict=True):
        bare.append(Turn(speaker, text))  # type: ignore[arg-type]
        full.append(Turn(speaker, text, items, Slate(items) if speaker == "agent" else None))  # type: ignore[arg-type]
    assert judge.score([Dialogue("d", "u", tuple(bare))]) == judge.score([Dialogue("d", "u", tuple(full))])
    part = Dialogue("d", "u", (full[0], bare[1], bare[2]))  # somebody did say what is named: nothing
    assert judge.score([part])[0].foretold != judge.score([Dialogue("d", "u", tuple(full))])[0].foretold


def test_items_of_another_shop_are_left_out_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    judge, file = Reward(reward_model()), tmp_path / "d.jsonl"
    turns = [{"speaker": "user", "text": "a room"}, {"speaker": "agent", "text": "The Avalon", "mentions": ["hotel-1"]}]
    file.write_text(json.dumps({"id": "d", "user": "u", "turns": turns}) + "\n")
    (read,) = judge.read(file)
    assert read == Dialogue("d", "u", (Turn("user", "a room"), Turn("agent", "The Avalon")))
    assert "lacks (1, such as 'hotel-1'; 1 mentions): they are left out" in caplog.text


def test_cheats_are_foretold_less_of_than_real_turns(learnt: tuple[RewardModel, Foreteller]) -> None:
    reward, people = learnt
    table, _ = examine_people(people, reward, talks(40, 1000), 0)
    for name in ("flattery", "echo", "empty", "thanks"):
        assert (table[f"real above {name}"]["auc"] or 0) > 0.6, name


def test_the_same_dialogues_are_taken_every_time() -> None:
    assert [d.id for d in some(talks(9), 4)] == [d.id for d in some(talks(9)[::-1], 4)]
