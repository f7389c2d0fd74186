"""quality: a score for every document by a fastText classifier, and what to do about it.

The classifier (Joulin et al. 2016; for data selection Brown et al. 2020, appendix A, and DCLM) is a file, or
is trained from labelled JSON lines: single-threaded, with a fixed seed, so that the same files give the same
model everywhere. A document is kept by `threshold`, or by a Pareto draw as GPT-3 did: likely if it scores
high, sometimes if it does not. Without either the stage only measures.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import zstandard
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages.base import Local, Out, Share, StageError
from stages.columns import TEXT, from_utf8, ids, utf8
from stages.kernels.hashing import hash64, unit

LABEL: Final = "__label__"
GOOD: Final = f"{LABEL}good"
BAD: Final = f"{LABEL}bad"


class Training(BaseModel):
    """Where the labelled documents are, and how fastText learns from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: tuple[str, ...]
    """JSON lines (.jsonl, .jsonl.gz, .jsonl.zst), a labelled document each; globs allowed."""

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


def _records(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    elif path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError as error:
                raise StageError(f"quality: {path}, line {number}: not JSON ({error})") from error
            if not isinstance(record, dict):
                raise StageError(f"quality: {path}, line {number}: expected an object, found {record!r:.40}")
            yield record


def prepared(column: pa.ChunkedArray | pa.Array, characters: int) -> list[str]:
    """Texts as the classifier reads them: the beginning, on one line, small letters, no fenced code."""
    from stages.kernels.plain import plain  # noqa: PLC0415 - Numba is for workers, not for plans

    texts, places, _ = plain(*utf8(column), characters)
    return [text.lower() for text in from_utf8(texts, places).to_pylist()]


@cache
def trained(training: Training, paths: tuple[Path, ...], characters: int) -> Any:
    """The classifier that these files teach; the same bytes for the same files and parameters.

    Raises:
        StageError: a record lacks a field, or all documents have the same label.
    """
    from fasttext_new import train_supervised  # noqa: PLC0415 - a native library; only this stage pays for it

    texts, good = [], []
    for path in paths:
        for number, record in enumerate(_records(path), 1):
            if training.text not in record or training.label not in record:
                raise StageError(
                    f"quality: {path}, record {number} has no `{training.text}` or no `{training.label}`; "
                    f"it has {', '.join(record)}. Name the fields with quality: {{train: {{text:, label:}}}}"
                )
            texts.append(str(record[training.text]))
            good.append(str(record[training.label]) == str(training.positive))
    if len(set(good)) < 2:
        raise StageError(
            f"quality: {sum(good)} of {len(good)} labelled documents are `positive: {training.positive}`; "
            "a classifier needs documents of both kinds"
        )
    lines = prepared(pa.array(texts, TEXT), characters)
    with tempfile.TemporaryDirectory() as folder:
        examples = Path(folder) / "examples.txt"
        examples.write_text(
            "".join(f"{GOOD if label else BAD} {line}\n" for label, line in zip(good, lines, strict=True)),
            encoding="utf-8",
        )
        return train_supervised(
            input=str(examples),
            epoch=training.epochs,
            lr=training.rate,
            dim=training.dimensions,
            wordNgrams=training.ngrams,
            bucket=200_000,
            seed=training.seed,
            thread=1,
            verbose=0,
        )


@cache
def _loaded(path: str) -> Any:
    from fasttext_new import load_model  # noqa: PLC0415

    try:
        return load_model(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise StageError(f"quality: {path} is not a fastText model ({error}); check `model`") from error


class Quality(Local):
    """A score by a fastText classifier, given or trained on labelled files; threshold or Pareto draw."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {"quality": pa.float32()}
    meanings: ClassVar[Mapping[str, str]] = {"quality": "how likely the classifier thinks that it is good"}
    reasons: ClassVar[Mapping[str, str]] = {
        "quality.threshold": "the classifier's score is below `threshold`",
        "quality.pareto": "the Pareto draw of the document fell below one minus the classifier's score",
    }
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-new",)

    model: str | None = None
    """A fastText classifier (.bin, .ftz)."""

    train: Training | None = None
    """Labelled documents to train one from, instead of `model`."""

    positive: str = "good"
    """The label of good documents in `model`, without __label__."""

    threshold: Share | None = None
    """Least score of a document that is kept; equality keeps."""

    pareto: Annotated[float, Field(gt=0)] | None = None
    """Shape of the Pareto distribution of draws (GPT-3: 9); who draws more than 1 - score is kept."""

    seed: int = 0
    """Seed of the draws."""

    characters: Annotated[int, Field(ge=1)] = 5000
    """How much of a document the classifier reads."""

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.model is None) == (self.train is None):
            raise ValueError("give either `model` (a fastText file) or `train` (labelled documents)")
        return self

    def files(self) -> Mapping[str, Sequence[str]]:
        """The model's file, or the labelled documents."""
        return {"model": (self.model,)} if self.model else {"train": self.train.paths if self.train else ()}

    def identity(self) -> dict[str, Any]:
        """All parameters but the places of files, whose content counts instead; and Python's Unicode."""
        found = super().identity()
        del found["model"]
        if found["train"]:
            del found["train"]["paths"]
        return found | {"unicode": unicodedata.unidata_version}

    def apply(self, rows: pa.Table) -> Out:
        """The probability that a document is good, and a reason for those that fail."""
        scores = self._scores(prepared(rows["text"], self.characters))
        reasons = np.full(len(rows), None, np.object_)
        if self.pareto is not None:
            draws = (1.0 - unit(hash64(ids(rows["doc_id"]), "quality", self.seed))) ** (
                -1.0 / self.pareto
            ) - 1.0
            reasons[draws <= 1.0 - scores] = "quality.pareto"
        if self.threshold is not None:
            reasons[scores < np.float32(self.threshold)] = "quality.threshold"
        return Out({"quality": pa.array(scores, pa.float32())}, pa.array(reasons, pa.string()))

    def _scores(self, texts: list[str]) -> npt.NDArray[np.float32]:
        if self.train:
            classifier, positive = trained(self.train, self.paths("train"), self.characters), GOOD
        else:
            (path,) = self.paths("model")
            classifier, positive = _loaded(str(path)), LABEL + self.positive
        known = classifier.get_labels()
        if positive not in known:
            names = ", ".join(label.removeprefix(LABEL) for label in known[:20])
            raise StageError(
                f"quality: the model has no label {self.positive!r}; set `positive` to one of {names}"
            )
        if not texts:
            return np.zeros(0, np.float32)
        labels, likely = classifier.predict_batch(texts, k=len(known), threads=1)
        found = (
            dict(zip(names, values.tolist(), strict=True))
            for names, values in zip(labels, likely, strict=True)
        )
        return np.array([min(scored.get(positive, 0.0), 1.0) for scored in found], np.float32)
