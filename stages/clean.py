"""clean: text repaired, then measured, then judged as far as the recipe asks.

In this order (RULES 8): ftfy undoes mojibake, entities and broken line ends; control characters go; NFC; no
more than two line feeds in a row; no white space around the document. What is left is measured, every
measurement becomes a column, and the rules of the chosen presets drop documents by those columns (RULES 1-7).
Without presets nothing is dropped but documents that are empty. `gristmill schema clean` lists every rule and
column.

Rules that lean on a language use the profile of `lang` if `langid` stands before `clean` in the recipe, else
the profile of the document's script whose stop words it has most of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field, field_validator, model_validator

from stages.banning import Banned, Score, banned, out_of_bounds
from stages.base import Local, Out
from stages.columns import TEXT
from stages.profiles import ANY, PROFILES, Bound
from stages.rules import IDENTIFIERS, LINE_RULES, MEASURES, RULES, described, effective, first_reasons
from stages.urls import Urls
from stages.variants import Variants

_COUNTED_WITH: Final = {
    "c4.badwords": "block",
    "doc.substring": "banned",
    "score.threshold": "scores",
    "url.domain": "url",
    "url.substring": "url",
}
"""Rules that need a parameter to have anything to count."""


class Clean(Local):
    """Repairs, measures and, with presets (`gopher`, `c4`, `fineweb`, `refinedweb`), judges every document.

    Text is repaired as ftfy would, called only where it can matter; control characters, NFC, white space.
    """

    model_config = ConfigDict(json_schema_extra=described())

    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ("lang", "url")
    writes: ClassVar[Mapping[str, pa.DataType]] = {
        "text": TEXT,
        "bytes": pa.int64(),
        "profile": pa.string(),
        **{name: kind for name, (kind, _) in MEASURES.items()},
        **{f"pii_{kind}": pa.int64() for kind in IDENTIFIERS},
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "text": "the repaired text, without what line rules removed and identifiers that were masked",
        "bytes": "bytes of the text in UTF-8",
        "profile": "the language profile whose lists and bounds were used",
        **{name: meaning for name, (_, meaning) in MEASURES.items()},
        **{f"pii_{kind}": f"personal identifiers of the kind {kind} that were found" for kind in IDENTIFIERS},
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "empty": "nothing but white space is left",
        **{f"pii.{kind}": f"holds personal identifiers, {kind} first" for kind in IDENTIFIERS},
        **{rule.code: rule.sentence for rule in RULES},
    }
    libraries: ClassVar[tuple[str, ...]] = ("ftfy", "regex")

    repair: bool = True
    """Undo mojibake, HTML entities and broken line ends with ftfy (quotes and character widths stay)."""

    presets: tuple[Literal["gopher", "c4", "mc4", "fineweb", "refinedweb", "code", "none"], ...] = ()
    """Rules that drop documents: `gopher` (quality and repetition), `c4`, `fineweb`, `refinedweb`, `mc4` (its
    three long lines only), `code` (lengths of lines, letters and digits).

    `c4` and `refinedweb` also remove lines, as those corpora did. None: measure only.
    """

    variants: Variants = Variants()
    """Other implementations' readings of the rules: `{gopher: datatrove_uax29, gopher_rep: dolma}`."""

    thresholds: dict[str, Bound | None] = Field(default_factory=dict)
    """Bounds that replace a preset's: `{gopher.words: {min: 30}}`; null switches a rule off."""

    page_dedup: bool = False
    """Remove lines that repeat an earlier one of the document, but for case and outer white space."""

    pii: Literal["mask", "drop", "tag"] | None = None
    """Personal identifiers: replace them, drop documents that hold any, or count them; null: do not look."""

    pii_kinds: tuple[Literal["email", "ip", "cn_id", "card", "phone"], ...] = IDENTIFIERS
    """Which identifiers: e-mail and IP addresses, Chinese identity, payment card and telephone numbers."""

    pii_private: bool = False
    """Also IP addresses that are not globally reachable (private, loop-back, documentation)."""

    block: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Block lists: language (or `all`) -> files, a word or phrase a line; who holds one is dropped.

    Languages are those of `langid`; without it before `clean`, those that have a profile.
    `thresholds: {c4.badwords: {max: 3}}` tolerates a few.
    """

    url: Urls | None = None
    """Rules about the URL of a document: listed domains, listed strings."""

    banned: tuple[Banned, ...] = ()
    """Strings that a document must not hold; who does is dropped (`doc.substring`)."""

    scores: dict[str, Score] = Field(default_factory=dict)
    """Bounds on numbers that stand before `clean`: scores of earlier stages and metadata of load,
    `{quality: {min: 0.1}, stars: {min: 5, missing: drop}}` (`score.threshold`)."""

    emoji_to_text: bool = False
    """Spell emoji out, ":grinning_face:"."""

    fold_homoglyphs: bool = False
    """Write Latin words that are disguised with Cyrillic or Greek letters in Latin letters."""

    @field_validator("thresholds")
    @classmethod
    def _known(cls, given: dict[str, Bound | None]) -> dict[str, Bound | None]:
        codes = [*(rule.code for rule in RULES), *LINE_RULES]
        for name in given:
            if name not in codes:
                raise ValueError(f"{name} is not a rule with bounds; there are {', '.join(codes)}")
        return given

    @model_validator(mode="after")
    def _applicable(self) -> Self:
        for name in self.thresholds:
            if name.startswith("rw.") and "refinedweb" not in self.presets:
                raise ValueError(f"{name} is measured only with the preset refinedweb; add it to `presets`")
            needed = _COUNTED_WITH.get(name)
            if needed and not getattr(self, needed):
                raise ValueError(f"{name} is counted only with `{needed}`; say there what to look for")
        return self

    @property
    def wanted(self) -> tuple[str, ...]:
        """The text, and the scores that have bounds."""
        return (*self.reads, *self.numbers)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The scores that have bounds."""
        return tuple(self.scores)

    def files(self) -> Mapping[str, Sequence[str]]:
        """The block lists and the lists for URLs."""
        lists = {f"block.{language}": paths for language, paths in self.block.items()}
        return lists | (self.url.files() if self.url else {})

    def identity(self) -> dict[str, Any]:
        """All parameters, lists without their paths, and the Unicode version of Python's tables."""
        return super().identity() | {
            "block": sorted(self.block),
            "url": self.url.identity() if self.url else None,
            "unicode": unicodedata.unidata_version,
        }

    def apply(self, rows: pa.Table) -> Out:
        """The repaired text with its measurements, and the first rule that each row fails."""
        from stages import folding, pii, repair  # noqa: PLC0415 - Numba and ftfy are for workers, not for plans

        texts, tallies = repair.repaired(rows["text"], ftfy=self.repair)
        if self.emoji_to_text:
            texts, tallies["emoji_to_text"] = folding.emoji_named(texts)
        if self.fold_homoglyphs:
            texts, tallies["fold_homoglyphs"] = folding.homoglyphs_folded(texts)
        identifiers: dict[str, pa.Array] = {
            f"pii_{kind}": pa.nulls(len(rows), pa.int64()) for kind in IDENTIFIERS
        }
        if self.pii:
            texts, counts = pii.masked(
                texts, self.pii_kinds, private=self.pii_private, replace=self.pii == "mask"
            )
            for place, kind in enumerate(self.pii_kinds):
                identifiers[f"pii_{kind}"] = pa.array(counts[:, place])
                tallies[f"pii_{kind}"] = int(counts[:, place].sum())
        langs = rows["lang"].to_pylist() if "lang" in rows.column_names else None
        texts, columns = self._measured(texts, langs)
        columns |= identifiers | self._looked_up(rows, texts)
        for name, (kind, _) in MEASURES.items():
            columns.setdefault(name, pa.nulls(len(texts), kind))
        reasons = pa.array(self.judge(columns), pa.string())
        columns["text"] = pc.if_else(pc.is_null(reasons), texts, pa.scalar(None, TEXT))
        columns["bytes"] = pc.binary_length(texts).cast(pa.int64())
        return Out(columns, reasons, tallies)

    def _measured(
        self, texts: pa.Array, langs: list[str | None] | None
    ) -> tuple[pa.Array, dict[str, pa.Array]]:
        """The texts after the line rules that are on, and all measurements of them."""
        from stages import blocklists, c4_variants, lines, measuring  # noqa: PLC0415 - likewise

        columns = measuring.measured(texts, langs)
        profiles = columns["profile"].to_pylist()
        before = texts
        texts, of_lines = c4_variants.c4_measured(
            texts, profiles, self.thresholds, self.variants.c4, apply="c4" in self.presets
        )
        if "refinedweb" in self.presets:
            texts, refinements = lines.refined(texts, profiles, self.thresholds)
            of_lines |= refinements
        if self.page_dedup:
            texts, of_lines["page_dedup"] = lines.without_repeated_lines(texts)
        if texts is not before:
            columns = measuring.measured(texts, langs, profiles)
        columns |= self.variants.measured(texts, profiles, columns) | of_lines
        columns["long_lines"] = lines.long_lines(texts)
        if self.block:
            listed = {language: self.paths(f"block.{language}") for language in self.block}
            columns["badwords"] = blocklists.blocked(texts, profiles, langs, listed)
        return texts, columns

    def _looked_up(self, rows: pa.Table, texts: pa.Array) -> dict[str, pa.Array]:
        """The columns of what is looked up in lists and in earlier columns, where the recipe asks for it."""
        found: dict[str, pa.Array] = {}
        if self.url:
            urls = rows["url"].to_pylist() if "url" in rows.column_names else [None] * len(rows)
            found |= self.url.measured(urls, {label: self.paths(label) for label in self.url.files()})
        if self.banned:
            found["banned"] = banned(texts.to_pylist(), self.banned)
        if self.scores:
            found["scores"] = out_of_bounds(rows, self.scores)
        return found

    def bounds(self, profile: str | None) -> dict[str, Bound]:
        """Rule -> what it accepts of documents of a profile, in the order in which reasons are looked for."""
        given = {"block": self.block, "url": self.url, "banned": self.banned, "scores": self.scores}
        presets = (*self.presets, *(name for name, value in given.items() if value))
        judged = self.variants.profile(PROFILES.get(profile or "", ANY))
        return self.variants.ordered(effective(presets, self.thresholds, judged))

    def judge(self, columns: Mapping[str, pa.Array]) -> list[str | None]:
        """The first rule that each row fails, from its measurements alone."""
        profiles = columns["profile"].to_numpy(zero_copy_only=False)
        reasons = np.full(len(profiles), None, np.object_)
        for name in sorted(set(profiles)):
            chosen = np.flatnonzero(profiles == name)
            judged = self.bounds(name)
            if judged:
                reasons[chosen] = first_reasons(
                    {rule: values.take(pa.array(chosen)) for rule, values in columns.items()}, judged
                )
        if self.pii == "drop":
            for kind in reversed(self.pii_kinds):
                reasons[columns[f"pii_{kind}"].to_numpy() > 0] = f"pii.{kind}"
        reasons[columns["chars"].to_numpy() == 0] = "empty"
        return list(reasons)
