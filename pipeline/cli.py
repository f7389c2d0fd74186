"""The command line: verbs in, results on standard output, everything else on standard error.

Verbs parse, call and print; what they print is made elsewhere. Exit codes: 0 done, 1 a stage failed,
2 usage or recipe, 3 quarantine or drop alarm, 4 locked by another run, 5 infrastructure, 6 integrity.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipeline import cli_classifier, cli_keeping, cli_trainer
from pipeline.errors import GristmillError, IntegrityError, RecipeError
from pipeline.options import Json, RecipePath, RunName, Settings, Work
from pipeline.plain import plain

app = typer.Typer(
    name="gristmill",
    help="Raw text in, training-ready token shards out, and every document accounted for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_trainer.app)
app.add_typer(cli_classifier.app)
app.add_typer(cli_keeping.app)


def main() -> None:
    """The `gristmill` command."""
    try:
        app(standalone_mode=False)
    except GristmillError as error:
        lines = error.complaints if isinstance(error, RecipeError) else [str(error)]
        for line in lines:
            print(f"gristmill: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:
        usage = getattr(error, "show", None)
        if usage is None:
            raise
        usage()
        sys.exit(2)


@app.command("run")
def run_(
    recipe: RecipePath,
    work: Work = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Trust the stages before.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="This stage alone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Make its results again; may repeat.")
    ] = None,
    settings: Settings = None,
    executor: Annotated[
        str, typer.Option(help="serial, local, local:N, tcp://HOST:PORT or a scheduler file.")
    ] = "local",
    machine: Json = False,
) -> None:
    """Run a recipe, reusing every result that is still right."""
    from pipeline.executors import prepare  # noqa: PLC0415 - each verb pays for its own imports

    prepare(executor)
    from pipeline import recipe as recipes  # noqa: PLC0415 - workers get ready meanwhile
    from pipeline.progress import Watcher  # noqa: PLC0415
    from pipeline.run import Choice, run  # noqa: PLC0415

    if only and (first or until):
        raise RecipeError(["--only is --from and --until at once; give one or the other"])
    read = recipes.read(recipe, settings or (), work)
    choice = Choice(only or first, only or until, tuple(force or ()))
    with Watcher(machine=machine) as watcher:
        done, anything = run(read, choice, executor, watcher)
    record = done.record()
    if machine:
        stages = [{k: e[k] for k in ("stage", "key", "in", "alive", "made")} for e in record["stages"]]
        body = {"run": done.id, "path": str(done.path), "did_anything": anything, "stages": stages}
        print(json.dumps(body))
        return
    if not anything:
        print(f"nothing to do: {done.id} is up to date")
        print(f"report: {done.path / 'report.html'}")
        return
    _print_funnel(record["stages"])
    print(f"report: {done.path / 'report.html'}")
    if (done.path / "packed").exists():
        print(f"shards: {done.path / 'packed'}")


def _print_funnel(stages: Sequence[dict[str, Any]]) -> None:
    table = Table("stage", "in", "alive", "dropped", "quarantined", "seconds", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for entry in stages:
        cells = (
            entry["in"],
            entry["alive"],
            _most(entry["dropped"]),
            entry["quarantined"] or "-",
            entry["seconds"],
        )
        table.add_row(entry["stage"], *(str(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for entry in stages:
        if missing := entry["tallies"].get("not_found"):
            listed = entry["tallies"]["listed"]
            print(f"{entry['stage']}: {missing} of {listed} listed ids are no living document's")


def _most(dropped: dict[str, int]) -> str:
    """The three commonest reasons, and how many documents the others took."""
    reasons = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {reason}" for reason, count in reasons[:3]]
    others = sum(count for _, count in reasons[3:])
    return ", ".join([*shown, f"{others} for other reasons"] if others else shown) or "-"


@app.command("plan")
def plan_(
    recipe: RecipePath,
    work: Work = None,
    settings: Settings = None,
    sampled: Annotated[
        bool, typer.Option("--estimate", help="Run a sample: time, memory, disk and tokens.")
    ] = False,
    machine: Json = False,
) -> None:
    """What a run would do, stage by stage, and why; or what it would take. Makes nothing."""
    from pipeline import recipe as recipes  # noqa: PLC0415

    if sampled:
        from pipeline import estimate, executors  # noqa: PLC0415

        executors.like_a_worker()
        found = estimate.estimate(recipes.read(recipe, settings or (), work))
        print(json.dumps(found) if machine else estimate.render(found))
        return
    from pipeline.plan import plan  # noqa: PLC0415

    lines = plan(recipes.read(recipe, settings or (), work))
    if machine:
        print(json.dumps([asdict(line) for line in lines]))
        return
    table = Table("stage", "state", "why", "what a run does", box=None, pad_edge=False)
    for line in lines:
        table.add_row(line.stage, line.state, line.why or "-", line.action)
    console = Console(width=None if sys.stdout.isatty() else 160, markup=False)
    console.print(table)
    for mixed in (line.mixture for line in lines if line.mixture is not None):
        mixed.show(console)
    if all(line.state == "fresh" for line in lines):
        print("nothing to do")


@app.command()
def status(run: RunName = None, work: Work = None, machine: Json = False) -> None:
    """The state, funnel and ledger of a run."""
    from pipeline import runs  # noqa: PLC0415

    found = runs.find(run, work or Path("work"))
    record = found.record()
    if machine:
        hidden = {"identity", "parts", "steps"}
        stages = [{k: v for k, v in entry.items() if k not in hidden} for entry in record["stages"]]
        print(json.dumps({**record, "stages": stages}, ensure_ascii=False))
        return
    print(f"{found.id}: {record['state']}" + (f": {record['error']}" if record.get("error") else ""))
    _print_funnel(record["stages"])
    table = Table("stage", "source", "in", "alive", "dropped", "quarantined", box=None, pad_edge=False)
    for entry in record["stages"]:
        for source, book in entry["by_source"].items():
            gone, bad = sum(book["dropped"].values()), sum(book["quarantined"].values())
            table.add_row(entry["stage"], source, *(str(n) for n in (book["in"], book["alive"], gone, bad)))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


@app.command()
def report(
    run: RunName = None,
    work: Work = None,
    language: Annotated[str, typer.Option(help="en or zh; other than en is written now.")] = "en",
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Tables that sort and filter; written now.")
    ] = False,
) -> None:
    """The path of a run's report.html."""
    from pipeline import runs  # noqa: PLC0415

    found = runs.find(run, work or Path("work"))
    path = found.path / "report.html"
    if not path.is_file():
        raise RecipeError(
            [f"{path.parent.name} has no report: it did not finish (gristmill status says why)"]
        )
    if language != "en" or interactive:
        from pipeline.report import again  # noqa: PLC0415

        path = again(found, language, interactive=interactive)
    print(path)


@app.command("documents")
def documents_(
    run: RunName = None,
    work: Work = None,
    columns: Annotated[bool, typer.Option("--columns", help="What its columns mean, instead.")] = False,
) -> None:
    """The glob of a run's documents table: Parquet, a row a document, for DuckDB, polars or pandas."""
    from pipeline import documents, runs  # noqa: PLC0415

    if not columns:
        print(runs.find(run, work or Path("work")).documents()[0].with_stem("*"))
    else:
        known = runs.find(run, work or Path("work")) if run else runs.latest(work or Path("work"))
        print("\n".join(f"{name}\t{meaning}" for name, meaning in documents.meanings(known).items()))


@app.command()
def quarantine(run: RunName = None, work: Work = None, machine: Json = False) -> None:
    """The records that could not be read: where they are, why, and how they begin."""
    from pipeline import documents, runs  # noqa: PLC0415

    rows = documents.quarantined(runs.find(run, work or Path("work")))
    if machine:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        print(
            f"{row['source']}: {row['file']}, record {row['record']}: {row['reason']}: {row['excerpt'] or ''}"
        )
    print(f"{len(rows)} quarantined", file=sys.stderr)


class _WithoutPandas:
    """Arrow imports pandas wherever it is installed: half of the time of a verb that makes no use of it."""

    def find_spec(self, name: str, *_: object) -> None:
        """Says that it is not there."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


@app.command("explain")
def explain_(
    doc: Annotated[
        str | None, typer.Argument(metavar="DOC", help="A doc_id, its beginning, or the id in the data.")
    ] = None,
    run: RunName = None,
    work: Work = None,
    grep: Annotated[
        str | None, typer.Option(metavar="TEXT", help="List the documents that hold a text instead.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A training on its shards; its own if left out.")
    ] = None,
    machine: Json = False,
) -> None:
    """One document's whole route: where it came from, what was measured, why it was kept or dropped."""
    sys.meta_path.insert(0, _WithoutPandas())
    from pipeline import explain, runs  # noqa: PLC0415

    if grep is not None:
        rows = explain.grep(runs.find(doc or run, work or Path("work")), grep)
        if machine:
            print(json.dumps(rows, ensure_ascii=False))
            return
        for row in rows:
            print(
                f"{row['doc_id']}  {row['source']}: {plain(row['file'])}, record {row['record']}: {row['fate']}"
            )
            print(f"    {plain(row['around'])!r}")
        return
    if doc is None:
        raise RecipeError(
            ["explain needs a DOC (a doc_id, its beginning, or the id in the data) or --grep TEXT"]
        )
    found = explain.explain(runs.find(run, work or Path("work")), doc, train)
    print(json.dumps(found, ensure_ascii=False) if machine else explain.render(found))


@app.command("whatif")
def whatif_(
    recipe: RecipePath,
    setting: Annotated[
        str, typer.Argument(metavar="STAGE.KEY=VALUE,VALUE", help="dedup.threshold=0.7,0.8,0.9, say.")
    ],
    work: Work = None,
    executor: Annotated[str, typer.Option(help="Where to compute what is not stored.")] = "local",
    machine: Json = False,
) -> None:
    """What a stage would keep under other values, from what earlier runs stored as far as that goes."""
    from pipeline import whatif  # noqa: PLC0415

    found = whatif.whatif(recipe, setting, executor, work)
    print(json.dumps(found, ensure_ascii=False) if machine else whatif.render(found))


@app.command("diff")
def diff_(
    first: Annotated[str, typer.Argument(metavar="RUN", help="A run's id or folder.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="Another.")],
    work: Work = None,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page, too.")] = None,
    machine: Json = False,
) -> None:
    """What differs between two runs: recipe, funnel, sources, and the documents gained and lost."""
    from pipeline import diff, runs  # noqa: PLC0415

    folder = work or Path("work")
    found = diff.diff(runs.find(first, folder), runs.find(second, folder))
    if page is not None:
        page.write_text(diff.page(found), encoding="utf-8")
    print(json.dumps(found, ensure_ascii=False) if machine else diff.render(found))


@app.command("verify")
def verify_(
    run: RunName = None,
    work: Work = None,
    packed: Annotated[bool, typer.Option("--packed", help="Decode rows and compare with documents.")] = False,
) -> None:
    """Read every result of a run again and compare with its digest; exit code 6 if anything is wrong."""
    from pipeline import runs, verify  # noqa: PLC0415

    found = runs.find(run, work or Path("work"))
    problems = verify.verify(found, packed=packed)
    if problems:
        raise IntegrityError("\n".join(problems))
    print(f"{found.id}: everything verifies")


@app.command("export")
def export_(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="hf, megatron or nanogpt.")],
    where: Annotated[
        list[str], typer.Argument(metavar="[RUN] DIR", help="The run, and the folder to write.")
    ],
    work: Work = None,
) -> None:
    """A run's shards for other trainers: Hugging Face datasets, Megatron, nanoGPT."""
    from pipeline import export, runs  # noqa: PLC0415

    if len(where) > 2:
        raise RecipeError([f"export: expected FORMAT [RUN] DIR, found {len(where)} words after FORMAT"])
    found = runs.find(where[0] if len(where) == 2 else None, work or Path("work"))
    for path in export.export(form, found.path / "packed", Path(where[-1])):
        print(path)


@app.command("schema")
def schema_(
    word: Annotated[
        str | None, typer.Argument(metavar="[STAGE]", help="One stage; all of them if left out.")
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="The stages as a Markdown table.")] = False,
) -> None:
    """The recipe's JSON schema: every key with its type, default and meaning; columns and reasons."""
    from pipeline import schema  # noqa: PLC0415

    print(schema.table() if table else json.dumps(schema.schema(word), indent=1, ensure_ascii=False))
