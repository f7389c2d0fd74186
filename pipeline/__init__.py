"""The pipeline: disks, clocks, clusters, recipes, reports and the command line.

How a run goes, and where to read about it:

    recipe.py     a YAML file becomes frozen stages; every error at once, with its line
    inputs.py     the files of the sources, digested once
    flow.py       walks the stages in order, cuts each into tasks, and knows which are already done
    tasks.py      what a worker does with one task: read columns, call the stage, publish, answer briefly
    store.py      content-addressed results: written beside, renamed, marked; verified before they are used
    exchange.py   findings and routed rows on their way from parts to buckets
    executors.py  where tasks run: here, on local processes, on a Dask cluster
    run.py        one run from the lease to the report; alarms, journal, interruption
    plan.py       what would run, and why
    documents.py  the documents table, a row a document (tabulate.py: one part of it)
    statistics/   what a part says of itself in numbers that merge
    cli.py        the verbs

What a run left behind is read by

    stored.py     any column of any document, after any stage
    report/       the corpus report: page, JSON, CSV; card.py: dataset card and Croissant
    explain.py    one document's route (route.py says it in words)
    verify.py     holds a run to its digests, ledgers and texts
    whatif.py     what another threshold would keep (judged.py: from stored measurements alone)
    diff.py       what differs between two runs
    serve.py      all of that in a browser

Before and after runs

    init.py       a recipe to begin with
    estimate.py   what a run will take (sampling.py draws documents, trial.py runs and measures them)
    gc.py         results that no run refers to

What a stage computes is not here (`stages/`), nor how a model learns (`trainer/`, started as a process).
"""

from importlib.util import find_spec
from pathlib import Path


def _check_neighbours() -> None:
    """The package names are generic: another distribution's `stages` or `trainer` must not shadow ours.

    Raises:
        ImportError: naming the package, where it was found and where it was expected.
    """
    home = Path(__file__).resolve().parent.parent
    for name in ("stages", "trainer"):
        spec = find_spec(name)
        found = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
        if home / name not in found:
            where = ", ".join(str(place) for place in found) or "nowhere on sys.path"
            raise ImportError(
                f"gristmill's package {name!r} should lie at {home / name}, but Python finds it at {where}. "
                f"Another distribution installs a package of that name: install gristmill into an "
                f"environment of its own (python -m venv)."
            )


_check_neighbours()
