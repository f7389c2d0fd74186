"""Which implementation's reading of a family of rules is measured (RULES 2-5, tables of variants).

The public implementations of Gopher's, C4's and FineWeb's rules disagree. The default is RULES' own; a variant
replaces the values of the family's columns by what another implementation computes, and, where that one has
no such rule or another threshold, the bounds. Reasons and columns keep their names.

Two things differ from those implementations, always. Where a variant's words are pieces between white space,
documents of scripts without spaces keep the default's values: such words mean nothing there. And a variant
whose name ends in `_uax29` has the segments of UAX #29 that are not white space (punctuation marks count, one
by one) where datatrove has the tokens of a tokenizer by language (spaCy for English): those split "isn't" in
two and keep "..." whole, these do the opposite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from stages.profiles import OFF, Bound, Profile

__all__ = ["Variants"]

_FINEWEB2: Final = {"fineweb.short_line_ratio": OFF, "fineweb.char_dup_ratio": Bound(max=0.1)}
_NO_PARAGRAPHS: Final = {"gopher_rep.dup_para_frac": OFF, "gopher_rep.dup_para_char_frac": OFF}
_PARAGRAPHS_FIRST: Final = ("gopher_rep.dup_para_frac", "gopher_rep.dup_para_char_frac")
_LINES_FIRST: Final = "gopher_rep.dup_line_frac"


class Variants(BaseModel):
    """The implementation that each family of rules follows."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    gopher: Literal["default", "ws_alnum", "rae2021", "datatrove_uax29", "dolma", "dolma_v2", "nemo"] = (
        "default"
    )
    """Gopher's quality rules (RULES 2).

    `ws_alnum`: `words` are pieces between white space that begin with a letter or digit, as in DCLM's recipe.
    `rae2021`: stop words are counted once each; `symbol_ratio` is the greater of the ratios of hashes and of
    ellipses. `datatrove_uax29`: over segments; words are those that are not punctuation alone; hashes and
    ellipses (`...`, `…`) apart, by segments; lines of `str.splitlines`, blank ones too; bullets • and -; distinct
    stop words in their own case. `dolma`: `words` are pieces between white space, `mean_word_length` is their
    median; pieces with # or …; bullets * and - and the ellipsis … of lines that are not stripped, blank ones
    too (`dolma_v2`: not); stop words in their own case. `nemo`: pieces; a piece is a symbol if it is an
    ellipsis or more than half #; twelve Unicode bullets; ellipses in brackets and "read more"; stop words in
    their own case.
    """

    gopher_rep: Literal["default", "datatrove_uax29", "dolma", "dolma_v2", "nemo", "position_set_top"] = (
        "default"
    )
    """Gopher's repetition rules (RULES 3).

    `datatrove_uax29`: later copies of lines and paragraphs that are not stripped, characters by those of the
    text, paragraphs first; n-grams of segments, the most frequent one with its spaces, the first of equals,
    also if it occurs once; repeated ones by a scan that skips each whole. `dolma`: all copies of lines that
    are not stripped (`dolma_v2`: runs of line feeds part them), no paragraphs; n-grams of pieces between white
    space, the first of equals, also if it occurs once; repeated ones by characters of all n-grams. `nemo`:
    later copies; characters that go when the most frequent n-gram is deleted from the text (of equals the
    longest, then the first: the original depends on PYTHONHASHSEED); fewer words than n: 1.
    `position_set_top`: as the default, but words under overlapping copies of the most frequent n-gram count
    once (of equals the longest, then the first).
    """

    c4: Literal["default", "c4_early_text", "page_level"] = "default"
    """C4's rules (RULES 4).

    `c4_early_text`: the paper's text and datatrove: lines of 3 words, 5 sentences, and ' ends a line too.
    `page_level`: lorem ipsum and braces condemn the page wherever they stand in it; … ends a line; blank lines
    stay.
    """

    fineweb: Literal["default", "datatrove_uax29", "fineweb2_uax29"] = "default"
    """FineWeb's rules (RULES 5).

    `datatrove_uax29`: endings and lengths of lines with their trailing white space, line feeds by segments.
    `fineweb2_uax29`: likewise, with FineWeb2's bounds for every language, English too: no
    `short_line_ratio`, `char_dup_ratio` at most 0.1.
    """

    def profile(self, profile: Profile) -> Profile:
        """A profile with the bounds that the variants change."""
        bounds: dict[str, Bound] = {}
        if self.gopher_rep in {"dolma", "dolma_v2"}:
            bounds |= _NO_PARAGRAPHS
        if self.c4 == "c4_early_text" and profile.bounds.get("c4.min_sentences") != OFF:
            bounds["c4.min_sentences"] = Bound(min=5)
        if self.fineweb == "fineweb2_uax29":
            bounds |= _FINEWEB2
        return Profile(profile.name, profile.script, {**profile.bounds, **bounds}, profile.stop_words)

    def ordered(self, bounds: Mapping[str, Bound]) -> dict[str, Bound]:
        """Bounds in the order in which reasons are looked for: datatrove tests paragraphs before lines."""
        names = list(bounds)
        if self.gopher_rep == "datatrove_uax29" and _LINES_FIRST in bounds:
            moved = [name for name in _PARAGRAPHS_FIRST if name in bounds]
            names = [name for name in names if name not in moved]
            place = names.index(_LINES_FIRST)
            names[place:place] = moved
        return {name: bounds[name] for name in names}

    def measured(
        self, texts: pa.Array, names: Sequence[str], columns: Mapping[str, pa.Array]
    ) -> dict[str, pa.Array]:
        """The columns of `measuring.measured` that the variants replace (C4's are `c4_variants`' business).

        Args:
            texts: large_string, no nulls.
            names: profile of each text.
            columns: the default's values.
        """
        found: dict[str, pa.Array] = {}
        if self.gopher != "default" or self.fineweb != "default":
            from stages import gopher_variants  # noqa: PLC0415 - Numba is for workers, not for plans

            if self.gopher != "default":
                found |= gopher_variants.quality(texts, names, self.gopher, columns)
            if self.fineweb != "default":
                found |= gopher_variants.fineweb(texts)
        if self.gopher_rep != "default":
            from stages import repetition_variants  # noqa: PLC0415 - likewise

            found |= repetition_variants.repetition(texts, names, self.gopher_rep, columns)
        return found
