"""The verb `train-classifier`: labelled documents in, a fastText file for `quality: {model:}` out.

Trains as the recipe's `quality: {train:}` does, and says how well such a model judges what it has not read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RecipeError
from pipeline.options import Json

app = typer.Typer()


@app.command("train-classifier")
def train_classifier(
    files: Annotated[list[Path], typer.Argument(metavar="LABELLED...", help="JSON Lines, CSV, Parquet, ...")],
    out: Annotated[Path, typer.Option(help="Where to write the model.")],
    text: Annotated[str, typer.Option(help="Field of the text.")] = "text",
    label: Annotated[str, typer.Option(help="Field of the label.")] = "label",
    positive: Annotated[str, typer.Option(help="Label of good documents; all others are bad.")] = "1",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the documents.")] = 50,
    rate: Annotated[float, typer.Option(help="Learning rate at the beginning.")] = 0.5,
    dimensions: Annotated[int, typer.Option(min=1, help="Length of the word vectors.")] = 32,
    ngrams: Annotated[int, typer.Option(min=1, help="Longest word n-gram.")] = 2,
    seed: Annotated[int, typer.Option(help="Of fastText's generator.")] = 0,
    characters: Annotated[int, typer.Option(min=1, help="How much of a document is read.")] = 5000,
    folds: Annotated[int, typer.Option(help="Of the cross-validation; 0: none, train only.")] = 5,
    machine: Json = False,
) -> None:
    """Train a quality classifier; say how well it tells good from bad (cross-validated AUC, 95 % interval)."""
    from pydantic import ValidationError  # noqa: PLC0415 - each verb pays for its own imports

    from pipeline.store import writing  # noqa: PLC0415
    from stages.base import StageError  # noqa: PLC0415
    from stages.classifier import Training, held_out, labelled, learn  # noqa: PLC0415

    if folds == 1 or folds < 0:
        raise RecipeError([f"--folds {folds}: expected 0 (no cross-validation) or at least 2"])
    try:
        training = Training(
            paths=tuple(str(path) for path in files), text=text, label=label, positive=positive, epochs=epochs,
            rate=rate, dimensions=dimensions, ngrams=ngrams, seed=seed,
        )  # fmt: skip
        examples = labelled(training, files, characters)
        held = held_out(training, examples, folds) if folds else None
        content = learn(training, examples)
    except ValidationError as error:
        raise RecipeError([f"--{e['loc'][0]}: {e['msg']}" for e in error.errors()]) from error
    except StageError as error:
        raise RecipeError([str(error)]) from error
    with writing(out) as beside:
        beside.write_bytes(content)
    if machine:
        print(json.dumps({"model": str(out), "bytes": len(content), **(held._asdict() if held else {})}))
        return
    if held:
        print(
            f"AUC {held.auc:.3f}, 95 % interval {held.low:.3f} to {held.high:.3f}: {held.good} good and "
            f"{held.bad} bad documents, each scored by a model trained on the other folds (of {folds}, by hash "
            f"of the text)"
        )
    print(f"model: {out}")
