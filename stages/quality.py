"""quality: a score for every document by a fastText classifier, and what to do about it.

The classifier is a file (`model`), or is trained from labelled documents (`train`): once, before the first
part is scored, as an artifact named after the labelled files' digests and the parameters of training; every
worker reads that file, and so may later runs and other recipes. How it learns is in `classifier.py`.

A document is kept by `threshold`, or by a Pareto draw as GPT-3 did (Brown et al. 2020, appendix A): likely if
it scores high, sometimes if it does not. Without either the stage only measures.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from stages.base import Local, Out, Share
from stages.classifier import GOOD, Training, labelled, learn, loaded, prepared, score
from stages.columns import ids, whole
from stages.kernels.hashing import hash64, unit

FILE: Final = "classifier.bin"


class Quality(Local):
    """A score by a fastText classifier, given or trained on labelled files; threshold or Pareto draw."""

    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {"quality": pa.float32()}
    meanings: ClassVar[Mapping[str, str]] = {"quality": "how likely the classifier thinks that it is good"}
    reasons: ClassVar[Mapping[str, str]] = {
        "quality.threshold": "the classifier's score is below `threshold`",
        "quality.pareto": "the Pareto draw of the document fell below one minus the classifier's score",
    }
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-new",)
    publishes: ClassVar[tuple[str, ...]] = (FILE,)

    model: str | None = None
    """A fastText classifier (.bin, .ftz), as `gristmill train-classifier` writes it."""

    train: Training | None = None
    """Labelled documents to train one from, instead of `model`."""

    positive: str = GOOD
    """The label of good documents in `model`, without __label__."""

    threshold: Share | None = None
    """Least score of a document that is kept; equality keeps."""

    pareto: Annotated[float, Field(gt=0)] | None = None
    """Shape of the Pareto distribution of draws (GPT-3: 9); who draws more than 1 - score is kept."""

    seed: int = 0
    """Seed of the draws."""

    characters: Annotated[int, Field(ge=1)] = 5000
    """How much of a document the classifier reads, in training too."""

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

    def artifact_identity(self) -> dict[str, Any]:
        """What training depends on: neither thresholds nor draws."""
        found = self.identity()
        return {name: found[name] for name in ("train", "characters", "unicode")}

    def artifacts(self) -> Mapping[str, bytes]:
        """The trained classifier; a given one stays where it is."""
        if self.train is None:
            return {}
        return {FILE: learn(self.train, labelled(self.train, self.paths("train"), self.characters))}

    def apply(self, rows: pa.Table) -> Out:
        """The probability that a document is good, and a reason for those that fail."""
        (path,) = self.paths(FILE if self.train else "model")
        positive = GOOD if self.train else self.positive
        scores = score(loaded(path), prepared(rows["text"], self.characters), positive)
        columns = {"quality": pa.array(scores, pa.float32())}
        return Out(columns, pa.array(self.judge({**columns, "doc_id": rows["doc_id"]}), pa.string()))

    def judge(self, columns: Mapping[str, Any]) -> npt.NDArray[np.object_]:
        """Why each row is dropped (None: it is not), from its score and its doc_id alone."""
        scores = whole(columns["quality"]).to_numpy()
        reasons = np.full(len(scores), None, np.object_)
        if self.pareto is not None:
            draws = unit(hash64(ids(columns["doc_id"]), "quality", self.seed))
            reasons[(1.0 - draws) ** (-1.0 / self.pareto) - 1.0 <= 1.0 - scores] = "quality.pareto"
        if self.threshold is not None:
            reasons[scores < np.float32(self.threshold)] = "quality.threshold"
        return reasons
