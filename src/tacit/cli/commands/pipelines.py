"""``tacit run``, a command a stage of the conversation pipeline, ``tacit report`` and ``tacit demo``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

import tacit.cli
from tacit.cli.arguments import AllowImport, Config, Overrides
from tacit.types import InputError

STAGES = {
    "sft": """Fine-tune the policy on the training dialogues. Example: `tacit sft configs/redial.yaml data.path=DIR`""",
    "reward": """Learn the reward from implicit feedback, and examine it. Needs sft.

Example: `tacit reward runs/redial-seed0`""",
    "ppo": """Align the policy with the reward by PPO. Needs reward.

Examples:

    tacit ppo runs/redial-seed0

    tacit ppo runs/redial-seed0 reward.force=true     (although the reward failed its examination)""",
    "evaluate": """Measure the policies before and after PPO, and the trivial baselines. Needs ppo.

With other evaluation settings an earlier evaluation is made anew:

    tacit evaluate runs/redial-seed0 evaluate.users=2000""",
}


def run(config: Config, overrides: Overrides = None, allow_import: AllowImport = False) -> None:
    """Do every stage of a config in order; stages that are done are skipped.

    Conversations: prepare, sft, reward, ppo, evaluate, report. Reranking (configs/rlrf4rec): prepare, knowledge, train,
    align, evaluate, report.

    Examples:

        tacit run configs/redial.yaml data.path=~/data/redial

        tacit run configs/redial.yaml data.path=~/data/redial seed=1 policy.base=gpt2-medium

        tacit run configs/rlrf4rec/ml1m.yaml data.path=~/data/ml-1m

        tacit run runs/redial-seed0          (go on with a run)
    """
    from tacit.pipelines.rerank import is_rerank

    if is_rerank(config, overrides or []):
        rerank_stages(config, overrides, None)
    else:
        _stages(config, overrides, None, allow_import=allow_import)


def stage(name: str) -> Callable[..., None]:
    def command(config: Config, overrides: Overrides = None, allow_import: AllowImport = False) -> None:
        _stages(config, overrides, name, allow_import=allow_import)

    return command


def report(
    config: Config,
    overrides: Overrides = None,
    beside: Annotated[list[Path] | None, typer.Option(help="Another run to compare with; may be repeated.")] = None,
    title: Annotated[str, typer.Option(help="The page's title. Default: the name of the run folder.")] = "",
) -> None:
    """Write RUN/report.html, of a run of either kind. Needs evaluate.

    Examples:

        tacit report runs/redial-seed0 --beside runs/redial-seed1 --beside runs/redial-seed2

        tacit report runs/ml1m-seed0 --title "Films, first try"
    """
    from tacit.pipelines.rerank import is_rerank

    if not is_rerank(config, overrides or []):
        _stages(config, overrides, "report", beside or [], title)
    elif beside:
        raise InputError("--beside compares conversation runs; for reranking use `tacit rerank compare RUN OTHER`.")
    else:
        rerank_stages(config, overrides, "report", title)


def demo(overrides: Overrides = None, allow_import: AllowImport = False) -> None:
    """The whole loop in minutes on a made-up world: two CPU cores, no downloads. Result: runs/demo-seed0/report.html

    With a pretrained model, such as `tacit demo policy.base=smollm2 out=runs/demo-smollm2`, sizes are its own, and it
    takes far longer (not timed whole).
    """
    home, given = Path(tacit.cli.__file__).parent, overrides or []
    bases = [word.partition("=")[2] for word in given if word.startswith("policy.base=")]
    sizes = [str(home / "demo-pretrained.yaml")] if bases and bases[-1] != "small" else []
    _stages(str(home / "demo.yaml"), [*sizes, *given], None, allow_import=allow_import)


def _stages(
    config: str,
    overrides: list[str] | None,
    only: str | None,
    beside: Sequence[Path] = (),
    title: str = "",
    allow_import: bool = False,
) -> None:
    from tacit.pipelines.dialogue import load_config, run_pipeline
    from tacit.run.distributed import joined
    from tacit.text.sentiment_names import imports_allowed

    with joined(), imports_allowed(allow_import):
        finished = run_pipeline(load_config(config, overrides or []), only, beside, title)
        print(finished.folder / "report.html" if (finished.folder / "report.html").exists() else finished.folder)


def rerank_stages(config: str, overrides: list[str] | None, only: str | None, title: str = "") -> None:
    from tacit.pipelines.rerank import load_config, run_rerank
    from tacit.run.distributed import refuse_many

    refuse_many("reranking")
    finished = run_rerank(load_config(config, overrides or []), only, title)
    print(finished.folder / "report.html" if (finished.folder / "report.html").exists() else finished.folder)
