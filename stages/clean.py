"""clean: text repaired, then measured, then judged as far as the recipe asks.

In this order (RULES 8.1): ftfy undoes mojibake, entities and broken line ends; control characters go; NFC; no
more than two line feeds in a row; no white space around the document. What is left is measured, every
measurement becomes a column, and the rules of the chosen presets drop documents by those columns (RULES 1-5).
Without presets nothing is dropped but documents that are empty.

Rules that lean on a language use the profile of `lang` if `langid` stands before `clean` in the recipe, else
the profile of the document's script whose stop words it has most of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from stages.base import Local, Out
from stages.columns import TEXT
from stages.measuring import c4_measured, measured
from stages.profiles import ANY, PROFILES, Bound
from stages.repair import repaired
from stages.rules import LINE_RULES, MEASURES, RULES, effective, first_reasons


class Clean(Local):
    """Repairs, measures and, with presets, judges every document."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ("lang",)
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "text": TEXT,
        "bytes": pa.int64(),
        "profile": pa.string(),
        **{name: kind for name, (kind, _) in MEASURES.items()},
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "empty": "nothing but white space is left",
        **{rule.code: rule.sentence for rule in RULES},
    }
    libraries: ClassVar[tuple[str, ...]] = ("ftfy", "regex")

    repair: bool = True
    """Undo mojibake, HTML entities and broken line ends with ftfy (quotes and character widths stay)."""

    presets: tuple[Literal["gopher", "c4", "fineweb", "none"], ...] = ()
    """Rules that drop documents: `gopher` (quality and repetition), `c4`, `fineweb`; none: measure only.

    `c4` also removes lines, as C4 does.
    """

    thresholds: dict[str, Bound | None] = Field(default_factory=dict)
    """Bounds that replace a preset's: `{gopher.words: {min: 30}}`; null switches a rule off."""

    @field_validator("thresholds")
    @classmethod
    def _known(cls, given: dict[str, Bound | None]) -> dict[str, Bound | None]:
        codes = [*(rule.code for rule in RULES), *LINE_RULES]
        for name in given:
            if name not in codes:
                raise ValueError(f"{name} is not a rule with bounds; there are {', '.join(codes)}")
        return given

    def identity(self) -> dict[str, Any]:
        """All parameters, and the Unicode version of Python's tables."""
        return super().identity() | {"unicode": unicodedata.unidata_version}

    def apply(self, rows: pa.Table) -> Out:
        """The repaired text with its measurements, and the first rule that each row fails."""
        texts, tallies = repaired(rows["text"], ftfy=self.repair)
        langs = rows["lang"].to_pylist() if "lang" in rows.column_names else None
        columns = measured(texts, langs)
        profiles = columns["profile"].to_pylist()
        left, of_lines = c4_measured(texts, profiles, self.thresholds)
        if "c4" in self.presets:
            texts = left
            columns = measured(texts, profiles)
        columns |= of_lines
        reasons = pa.array(self._reasons(columns), pa.string())
        columns["text"] = pc.if_else(pc.is_null(reasons), texts, pa.scalar(None, TEXT))
        columns["bytes"] = pc.binary_length(texts).cast(pa.int64())
        return Out(columns, reasons, tallies)

    def _reasons(self, columns: Mapping[str, pa.Array]) -> list[str | None]:
        profiles = columns["profile"].to_numpy(zero_copy_only=False)
        reasons = np.full(len(profiles), None, np.object_)
        for name in sorted(set(profiles)):
            chosen = np.flatnonzero(profiles == name)
            judged = effective(self.presets, self.thresholds, PROFILES.get(name, ANY))
            if judged:
                reasons[chosen] = first_reasons(
                    {rule: values.take(pa.array(chosen)) for rule, values in columns.items()}, judged
                )
        reasons[columns["chars"].to_numpy() == 0] = "empty"
        return list(reasons)
