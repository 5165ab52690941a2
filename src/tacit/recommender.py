"""A trained recommender: the policy of a run, people who talk to it, and the reward that it learned from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tacit.catalog import Catalog
from tacit.data.dialogues import logs
from tacit.dialogue.policy.act import READ_TEMPERATURE, Decision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.foretell import Foreteller
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.satisfaction import DialogueSatisfaction, judge_dialogue, judge_turns
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.why import Why, why
from tacit.run.network import quiet_progress_bars
from tacit.types import Dialogue, InputError, Item, ItemId, Slate, Turn

log = logging.getLogger("tacit")

NO_PEOPLE = (
    "this reward was learnt without people's reactions (before they were read, with reward.people.dialogues=0, or from "
    "too few dialogues), so it tells no satisfaction: learn it again with tacit reward in a new run folder."
)


@dataclass(frozen=True, slots=True)
class Reply(Turn):
    """The recommender's turn: ``text`` is the reply, ``slate`` what it shows (None when it only talks).

    ``titles`` are those of the slate, best first, and ``propensities[k]`` is P(slate.items[k] | the conversation,
    slate.items[:k]) under sampling, in (0, 1]. Both are empty without a slate.
    """

    titles: tuple[str, ...] = ()

    @property
    def propensities(self) -> tuple[float, ...]:
        return (self.slate.propensities or ()) if self.slate is not None else ()


@dataclass(frozen=True)
class Recommender:
    """A policy that recommends in conversation. ``load`` makes one from a run folder."""

    policy: Policy

    @property
    def catalog(self) -> Catalog:
        """What can be recommended; ``catalog[item_id].title`` is a title."""
        return self.policy.catalog

    @property
    def version(self) -> str:
        """The stage that trained the policy, and its step."""
        return self.policy.version

    @property
    def speaker(self) -> str:
        """Which model speaks: its stage and step, its base, its size, and the catalogue's."""
        base = self.policy.config.base
        made = "trained from scratch on the dialogues" if base == "small" else f"from {base}"
        size = sum(weight.numel() for weight in self.policy.lm.parameters()) / 1e6
        return f"{self.version}: a language model of {size:.1f} million weights, {made}; {len(self.catalog)} items"

    def start(self, *, seed: int = 0, greedy: bool = False, temperature: float = READ_TEMPERATURE) -> Chat:
        """A new conversation. ``seed`` is of its draws; ``greedy`` always takes the likeliest turn instead.

        ``temperature`` is that of a reply's words; whether to recommend and what is drawn as the policy has it.
        """
        return Chat(self, torch.Generator(self.policy.device).manual_seed(seed), greedy, temperature)

    def next_turn(
        self,
        dialogue: Dialogue,
        *,
        generator: torch.Generator,
        greedy: bool = False,
        recommend: bool = False,
        temperature: float = READ_TEMPERATURE,
    ) -> Reply:
        """What the recommender says next in ``dialogue``, drawn with ``generator``; no call remembers another.

        ``recommend``: it shows items, whether or not the policy would rather talk, but never beside the answer to a
        question about those it showed last, or a goodbye.
        """
        alone = recommend and self.policy.shows_nothing(dialogue)
        decide: Decision | None = "recommend" if recommend and not alone else None
        turn = self.policy.act([dialogue], generator, greedy, decide, temperature)[0].turn()
        titles = tuple(self.catalog[item].title for item in turn.slate.items) if turn.slate is not None else ()
        return Reply(turn.speaker, turn.text, turn.mentions, turn.slate, titles=titles)

    def user_turn(self, text: str) -> Turn:
        """What a user typed, with the catalogue titles in it linked."""
        return Turn("user", text, mentions=self.catalog.named(text))

    def extended(self, items: Iterable[Item]) -> Recommender:
        """The same recommender with those of ``items`` added that its catalogue lacks: recommendable at once."""
        return Recommender(self.policy.extended([item for item in items if item.id not in self.catalog]))


class Chat:
    """One conversation with a recommender. ``dialogue`` is everything said so far."""

    def __init__(
        self,
        recommender: Recommender,
        generator: torch.Generator,
        greedy: bool = False,
        temperature: float = READ_TEMPERATURE,
    ) -> None:
        self.recommender, self.dialogue = recommender, Dialogue("chat", "you", ())
        self._generator, self._greedy, self._temperature = generator, greedy, temperature

    def say(self, text: str, recommend: bool = False) -> Reply:
        """The user says ``text``; the recommender's answer. Titles in the text count as mentioned.

        ``recommend``: items are shown, but for questions about those shown last, and goodbyes.
        """
        self.dialogue = self.dialogue.then(self.recommender.user_turn(text))
        reply = self.recommender.next_turn(
            self.dialogue,
            generator=self._generator,
            greedy=self._greedy,
            recommend=recommend,
            temperature=self._temperature,
        )
        self.dialogue = self.dialogue.then(Turn(reply.speaker, reply.text, reply.mentions, reply.slate))
        return reply

    def wishes(self) -> list[str]:
        """What was understood of what the user asked for: "wants: comedy, 1980–1989", "not: horror", "seen: ..."."""
        policy = self.recommender.policy
        return policy.wish.reader.describe(policy.wishes([self.dialogue])[0])

    def why(self) -> Why | None:
        """Why the items shown last were shown, ``str`` of which is plain words; None before any were."""
        return why(self.recommender.policy, self.dialogue)

    def reset(self) -> None:
        """Forget what was said. The draws go on where they were."""
        self.dialogue = Dialogue("chat", "you", ())


def load(run: str | Path, *, stage: str = "", device: str = "cpu", verify: bool = True) -> Recommender:
    """The recommender that a run has trained: its last finished policy, or that of ``stage`` (sft or ppo).

    ``run`` may also be a policy folder itself, such as RUN/ppo/policy. Raises ``InputError`` where there is none, or
    where a file is not what was saved (its hash differs); ``verify=False`` does not look.
    """
    return Recommender(policy_of(Path(run), stage, verify).to(device))


@dataclass(frozen=True, slots=True)
class TurnScore:
    """The reward of one agent turn: ``turn`` is its place in the dialogue, from 0.

    ``reward`` is what a policy is trained on, centred and scaled on the supervised policy's turns. ``channels`` are its
    parts in their own units (engagement, sentiment and, where a slate was shown, relevance), and ``std``, by how much
    the ensemble disagrees about the reward.

    ``satisfaction`` is a person's, in standard deviations of real turns: the mean of ``observed``, read from the user's
    next words, and ``foretold``, from the turn and what was said before it; the latter alone where no word of the user
    follows that can be read (``observed`` is None). ``reaction`` is what is foretold in parts: ``mood`` so far,
    ``pleased``, and the probability that the turn ``fits`` and that the user will ``accept``, ``refuse``, ``request``
    another or ``end``; all but the mood are None, and ``foretold`` is 0, before the user's first word.
    None and empty where the reward was learnt before reactions were.
    """

    dialogue: str
    turn: int
    reward: float
    channels: Mapping[str, float]
    satisfaction: float | None = None
    observed: float | None = None
    foretold: float | None = None
    reaction: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Reward:
    """A reward that was learned from implicit feedback. ``load_reward`` makes one from a run folder."""

    model: RewardModel
    people: Foreteller | None = None  # None where the reward was learnt before reactions were

    @property
    def catalog(self) -> Catalog:
        """The items that the dialogues may name."""
        return self.model.catalog

    def read(self, file: str | Path) -> Iterator[Dialogue]:
        """Dialogues of a file, one a line (see ``tacit data convert``). A bad line raises ``InputError``; items that
        the catalogue lacks, as those of another shop, are left out, and a warning counts them."""
        unknown: Counter[ItemId] = Counter()
        yield from (dialogue for _, dialogue in logs.read(Path(file), self.catalog, unknown))
        if unknown:
            log.warning(
                "%s names items that the run's catalogue lacks (%d, such as %r; %d mentions): they are left out, and "
                "the words are read without them.",
                file,
                len(unknown),
                next(iter(unknown)),
                unknown.total(),
            )

    def score(self, dialogues: Iterable[Dialogue]) -> list[TurnScore]:
        """Every agent turn of ``dialogues``, in order.

        ``reward`` and ``foretold`` see the turn and what was said before it alone, ``observed`` the user's next words.
        A dialogue of texts alone, without any ``mentions`` or slate, is scored with the titles in them linked.
        """
        return [score for dialogue in dialogues for score in self._turns(_linked(dialogue, self.catalog))]

    def _turns(self, dialogue: Dialogue) -> Sequence[TurnScore]:
        agent = [t for t, turn in enumerate(dialogue.turns) if turn.speaker == "agent"]
        contexts, turns = [dialogue.before(t) for t in agent], [dialogue.turns[t] for t in agent]
        scored = RewardScorer(self.model).score(contexts, turns)
        if self.people is None:
            return [TurnScore(dialogue.id, t, *score) for t, score in zip(agent, scored, strict=True)]
        return [
            TurnScore(dialogue.id, t, *score, felt.satisfaction, felt.observed, felt.foretold, felt.parts)
            for t, score, felt in zip(agent, scored, judge_turns(self.people, dialogue), strict=True)
        ]

    def satisfaction(self, dialogues: Iterable[Dialogue]) -> list[DialogueSatisfaction]:
        """How satisfied the user of each whole dialogue is: a mean of its agent turns in which bad and late moments
        weigh more, so that more turns or words are worth nothing by themselves. Titles are linked as in ``score``.
        ``InputError`` where the reward was learnt before reactions were."""
        if self.people is None:
            raise InputError(NO_PEOPLE)
        linked = (_linked(dialogue, self.catalog) for dialogue in dialogues)
        return [judge_dialogue(dialogue, judge_turns(self.people, dialogue)) for dialogue in linked]


def _linked(dialogue: Dialogue, catalog: Catalog) -> Dialogue:
    """Where nobody said which items the turns name, those whose titles stand in the text; an agent shows what it names,
    as in the ``dialogue-v1`` form."""
    if any(turn.mentions or turn.slate for turn in dialogue.turns):
        return dialogue
    turns = []
    for turn in dialogue.turns:
        named = catalog.named(turn.text)
        slate = Slate(named) if named and turn.speaker == "agent" else None
        turns.append(replace(turn, mentions=named, slate=slate))
    return replace(dialogue, turns=tuple(turns))


def load_reward(run: str | Path, *, device: str = "cpu", verify: bool = True) -> Reward:
    """The reward model of a run, with the sentence encoder as supervised fine-tuning left it.

    Whether it passed its examination stands in RUN/reward/validation.json. Raises ``InputError`` where there is none,
    or where a file is not what was saved; ``verify=False`` does not look.
    """
    folder = Path(run)
    if not (folder / "reward" / "done.json").is_file():
        raise InputError(f"{folder / 'reward' / 'done.json'} does not exist: run `tacit reward {folder}` first.")
    encoder = policy_of(folder, "sft", verify).to(device).encoder
    model = RewardModel.from_pretrained(folder / "reward" / "model", encoder, verify).to(device)
    people = folder / "reward" / "people"
    return Reward(model, Foreteller.from_pretrained(people, model, verify) if people.is_dir() else None)


def policy_of(folder: Path, stage: str = "", verify: bool = True) -> Policy:
    """The policy of ``stage``, or of the last stage that finished; ``folder`` may also be a policy folder itself."""
    quiet_progress_bars()
    if (folder / "policy.json").is_file():
        return Policy.from_pretrained(folder, verify)
    if stage not in ("", "sft", "ppo"):
        raise InputError(f"--stage {stage}: choose sft or ppo.")
    for name in (stage,) if stage else ("ppo", "sft"):
        if (folder / name / "done.json").is_file():
            return Policy.from_pretrained(folder / name / "policy", verify)
    raise InputError(f"{folder} holds no finished {stage or 'sft or ppo'} stage: run `tacit run CONFIG` first.")
