"""``tacit score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Verify


def score(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose reward stage is done.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dialogues, one a line (see `tacit data convert`).")],
    whole: Annotated[
        bool, typer.Option("--dialogues", help="One line a dialogue, the user's satisfaction with all of it.")
    ] = False,
    verify: Verify = True,
) -> None:
    """Print the reward and the user's satisfaction of every agent turn of FILE, one JSON object a line.

    `reward` and its channels are what a policy is trained on. For agreement with people read `satisfaction`, in
    standard deviations of real turns. Its two parts are printed beside it: `observed`, read from the user's own next
    words (null where none follow that can be read), and `foretold`, from the turn and the words before it: the user's
    mood, whether the turn answers what was asked (`fits`), and how pleased the user will be. With both it is their
    mean. `--dialogues` prints the same of each whole conversation: a mean of its turns in which bad and late moments
    weigh more. Neither more turns nor more words raise it by themselves. Before the user's first word nothing is
    foretold: 0, and `fits` and the rest are null. A dialogue without any `mentions` or `slate` is read by the
    catalogue's titles in its texts; items that the run's catalogue lacks are left out, and counted in a warning. The
    users' words are read as English: in another language `observed` is null or hardly a reading, and only `fits` and
    repeated requests speak.

    Examples: `tacit score runs/redial-seed0 dialogues.jsonl > turns.jsonl`, and with `--dialogues > whole.jsonl`
    """
    from tacit.cli.score import score as score_file

    score_file(run_folder, file, whole, verify)
