"""``tacit <verb> ...``: the command line. Bad input ends with one sentence on stderr and exit code 2."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tacit.cli.commands import (
    baseline,
    chat,
    data,
    doctor,
    events,
    inspect,
    labels,
    learn,
    loop,
    ope,
    outcomes,
    pipelines,
    referee,
    rerank,
    results,
    score,
    serve,
    transfer,
    users,
    versions,
    wishes,
)
from tacit.cli.stopping import raise_on_signals, tell
from tacit.run.files import says_when_full
from tacit.run.memory import says_when_memory_ends
from tacit.run.network import start_quiet
from tacit.run.terminal import PlainFormatter, printable
from tacit.run.version import VERSION
from tacit.types import InputError, InputErrors

# commands/ holds the words of each command; what it needs is imported when it runs, since `tacit --help` must not wait
# for torch. The order here is the order in the help.

BAD_INPUT = 2
NOT_RESUMED = (
    "chat",
    "score",
    "wishes",
    "doctor",
    "inspect",
    "results",
    "referee",
    "baseline",
    "transfer",
    "data",
    "events",
    "labels",
    "users",
    "serve",
    "gate",
    "promote",
    "rollback",
    "versions",
    "ope",
)  # commands that begin again

TOGETHER = ("run", "demo", *pipelines.STAGES, "report")  # commands that torchrun may start in several processes


class _Group(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if "WORLD_SIZE" in os.environ and name not in TOGETHER:
            from tacit.run.distributed import refuse_many

            refuse_many(f"`tacit {name}`")
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            with says_when_full("the output"), says_when_memory_ends():
                return super().invoke(ctx)
        except InputError as error:
            if not _heard():
                raise typer.Exit(BAD_INPUT) from None
            for sentence in error.sentences if isinstance(error, InputErrors) else (error,):
                print(f"tacit: {printable(sentence)}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt as stop:
            if not _heard():
                raise typer.Exit(BAD_INPUT) from None
            raise typer.Exit(tell(stop, goes_on=ctx.invoked_subcommand not in NOT_RESUMED)) from None


def _heard() -> bool:
    """Whether this process says why it ends: of several that ``torchrun`` has started the first one does."""
    if "WORLD_SIZE" not in os.environ:
        return True
    from tacit.run.distributed import first_to_tell

    return first_to_tell()


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
    help="""Align a language model that recommends with what its users do.

Start with `tacit demo`. Then bring data: `tacit run configs/redial.yaml data.path=DIR`.
A command that is killed goes on where it stopped when it is given again.""",
)


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


app.command()(pipelines.run)
for _name, _help in pipelines.STAGES.items():
    app.command(_name, help=_help)(pipelines.stage(_name))
for _command in (
    pipelines.report,
    results.results,
    referee.referee,
    baseline.baseline,
    transfer.transfer,
    pipelines.demo,
    doctor.doctor,
    chat.chat,
    serve.serve,
    learn.learn,
    outcomes.outcomes,
    loop.loop,
    versions.gate,
    versions.promote,
    versions.rollback,
    versions.versions,
    score.score,
    wishes.wishes,
    ope.ope,
):
    app.command()(_command)
for _group, _commands in {
    "data": data.app,
    "rerank": rerank.app,
    "inspect": inspect.app,
    "events": events.app,
    "labels": labels.app,
    "users": users.app,
}.items():
    app.add_typer(_commands, name=_group)


def main() -> None:
    raise_on_signals()
    app()


if __name__ == "__main__":
    main()
