"""What a grade adds to learning from outcomes, on validation: `tacit outcomes` with other grades, beside its control.

    python benchmarks/outcome_grades.py OUT RUN[,RUN...] GRADES ...      # as seen=-0.5,named=0; "" = the defaults

Each RUN has a finished sft stage (another seed each), and is read once for all GRADES. Every learner of LEARNT is
trained from its policy with each, the control too. The table: learner − control, then − the same learner with the first
GRADES; a case's value is its mean over the runs, intervals by seeker. OUT keeps what is done. The test is not opened.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tacit.data.dialogues.folds import folds
from tacit.data.dialogues.sources import load_training
from tacit.dialogue.evaluate.outcomes import MEASURES, outcome_values
from tacit.dialogue.players import precision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.outcomes.learn import CONTROL, learn
from tacit.dialogue.train.outcomes.recalibration import ItemOdds, Read, Recalibration
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.dialogue.users.replay import Grades, replayed
from tacit.metrics.intervals import bootstrap_mean
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.pipelines.outcomes.stages import Judge
from tacit.run.stages import load_settings
from tacit.text.sentiment import load_sentiment

LEARNT = (("importance", 3.0), ("set_dpo", 1.0), ("group_credit", 10.0))
SEEKERS = "seekers"
Values = dict[str, np.ndarray]  # measure, or who asked → [cases]


def grades_of(said: str) -> Grades:
    """``seen=-0.5,named=0`` → the grades with these in place of the defaults."""
    pairs = (part.split("=") for part in said.split(",") if part)
    return replace(Grades(), **{name: float(value) for name, value in pairs})


def trials(run: Path, every: Sequence[str], out: Path) -> Iterator[tuple[str, Values]]:
    """(name, values) of the control and of each learner with each of the grades."""
    config = load_settings(OutcomesRunConfig, run, [])
    names = [(CONTROL, 0.0, every[0]), *((*learner, said) for said in every for learner in LEARNT)]
    paths = [out / f"{run.name} {learner} {weight:g} {said or 'plain'}.npz" for learner, weight, said in names]
    if not all(path.is_file() for path in paths):
        catalog, split = load_training(config.data)
        a, b = folds(split.train, config.first_fold, config.seed)
        policy = Policy.from_pretrained(run / "sft" / "policy")
        odds = ItemOdds.counted(a, policy.catalog)
        with precision(policy, config.dtype):
            judge = Judge(policy, split.valid)
            read = Read.of(policy, [user.context for user in replayed(b, catalog, Grades())])
        seekers = np.array([case.context.user for case in judge.cases])
        for path, (learner, weight, said) in zip(paths, names, strict=True):
            if path.is_file():
                continue
            outcomes = Outcomes.of(replayed(b, catalog, grades_of(said), load_sentiment("vader")))
            weights = Recalibration(policy.head, odds)
            told = learn(weights, read, outcomes, learner, weight, config.learn, config.seed)
            np.savez(path, **{SEEKERS: seekers}, **outcome_values(judge.cases, judge.ranks(weights)))
            print(path.stem, {name: round(value, 3) for name, value in told.items()}, file=sys.stderr, flush=True)
    for path in paths:
        kept = np.load(path)
        yield path.stem.removeprefix(run.name).strip(), {name: kept[name] for name in (*MEASURES, SEEKERS)}


def main(out: Path, runs: Sequence[Path], every: Sequence[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    found = dict[str, list[Values]]()
    for run in runs:
        for name, values in trials(run, every, out):
            found.setdefault(name, []).append(values)
    seekers = next(iter(found.values()))[0][SEEKERS]
    mean = {name: {m: np.mean([v[m] for v in of], axis=0) for m in MEASURES} for name, of in found.items()}
    control = next(name for name in mean if name.startswith(CONTROL))
    print(f"| {len(runs)} seeds | " + " | ".join(MEASURES) + " |\n|---" + "|---" * len(MEASURES) + "|")
    for k, said in enumerate(every):
        for learner, weight in LEARNT:
            first, one = (f"{learner} {weight:g} {grades or 'plain'}" for grades in (every[0], said))
            for title, against in ((f"{one} − control", control), (f"{one} − {every[0] or 'plain'}", first)):
                if against == control or k:
                    print(f"| {title} | " + " | ".join(_gain(mean[one], mean[against], seekers)) + " |")


def _gain(values: Values, against: Values, seekers: np.ndarray) -> Iterator[str]:
    for measure in MEASURES:
        gain = values[measure] - against[measure]
        kept = np.isfinite(gain)
        told = bootstrap_mean(gain[kept], seekers[kept], np.random.default_rng(11))
        yield f"{told.value:+.4f} [{told.low:+.4f}, {told.high:+.4f}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2].split(",")], sys.argv[3:])
