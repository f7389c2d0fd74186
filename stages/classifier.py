"""A fastText classifier of documents: learnt from labelled files, saved as bytes, judged on what it has not seen.

Joulin et al. 2016 (bag of tricks); for data selection Brown et al. 2020, appendix A, and DCLM. Training is
single-threaded with a fixed seed: the same files and parameters give the same bytes. Does not decide what
is kept: `quality` does.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from stages.attached import Stamped, stamped
from stages.base import StageError
from stages.columns import TEXT, from_utf8, utf8
from stages.formats.benchmark import BenchmarkFileError, records

LABEL: Final = "__label__"
GOOD: Final = "good"
BAD: Final = "bad"
_BUCKETS: Final = 200_000  # rows for hashed word n-grams
_NORMAL_95: Final = 1.959964


class Training(BaseModel):
    """Where the labelled documents are, and how fastText learns from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Labelled documents: JSON Lines, CSV, TSV, Parquet or Arrow, compressed or not; globs allowed."""

    text: str = "text"
    """Field of the text."""

    label: str = "label"
    """Field of the label."""

    positive: str | int | bool = "1"
    """The label of good documents, compared as text; every other label is bad."""

    epochs: Annotated[int, Field(ge=1)] = 50
    """Passes over the labelled documents."""

    rate: Annotated[float, Field(gt=0)] = 0.5
    """Learning rate at the beginning; it falls to 0."""

    dimensions: Annotated[int, Field(ge=1)] = 32
    """Length of the word vectors."""

    ngrams: Annotated[int, Field(ge=1)] = 2
    """Longest word n-gram that is a feature."""

    seed: int = 0
    """Seed of fastText's generator."""


class Labelled(NamedTuple):
    """Documents as the classifier reads them, and which of them are good (bool, as long)."""

    texts: list[str]
    good: npt.NDArray[np.bool_]


class Held(NamedTuple):
    """How well scores of unseen documents tell good from bad.

    Attributes:
        auc: area under the ROC curve: the share of pairs (good, bad) in the right order, ties half.
        low, high: its 95 % interval (DeLong et al. 1988).
        good, bad: documents of each kind.
    """

    auc: float
    low: float
    high: float
    good: int
    bad: int


def prepared(column: pa.ChunkedArray | pa.Array, characters: int) -> list[str]:
    """Texts as the classifier reads them: the beginning, on one line, small letters, no fenced code."""
    from stages.kernels.plain import plain  # noqa: PLC0415 - Numba is for workers, not for plans

    texts, places, _ = plain(*utf8(column), characters)
    return [text.lower() for text in from_utf8(texts, places).to_pylist()]


def labelled(training: Training, paths: Sequence[Path], characters: int) -> Labelled:
    """The documents of the labelled files, in order.

    Raises:
        StageError: a file is broken, a record lacks a field or has null there, or all documents have the same label.
    """
    texts: list[str] = []
    good: list[bool] = []
    try:
        for path in paths:
            for number, record in enumerate(records(path), 1):
                if record.get(training.text) is None or record.get(training.label) is None:
                    raise StageError(
                        f"quality: {path}, record {number} has no `{training.text}` or no `{training.label}`, or null there; it "
                        f"has {', '.join(record)}. Name the fields with quality: {{train: {{text:, label:}}}}"
                    )
                texts.append(str(record[training.text]))
                good.append(str(record[training.label]) == str(training.positive))
    except (BenchmarkFileError, OSError) as error:
        raise StageError(f"quality: {error}") from error
    _both_kinds(np.array(good, bool), training)
    return Labelled(prepared(pa.array(texts, TEXT), characters), np.array(good, bool))


def _both_kinds(good: npt.NDArray[np.bool_], training: Training) -> None:
    if not 0 < good.sum() < len(good):
        raise StageError(
            f"quality: {good.sum()} of {len(good)} labelled documents are `positive: {training.positive}`; "
            "a classifier needs documents of both kinds"
        )


def learn(training: Training, examples: Labelled) -> bytes:
    """The classifier that these documents teach, as fastText's own file."""
    from fasttext_new import train_supervised  # noqa: PLC0415 - a native library; only this stage pays for it

    with tempfile.TemporaryDirectory() as folder:
        written, saved = Path(folder, "examples.txt"), Path(folder, "model.bin")
        with written.open("w", encoding="utf-8") as file:
            for text, good in zip(examples.texts, examples.good.tolist(), strict=True):
                # fastText takes every word that begins so for a label, wherever it stands.
                file.write(f"{LABEL}{GOOD if good else BAD} {text.replace(LABEL, 'label ')}\n")
        model = train_supervised(
            input=str(written),
            epoch=training.epochs,
            lr=training.rate,
            dim=training.dimensions,
            wordNgrams=training.ngrams,
            bucket=_BUCKETS,
            seed=training.seed,
            thread=1,
            verbose=0,
        )
        model.save_model(str(saved))
        return saved.read_bytes()


def loaded(path: Path) -> Any:
    """A fastText model; a worker keeps the last few, as long as their files stay as they are.

    Raises:
        StageError: the file is none.
    """
    return _loaded(stamped((path,)))


@lru_cache(maxsize=4)
def _loaded(file: Stamped) -> Any:
    from fasttext_new import load_model  # noqa: PLC0415 - see `learn`

    ((path, _, _),) = file
    try:
        return load_model(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise StageError(f"quality: {path} is not a fastText model ({error}); check `model`") from error


def score(model: Any, texts: list[str], positive: str) -> npt.NDArray[np.float32]:
    """The probability of the label `positive` for every prepared text, float32.

    Raises:
        StageError: the model has no such label.
    """
    known = model.get_labels()
    if LABEL + positive not in known:
        names = ", ".join(label.removeprefix(LABEL) for label in known[:20])
        raise StageError(f"quality: the model has no label {positive!r}; set `positive` to one of {names}")
    if not texts:
        return np.zeros(0, np.float32)
    labels, likely = model.predict_batch(texts, k=len(known), threads=1)
    found = (
        dict(zip(names, values.tolist(), strict=True)) for names, values in zip(labels, likely, strict=True)
    )
    return np.array([min(scored.get(LABEL + positive, 0.0), 1.0) for scored in found], np.float32)


def held_out(training: Training, examples: Labelled, folds: int) -> Held:
    """Cross-validation: every document is scored by a model that has not read it.

    A document's fold is BLAKE2b-64 of its prepared text modulo `folds`, so equal texts never lie on both
    sides, and the split does not depend on the order of files.

    Raises:
        StageError: a fold leaves documents of one kind only to learn from.
    """
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in examples.texts)
    fold_of = np.array([int.from_bytes(digest, "little") % folds for digest in digests])
    scores = np.zeros(len(fold_of), np.float32)
    for fold in range(folds):
        asked, taught = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        if not len(asked):
            continue
        known = Labelled([examples.texts[place] for place in taught], examples.good[taught])
        _both_kinds(known.good, training)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.bin")
            path.write_bytes(learn(training, known))
            scores[asked] = score(loaded(path), [examples.texts[place] for place in asked], GOOD)
    return area(scores, examples.good)


def area(scores: npt.NDArray[np.float32], good: npt.NDArray[np.bool_]) -> Held:
    """AUC with DeLong's interval, in n log n: each document's place among those of the other kind."""
    up, down = np.sort(scores[good]), np.sort(scores[~good])
    above = (np.searchsorted(down, up, "left") + np.searchsorted(down, up, "right")) / (2 * len(down))
    below = 1 - (np.searchsorted(up, down, "left") + np.searchsorted(up, down, "right")) / (2 * len(up))
    spread = above.var() / max(1, len(up) - 1) + below.var() / max(1, len(down) - 1)
    mean, reach = float(above.mean()), _NORMAL_95 * float(np.sqrt(spread))
    return Held(mean, max(0.0, mean - reach), min(1.0, mean + reach), len(up), len(down))
