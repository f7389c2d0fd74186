"""Arguments and options that several verbs of the command line share. Types only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
RunName = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; the newest one if left out.")
]
Work = Annotated[Path | None, typer.Option("--work", metavar="DIR", help="Folder of results.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Overrides a key of the recipe; may repeat."),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
