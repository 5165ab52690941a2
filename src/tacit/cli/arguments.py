"""Arguments that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

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
