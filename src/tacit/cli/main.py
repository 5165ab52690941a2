"""``tacit <verb> ...``: the command line. Bad input ends with one sentence on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tacit.cli.stopping import raise_on_signals, tell
from tacit.run.files import says_when_full
from tacit.run.memory import says_when_memory_ends
from tacit.run.network import start_quiet
from tacit.run.terminal import PlainFormatter, printable
from tacit.run.version import VERSION
from tacit.types import InputError

# What a command needs is imported when it runs: `tacit --help` must not wait for torch.

BAD_INPUT = 2
NOT_RESUMED = ("chat", "score", "doctor", "inspect", "results", "data")  # commands that begin again


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            with says_when_full("the output"), says_when_memory_ends():
                return super().invoke(ctx)
        except InputError as error:
            print(f"tacit: {printable(error)}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt as stop:
            raise typer.Exit(tell(stop, goes_on=ctx.invoked_subcommand not in NOT_RESUMED)) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
    help="""Align a language model that recommends with what its users do.

Start with `tacit demo`. Then bring data: `tacit run configs/redial.yaml data.path=DIR`.
A command that is killed goes on where it stopped when it is given again.""",
)
data_app = typer.Typer(no_args_is_help=True, help="Check, convert and get dialogue data.")
rerank_app = typer.Typer(
    no_args_is_help=True,
    help="""Teach a language model which preferences to write, by what a reranker makes of them.

`tacit run configs/rlrf4rec/ml100k.yaml data.path=DIR` does every stage; these commands do one each.""",
)
inspect_app = typer.Typer(no_args_is_help=True, help="Look inside a run.")
app.add_typer(data_app, name="data")
app.add_typer(rerank_app, name="rerank")
app.add_typer(inspect_app, name="inspect")

Config = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A YAML file such as configs/redial.yaml, or a run folder.")
]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Refuse a model whose files are not those that were saved.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as seed=1 ppo.lr=5e-6 policy.base=gpt2."),
]


AllowImport = Annotated[
    bool, typer.Option("--allow-import", help="signals.sentiment may name package.module:function, which runs it.")
]


def _version(asked: bool) -> None:
    if asked:
        print(f"tacit {VERSION}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    start_quiet()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("tacit").setLevel(logging.INFO)


@app.command()
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
        _rerank(config, overrides, None)
    else:
        _stages(config, overrides, None, allow_import=allow_import)


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
RERANK_STAGES = {
    "prepare": """Build the lists, and write their card with its bounds on validation users.""",
    "knowledge": """Train the small writer (unless one is given), and write a text about every user. Needs prepare.""",
    "train": """Train the rerankers without texts, with the first texts, and with the controls. Needs knowledge.""",
    "align": """Rounds of sampling, scoring, pairs and DPO (or PPO), each with new texts and rerankers. Needs train.

Refuses pairs that are noise; `align.force=true` trains on them all the same.""",
    "evaluate": """Measure every reranker on the test users' lists beside the bounds; write the report. Needs align.""",
}


def _conversation_stage(name: str) -> Callable[..., None]:
    def command(config: Config, overrides: Overrides = None, allow_import: AllowImport = False) -> None:
        _stages(config, overrides, name, allow_import=allow_import)

    return command


def _rerank_stage(name: str) -> Callable[..., None]:
    def command(config: Config, overrides: Overrides = None) -> None:
        _rerank(config, overrides, name)

    return command


for _name, _help in STAGES.items():
    app.command(_name, help=_help)(_conversation_stage(_name))


@app.command()
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
        _rerank(config, overrides, "report", title)


@app.command()
def results(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders whose evaluation is done.")],
) -> None:
    """Print the tables of one or more runs as Markdown: mean and deviation over seeds, or a single run's intervals.

    Example: `tacit results runs/redial-seed0 runs/redial-seed1 runs/redial-seed2 > tables.md`
    """
    from tacit.metrics.markdown import markdown
    from tacit.metrics.results import combine

    print(printable(markdown(combine(runs)), layout="\n"), end="")


@app.command()
def demo(overrides: Overrides = None, allow_import: AllowImport = False) -> None:
    """The whole loop in minutes on a made-up world: two CPU cores, no downloads. Result: runs/demo-seed0/report.html"""
    _stages(str(Path(__file__).with_name("demo.yaml")), overrides, None, allow_import=allow_import)


@app.command()
def doctor(
    configs: Annotated[list[Path] | None, typer.Argument(metavar="CONFIG...", help="Default: those shipped.")] = None,
) -> None:
    """Say what this machine has, what each config needs, and what to do about what is missing. Asks no network.

    Example: `tacit doctor configs/redial.yaml`
    """
    from tacit.cli.doctor import doctor as examine

    examine(configs or [])


@app.command()
def chat(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a policy folder in one.")],
    stage: Annotated[str, typer.Option(help="Which policy: ppo or sft. Default: the last that is there.")] = "",
    seed: Annotated[int, typer.Option(help="Of the policy's draws.")] = 0,
    greedy: Annotated[bool, typer.Option(help="Always the likeliest turn, no sampling.")] = False,
    items: Annotated[Path | None, typer.Option(help="Items file: those not in the catalogue are added to it.")] = None,
    verify: Verify = True,
) -> None:
    """Talk to a trained policy in the terminal. An empty line or Ctrl-D ends. Example: `tacit chat runs/demo-seed0`"""
    from tacit.cli.chat import chat as talk

    talk(run_folder, stage, seed, greedy, items, verify)


@app.command()
def score(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose reward stage is done.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Dialogues, one a line (see `tacit data convert`).")],
    verify: Verify = True,
) -> None:
    """Print the reward and its channels of every agent turn of FILE, one JSON object a line.

    Example: `tacit score runs/redial-seed0 dialogues.jsonl > scores.jsonl`
    """
    from tacit.cli.score import score as score_file

    score_file(run_folder, file, verify)


@rerank_app.command("protocol")
def rerank_protocol(
    config: Config,
    overrides: Overrides = None,
    every_order: Annotated[bool, typer.Option(help="The bounds under every sort rule that the data allow.")] = False,
) -> None:
    """Print the card of the lists, and random, popularity, label rate, seen bit, exposure oracle and oracle on them.

    Example: `tacit rerank protocol configs/rlrf4rec/ml1m.yaml data.path=DIR`
    """
    from tacit.cli.rerank import protocol

    protocol(config, overrides or [], every_order)


for _name, _help in RERANK_STAGES.items():
    rerank_app.command(_name, help=_help)(_rerank_stage(_name))


@rerank_app.command("pool")
def rerank_pool(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Finished runs of one protocol.")],
) -> None:
    """Print the tables of several runs as one, such as those of two writer seeds, and where their noise comes from.

    Example: `tacit rerank pool runs/ml1m-seed0 runs/ml1m-seed1`
    """
    from tacit.cli.rerank_runs import pool

    pool(runs)


@rerank_app.command("compare")
def rerank_compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN OTHER...", help="Finished runs of one protocol; RUN,RUN with a comma are pooled."),
    ],
) -> None:
    """Print in which settings runs differ from the first, and by how much their lines do, paired on the test lists.

    Example: `tacit rerank compare runs/ml1m-seed0 runs/random-pairs`

    Two writer seeds each: `tacit rerank compare runs/seed0,runs/seed1 runs/random0,runs/random1`
    """
    from tacit.cli.rerank_runs import compare

    compare(runs)


@rerank_app.command("fork")
def rerank_fork(
    source: Annotated[Path, typer.Argument(metavar="RUN", help="A run whose rerankers are trained.")],
    folder: Annotated[Path, typer.Argument(metavar="NEW", help="The folder of its copy.")],
    overrides: Overrides = None,
) -> None:
    """Copy a run up to its rerankers, to align the same writer in another way; no writer is trained again.

    Settings of align and evaluate may change, and rankers and controls may be left out: `rankers=[dlcm] controls=[]`.

    Example: `tacit rerank fork runs/seed0 runs/random align.pairs=random`, then `tacit run runs/random`
    """
    from tacit.cli.rerank_runs import fork

    fork(source, folder, overrides or [])


@inspect_app.command("mask")
def mask(
    config: Config,
    overrides: Overrides = None,
    dialogue: Annotated[str, typer.Option(help="Id of a training dialogue. Default: the first with a slate.")] = "",
) -> None:
    """Show one dialogue token by token, with the weight of each in the SFT and PPO losses.

    Example: `tacit inspect mask runs/demo-seed0`
    """
    from tacit.cli.mask import show

    show(config, overrides or [], dialogue)


@data_app.command("check")
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Dialogues, one JSON object a line, or their folder.")],
    items: Annotated[Path | None, typer.Option(help="Items file. Default: items.jsonl beside the dialogues.")] = None,
) -> None:
    """Report every bad line with its number and reason, and what a run can observe. Exit code 1 when a line is bad.

    Examples:

        tacit data check logs.jsonl --items items.jsonl

        tacit data check own/
    """
    from tacit.cli.data import check_data

    if check_data(path, items):
        raise typer.Exit(1)


@data_app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="redial, opendialkg or openai.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The data set's folder; for openai a JSON-lines file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for items.jsonl, train.jsonl, test.jsonl.")],
    items: Annotated[Path | None, typer.Option(help="Items file; openai only, where it is required.")] = None,
) -> None:
    """Write dialogues in Tacit's own form, from another one.

    Examples:

        tacit data convert redial ~/data/redial own/

        tacit data convert openai chats.jsonl own/ --items items.jsonl
    """
    from tacit.cli.data import convert_data

    print(convert_data(source, path, out, items))


@data_app.command("get")
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="redial, opendialkg, ml-1m or ml-100k.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go.")],
    local: Annotated[Path | None, typer.Option("--from", help="A copy to take instead of downloading.")] = None,
) -> None:
    """Download a public data set, saying every address first; an interrupted download goes on.

    Example: `tacit data get redial ~/data/redial`
    """
    from tacit.data.dialogues.get import get as get_data

    for path in get_data(name, folder, local, say=lambda line: print(f"tacit: {printable(line)}", file=sys.stderr)):
        print(path)


def _stages(
    config: str,
    overrides: list[str] | None,
    only: str | None,
    beside: Sequence[Path] = (),
    title: str = "",
    allow_import: bool = False,
) -> None:
    from tacit.pipelines.dialogue import load_config, run_pipeline
    from tacit.text.sentiment_names import imports_allowed

    with imports_allowed(allow_import):
        finished = run_pipeline(load_config(config, overrides or []), only, beside, title)
    print(finished.folder / "report.html" if (finished.folder / "report.html").exists() else finished.folder)


def _rerank(config: str, overrides: list[str] | None, only: str | None, title: str = "") -> None:
    from tacit.pipelines.rerank import load_config, run_rerank

    finished = run_rerank(load_config(config, overrides or []), only, title)
    print(finished.folder / "report.html" if (finished.folder / "report.html").exists() else finished.folder)


def main() -> None:
    raise_on_signals()
    app()


if __name__ == "__main__":
    main()
