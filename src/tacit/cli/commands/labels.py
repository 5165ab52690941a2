"""``tacit labels ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup


class _MakeByDefault(TyperGroup):
    """`tacit labels STORE` is `tacit labels make STORE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeByDefault,
    no_args_is_help=True,
    help="""What was worth how much to whom: labels from the log.

Example: `tacit labels log.sqlite --out labels/`""",
)


@app.command("make")
def make(
    source: Annotated[str, typer.Argument(metavar="STORE|EXPORT", help="The log, or the folder of its export.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to change, such as window_s=3600.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Its labels are made anew, whole.")] = Path("labels"),
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="What was known then alone counts. Default: now.")
    ] = None,
    constants: Annotated[
        Path | None, typer.Option(metavar="LABELS", help="Use what was fitted for these labels, and fit nothing.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Items: also reads words, for sentiment and relevance.")
    ] = None,
    engine: Annotated[
        Literal["polars", "duckdb", "ray"], typer.Option(help="What reads the log. All make the same bytes.")
    ] = "polars",
) -> None:
    """Make the labels of a log: a row for every item shown, and for every turn. The same input makes the same bytes.

    Examples:

        tacit labels log.sqlite --out labels/

        tacit labels export/ --out labels/ --as-of 2026-01-31T00:00:00Z sessions_per_account=2
    """
    from tacit.cli.labels import make_labels

    make_labels(source, out, overrides or [], as_of, constants, engine, items)


@app.command("export")
def export(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="A folder that `tacit labels` made.")],
    store: Annotated[str, typer.Option(metavar="STORE", help="The log that they were made of: it has the words.")],
    form: Annotated[Literal["trl-kto", "trl-dpo", "verl"], typer.Option(help="Whose data form.")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="JSON lines for TRL, Parquet for verl.")],
) -> None:
    """Write turns with their rewards in the data form of a trainer elsewhere.

    Examples:

        tacit labels export labels/ --store log.sqlite --form trl-kto --to kto.jsonl

        tacit labels export labels/ --store log.sqlite --form verl --to train.parquet
    """
    from tacit.cli.labels import export_form

    export_form(labels, store, form, to)
