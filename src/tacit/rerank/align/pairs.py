"""From scored texts to preference pairs, their controls, and the question whether they are more than noise.

RLRF4Rec (arXiv 2410.05939) takes the best and the worst of N texts a user. The best of ten noisy numbers looks good by
luck, so ``split_half`` chooses on one half of the user's lists and looks at the other, and ``require_signal`` refuses
pairs that do not survive it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tacit.metrics.intervals import Estimate, bootstrap_means
from tacit.run.files import atomic_write, read_json, read_lines, says_when_damaged
from tacit.types import Group, InputError, Scored

DECIDES = ("ndcg", "map", "fit")  # channels of a ranker's score, the first that differs decides
MIN_LISTS = 5  # a mean over fewer lists is not used


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts for one prompt."""

    user: str
    prompt: str
    chosen: str
    rejected: str
    margin: float  # score of chosen minus that of rejected: NDCG@5, or nats of the likelihood
    lists: int  # that each score is a mean of

    @property
    def lengths(self) -> tuple[int, int]:
        """Words of ``chosen`` and of ``rejected``."""
        return len(self.chosen.split()), len(self.rejected.split())


def best_worst(groups: Sequence[Group], min_lists: int = MIN_LISTS, min_margin: float = 0.0) -> list[Pair]:
    """The best and the worst text of every group, by score, on a tie by NDCG@5, MAP@5, then by the ranker's own loss.

    Dropped are groups whose texts are equal in all of these, groups over fewer than ``min_lists`` lists, and pairs
    whose scores differ by less than ``min_margin``.
    """
    pairs = []
    for group in _usable(groups, min_lists):
        ranked = sorted(group.options, key=_merit)
        lost = [option for option in ranked if _merit(option) < _merit(ranked[-1])]
        if lost and ranked[-1].score - lost[0].score >= min_margin:
            pairs.append(_pair(ranked[-1], lost[0]))
    return pairs


def random_pairs(groups: Sequence[Group], seed: int, min_lists: int = MIN_LISTS) -> list[Pair]:
    """Two different texts of every group that has a pair, drawn without a look at the scores. A control."""
    generator = np.random.default_rng(seed)
    pairs = []
    for group in _usable(groups, min_lists):
        if best_worst([group], min_lists):
            texts = list({option.sample.text: option for option in group.options}.values())
            first, second = (texts[i] for i in generator.permutation(len(texts))[:2])
            pairs.append(_pair(first, second))
    return pairs


def swapped(of: Sequence[Pair]) -> list[Pair]:
    """The same pairs with the worse text preferred. A control that must do harm if the pairs hold a signal."""
    return [replace(p, chosen=p.rejected, rejected=p.chosen, margin=-p.margin) for p in of]


def _usable(groups: Sequence[Group], min_lists: int) -> list[Group]:
    return [group for group in groups if group.options and group.options[0].channels["lists"] >= min_lists]


def _merit(option: Scored) -> tuple[float, ...]:
    return option.score, *(option.channels[name] for name in DECIDES)


def _pair(chosen: Scored, rejected: Scored) -> Pair:
    return Pair(
        user=chosen.context.user,
        prompt=chosen.context.turns[0].text,
        chosen=chosen.sample.text,
        rejected=rejected.sample.text,
        margin=chosen.score - rejected.score,
        lists=int(chosen.channels["lists"]),
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """Does the best text on one half of a user's lists beat the worst on the other half too?

    ``rate`` is how often (a tie is half a time; 0.5 is chance), ``margin`` by how much NDCG@5; 95 % over users.
    ``users`` had a best and a worst text, ``tied`` had none.
    """

    rate: Estimate
    margin: Estimate
    users: int
    tied: int

    def as_json(self) -> dict[str, Any]:
        return {"rate": self.rate.as_json(), "margin": self.margin.as_json(), "users": self.users, "tied": self.tied}


def split_half(groups: Sequence[Group], seed: int, reward: str = "ndcg", min_lists: int = MIN_LISTS) -> Agreement:
    """Best and worst by the reward on the odd lists, compared by NDCG@5 on the even ones, and the other way round."""
    chooses = {half: half if reward == "ndcg" else f"{reward}_{half}" for half in ("odd", "even")}
    return _agreement(groups, [(chooses["odd"], "even"), (chooses["even"], "odd")], seed, min_lists)


def agreement_of(groups: Sequence[Group], channel: str, seed: int, min_lists: int = MIN_LISTS) -> Agreement:
    """Best and worst by ``channel``, compared by NDCG@5 on the user's lists, which it must not have seen."""
    return _agreement(groups, [(channel, "ndcg")], seed, min_lists)


def _agreement(groups: Sequence[Group], ways: Sequence[tuple[str, str]], seed: int, min_lists: int) -> Agreement:
    """``ways`` are (channel that chooses best and worst, channel that compares them)."""
    values, users, tied = [], [], 0
    for group in _usable(groups, min_lists):
        by_way = [_held_out_margin(group, choose, verify) for choose, verify in ways]
        margins = [margin for margin in by_way if margin is not None]
        values += [((np.sign(m) + 1) / 2, m) for m in margins]
        users += [group.options[0].context.user] * len(margins)
        tied += not margins
    table = np.array(values, dtype=np.float64).reshape(-1, 2)
    rate, margin = bootstrap_means(table, users, np.random.default_rng(seed))
    return Agreement(rate, margin, len(set(users)), tied)


def _held_out_margin(group: Group, choose: str, verify: str) -> float | None:
    best = max(group.options, key=lambda option: option.channels[choose])
    worst = min(group.options, key=lambda option: option.channels[choose])
    if best.channels[choose] == worst.channels[choose]:
        return None
    return best.channels[verify] - worst.channels[verify]


def require_signal(agreement: Agreement, force: bool) -> None:
    """Refuse to train on pairs whose agreement cannot be told from chance, unless ``force``."""
    ends = agreement.rate.ends
    if force or (ends is not None and ends[0] > 0.5):
        return
    interval = f"[{ends[0]:.1%}, {ends[1]:.1%}]" if ends else "not told"
    raise InputError(
        f"the pairs are noise: the better of two texts on one half of a user's lists is the better one on the other "
        f"half in {agreement.rate.value:.1%} of the cases (95 % interval {interval}, "
        f"{agreement.users} users; chance is 50 %). Take more samples, more users or a ranker that reads the texts "
        "better, or set align.force=true."
    )


def pair_card(groups: Sequence[Group], of: Sequence[Pair], min_lists: int = MIN_LISTS) -> dict[str, Any]:
    """The mean reward of all texts, counts, margins and lengths of pairs; margins also by the lists behind them."""
    few = len(groups) - len(_usable(groups, min_lists))
    bands = {"0-9": (0, 10), "10-19": (10, 20), "20-49": (20, 50), "50+": (50, math.inf)}
    return {
        "groups": len(groups),
        "reward": _mean([option.score for group in groups for option in group.options]),
        "pairs": len(of),
        "few_lists": few,
        "no_pair": len(groups) - few - len(of),
        "decided_by_score": sum(p.margin != 0 for p in of),
        "margin": _mean([p.margin for p in of]),
        "margin_by_lists": {
            name: _mean([p.margin for p in of if low <= p.lists < high]) for name, (low, high) in bands.items()
        },
        "words_chosen": _mean([p.lengths[0] for p in of]),
        "words_rejected": _mean([p.lengths[1] for p in of]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def export_trl(of: Sequence[Pair], path: Path) -> None:
    """JSON lines with TRL's columns prompt, chosen and rejected (huggingface.co/docs/trl/dataset_formats), and ours."""
    atomic_write(path, "".join(json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in of))


def read_pairs(path: Path) -> list[Pair]:
    """What ``export_trl`` wrote; files of older runs also name ``others``, which nothing reads any more."""
    remedy = f"delete {path.parent} to do the round again."
    rows = list(read_lines(path, remedy))
    with says_when_damaged(path, remedy):
        return [Pair(**{name: value for name, value in row.items() if name != "others"}) for row in rows]


def export_llama_factory(of: Sequence[Pair], folder: Path, name: str = "tacit_pairs") -> None:
    """``NAME.json`` and its entry in ``dataset_info.json``; other entries of an existing one stay.

    Format: https://github.com/hiyouga/LLaMA-Factory/tree/main/data#preference-dataset
    """
    rows = [{"instruction": p.prompt, "input": "", "chosen": p.chosen, "rejected": p.rejected} for p in of]
    atomic_write(folder / f"{name}.json", json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    info = folder / "dataset_info.json"
    entries = read_json(info, "mend it, or export into another folder.") if info.exists() else {}
    columns = {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"}
    entries[name] = {"file_name": f"{name}.json", "ranking": True, "columns": columns}
    atomic_write(info, json.dumps(entries, indent=1) + "\n")
