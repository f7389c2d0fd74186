"""The verbs around a folder of results: init begins one, gc tidies it, serve shows it. Part of the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RecipeError
from pipeline.options import Json, Work

app = typer.Typer()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where the documents lie.")] = Path(),
) -> None:
    """Write a recipe to begin with, from the files found in a folder."""
    from pipeline import init as starting  # noqa: PLC0415 - each verb pays for its own imports

    path = starting.init(folder)
    print(path)
    print(f"look through it, then: gristmill plan {path} --estimate; gristmill run {path}", file=sys.stderr)


@app.command()
def gc(
    work: Work = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are listed.")] = False,
    machine: Json = False,
) -> None:
    """List, or remove, results that no run refers to."""
    from pipeline import gc as tidying  # noqa: PLC0415

    folder = (work or Path("work")).resolve()
    if not (folder / "store").is_dir():
        raise RecipeError([f"gc: {folder} is no folder of results; say which with --work"])
    found = tidying.remove(folder) if yes else tidying.unused(folder)
    if machine:
        rows = [{"folder": e.folder, "files": len(e.files), "bytes": e.size} for e in found]
        print(json.dumps({"removed": yes, "unused": rows}))
        return
    print(tidying.render(found, removed=yes))


@app.command()
def serve(
    work: Work = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others see your documents.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
) -> None:
    """Show runs, reports and documents in a browser, for reading."""
    from pipeline import serve as showing  # noqa: PLC0415

    room = showing.serve((work or Path("work")).resolve(), host, port)
    if room.hosts is None:
        print(f"gristmill: everyone who reaches {host} can read the documents", file=sys.stderr)
    print(room.url, flush=True)
    try:
        room.serve_forever()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        room.server_close()
