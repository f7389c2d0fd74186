"""The verbs of the trainer: train, evaluate, trace, generate, compare. Part of the command line.

They find shards and runs; the trainer, a process of its own, does the rest and prints the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RecipeError
from pipeline.options import RunName, Settings, Work

app = typer.Typer()


@app.command()
def train(
    target: Annotated[Path, typer.Argument(metavar="RECIPE|PACKED", help="A recipe with train:, or shards.")],
    work: Work = None,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Folder of checkpoints (for PACKED).")] = None,
    executor: Annotated[str, typer.Option(help="Where to make the shards (for RECIPE).")] = "local",
    minutes: Annotated[float, typer.Option(min=0, help="Train for so long; 0: as train.minutes says.")] = 0,
) -> None:
    """Train on a recipe's shards, making them first if need be, or on a folder of shards."""
    from pipeline import recipe as recipes  # noqa: PLC0415
    from pipeline.progress import Watcher  # noqa: PLC0415
    from pipeline.report import training  # noqa: PLC0415
    from pipeline.run import Choice, run  # noqa: PLC0415
    from pipeline.training import train_on  # noqa: PLC0415

    settings = [*(settings or ()), *([f"train.minutes={minutes}"] if minutes else [])]
    with Watcher(machine=False) as watcher:
        if target.is_dir():
            out = out or Path("work") / "train"
            try:
                train_on(target, out, recipes.trainer_config(settings), watcher)
            finally:  # a run that was stopped is looked at most of all
                training.write(out, out.name)
            return
        read = recipes.read(target, settings, work)
        if read.train is None:
            raise RecipeError([f"{target} has no train: key; add `train: {{}}` for the defaults"])
        done, _ = run(read, Choice(), executor, watcher)
    print((done.path / "train").resolve())


def _trained(run: str | None, work: Path | None) -> list[str]:
    """The arguments that name a run's shards and its training."""
    from pipeline import runs  # noqa: PLC0415

    found = runs.find(run, work or Path("work"))
    if not (found.path / "train").is_dir():
        raise RecipeError([f"{found.id} was not trained: add `train: {{}}` to its recipe and run it again"])
    return ["--packed", str(found.path / "packed"), "--out", str(found.path / "train")]


@app.command()
def evaluate(run: RunName = None, work: Work = None) -> None:
    """Loss, perplexity and bits per byte by source of a run's newest checkpoint."""
    from pipeline.training import ask  # noqa: PLC0415

    ask(["evaluate", *_trained(run, work)])


@app.command()
def trace(
    run: RunName = None,
    work: Work = None,
    step: Annotated[int, typer.Option(min=1, help="Counted from 1, as in metrics.jsonl.")] = 1,
    drop: Annotated[Path | None, typer.Option(help="Write the doc_ids that stick out here.")] = None,
) -> None:
    """The rows and documents of a training step: their losses, where they come from, what curation found."""
    from pipeline import runs  # noqa: PLC0415
    from pipeline.training import answer, curation  # noqa: PLC0415

    more = ["--drop", str(drop)] if drop is not None else []
    found = answer(["trace", *_trained(run, work), "--step", str(step), *more])
    folder = runs.find(run, work or Path("work")).path
    known = curation(folder, {one["doc_id"] for one in found["documents"]})
    for one in found["documents"]:
        one["curation"] = known.get(one["doc_id"])
    print(json.dumps(found, indent=1, ensure_ascii=False, default=str))


@app.command()
def generate(
    run: RunName = None,
    work: Work = None,
    prompt: Annotated[str, typer.Option(help="Text to go on from.")] = "",
    tokens: Annotated[int, typer.Option(min=1, help="How many to add at most.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0: always the likeliest token.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Text from a run's newest checkpoint."""
    from pipeline.training import ask  # noqa: PLC0415

    draws = ["--tokens", str(tokens), "--temperature", str(temperature), "--seed", str(seed)]
    ask(["generate", *_trained(run, work), "--prompt", prompt, *draws])


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="PACKED", help="Shards of corpus A.")],
    second: Annotated[Path, typer.Argument(metavar="PACKED", help="Shards of corpus B.")],
    out: Annotated[Path, typer.Option(help="Folder of the paired runs.")] = Path("work/compare"),
    seeds: Annotated[int, typer.Option(min=2, help="Paired runs.")] = 3,
    settings: Settings = None,
) -> None:
    """Which of two corpora trains the better model: paired seeds, difference by source, a verdict."""
    from pipeline import recipe as recipes  # noqa: PLC0415
    from pipeline.store import write_json  # noqa: PLC0415
    from pipeline.training import ask  # noqa: PLC0415

    write_json(out / "config.json", dict(recipes.trainer_config(settings or ())))
    packed = ["--packed", str(first), "--packed", str(second)]
    ask(["compare", *packed, "--out", str(out), "--config", str(out / "config.json"), "--seeds", str(seeds)])
