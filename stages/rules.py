"""The document rules of RULES 1-7 as one table: measurement column, reason code, preset, bounds.

A rule `family.name` is decided from the column `name` (or the one that it names), which is stored for every
document whether or not a rule looks at it, so that bounds can be tried later without computing anything again.
A value equal to a bound is kept; a value that does not exist (a ratio of nothing) fails, if its rule is on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.profiles import Bound, Profile

__all__ = [
    "IDENTIFIERS",
    "LINE_RULES",
    "MEASURES",
    "RULES",
    "Rule",
    "column_of",
    "described",
    "effective",
    "first_reasons",
]

MEASURES: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "chars": (pa.int64(), "characters (code points)"),
    "letters": (pa.int64(), "letters"),
    "alnum_char_ratio": (pa.float64(), "letters and numbers / characters"),
    "lines": (pa.int64(), "lines that are not blank"),
    "paragraphs": (pa.int64(), "paragraphs that are not blank"),
    "sentences": (pa.int64(), "sentences, by the splitter gristmill-1"),
    "long_lines": (pa.int64(), "lines of at least 200 characters"),
    "line_length_max": (pa.int64(), "characters of the longest line"),
    "line_length_avg": (pa.float64(), "characters without line feeds / lines, blank ones too"),
    "words": (pa.int64(), "words by UAX #29"),
    "mean_word_length": (pa.float64(), "characters of tokens / tokens (pieces between white space)"),
    "symbol_ratio": (pa.float64(), "# and ellipses / tokens"),
    "bullet_lines": (pa.float64(), "lines that begin with a bullet / lines"),
    "ellipsis_lines": (pa.float64(), "lines that end with an ellipsis / lines"),
    "alpha_words": (pa.float64(), "tokens without a letter / tokens"),
    "stop_words": (pa.int64(), "tokens that are stop words of the profile"),
    "dup_line_frac": (pa.float64(), "lines that are not alone / lines"),
    "dup_para_frac": (pa.float64(), "paragraphs that are not alone / paragraphs"),
    "dup_line_char_frac": (pa.float64(), "characters of lines that are not alone / of lines"),
    "dup_para_char_frac": (pa.float64(), "characters of paragraphs that are not alone / of paragraphs"),
    **{
        f"top_{n}_gram": (
            pa.float64(),
            f"letters of all copies of the most frequent {n}-gram / letters of words",
        )
        for n in (2, 3, 4)
    },
    **{
        f"dup_{n}_gram": (pa.float64(), f"letters of words inside repeated {n}-grams / letters of words")
        for n in range(5, 11)
    },
    "max_word_length_lines": (pa.int64(), "lines that C4 removes for a token of more than 1000 characters"),
    "citations": (pa.int64(), "citation marks that C4 deletes"),
    "terminal_punct_lines": (pa.int64(), "lines that C4 removes because they end no sentence"),
    "min_words_lines": (pa.int64(), "lines that C4 removes for fewer than 5 tokens"),
    "lorem_ipsum": (pa.int64(), "lines with lorem ipsum among those that C4 leaves"),
    "javascript_lines": (pa.int64(), "lines that C4 removes because they mention javascript"),
    "curly_brace": (pa.int64(), "lines with { among those that C4 leaves"),
    "policy_lines": (pa.int64(), "lines that C4 removes because they mention terms, privacy or cookies"),
    "badwords": (pa.int64(), "occurrences of words of the block lists"),
    "min_sentences": (pa.int64(), "sentences in the lines that C4 leaves"),
    "line_punct_ratio": (pa.float64(), "lines that end with terminal punctuation / lines"),
    "short_line_ratio": (pa.float64(), "lines of at most 30 characters / lines"),
    "char_dup_ratio": (pa.float64(), "characters of later copies of lines / characters but line feeds"),
    "newline_ratio": (pa.float64(), "line feeds / words"),
    "uppercase_lines": (pa.int64(), "lines that RefinedWeb removes for more than half capitals"),
    "numeric_lines": (pa.int64(), "lines that RefinedWeb removes for being digits only"),
    "counter_lines": (pa.int64(), "lines that RefinedWeb removes for being like 12 likes"),
    "short_lines": (pa.int64(), "lines that RefinedWeb removes for fewer than 2 tokens"),
    "substring_lines": (pa.int64(), "short lines that RefinedWeb cuts phrases from"),
    "word_removal_ratio": (pa.float64(), "tokens that RefinedWeb's line rules removed / tokens before"),
    "page_dedup": (pa.int64(), "lines removed because an earlier one is the same"),
    "banned": (pa.int64(), "different strings of `banned` in the text"),
    "scores": (pa.int64(), "scores and metadata beyond the bounds of `scores`"),
    "url_domain": (pa.int64(), "hosts of the URL that are listed (0 or 1)"),
    "url_substring": (pa.int64(), "lists of strings that have enough hits in the URL"),
}
"""Column -> type and meaning. `lines` in a meaning: lines that are not blank."""

SECTIONS: Final = {
    "doc": 1, "score": 1, "gopher": 2, "gopher_rep": 3, "c4": 4, "fineweb": 5, "rw": 6, "url": 7, "pii": 8
}  # fmt: skip
"""Family of rules -> section of RULES."""


@dataclass(frozen=True)
class Rule:
    """A bound on a measurement.

    Attributes:
        code: the reason of a document that fails.
        preset: the preset, or the parameter of `clean`, that switches it on; empty: none.
        bound: what the preset accepts.
        measure: the column it looks at, if that is not the part of the code after the dot.
    """

    code: str
    preset: str
    bound: Bound
    measure: str = ""

    @property
    def column(self) -> str:
        """The measurement it looks at."""
        return self.measure or self.code.partition(".")[2]

    @property
    def sentence(self) -> str:
        """What a document that fails it is like."""
        limits = [f"below {self.bound.min}"] if self.bound.min is not None else []
        limits += [f"above {self.bound.max}"] if self.bound.max is not None else []
        return f"{MEASURES[self.column][1]}: {' or '.join(limits) or 'outside the bounds given'}"


# In the order of RULES, which is the order in which a reason is looked for.
RULES: Final = (
    Rule("doc.chars", "", Bound()),
    Rule("doc.words", "", Bound()),
    Rule("doc.sentences", "", Bound()),
    Rule("doc.lines", "", Bound()),
    Rule("doc.paragraphs", "", Bound()),
    Rule("doc.line_length_max", "code", Bound(max=1000)),
    Rule("doc.line_length_avg", "code", Bound(max=100)),
    Rule("doc.alnum_char_ratio", "code", Bound(min=0.25)),
    Rule("doc.substring", "banned", Bound(max=0), "banned"),
    Rule("score.threshold", "scores", Bound(max=0), "scores"),
    Rule("gopher.words", "gopher", Bound(50, 100_000)),
    Rule("gopher.mean_word_length", "gopher", Bound(3, 10)),
    Rule("gopher.symbol_ratio", "gopher", Bound(max=0.1)),
    Rule("gopher.bullet_lines", "gopher", Bound(max=0.9)),
    Rule("gopher.ellipsis_lines", "gopher", Bound(max=0.3)),
    Rule("gopher.alpha_words", "gopher", Bound(max=0.2)),
    Rule("gopher.stop_words", "gopher", Bound(min=2)),
    Rule("gopher_rep.dup_line_frac", "gopher", Bound(max=0.3)),
    Rule("gopher_rep.dup_para_frac", "gopher", Bound(max=0.3)),
    Rule("gopher_rep.dup_line_char_frac", "gopher", Bound(max=0.2)),
    Rule("gopher_rep.dup_para_char_frac", "gopher", Bound(max=0.2)),
    Rule("gopher_rep.top_2_gram", "gopher", Bound(max=0.2)),
    Rule("gopher_rep.top_3_gram", "gopher", Bound(max=0.18)),
    Rule("gopher_rep.top_4_gram", "gopher", Bound(max=0.16)),
    Rule("gopher_rep.dup_5_gram", "gopher", Bound(max=0.15)),
    Rule("gopher_rep.dup_6_gram", "gopher", Bound(max=0.14)),
    Rule("gopher_rep.dup_7_gram", "gopher", Bound(max=0.13)),
    Rule("gopher_rep.dup_8_gram", "gopher", Bound(max=0.12)),
    Rule("gopher_rep.dup_9_gram", "gopher", Bound(max=0.11)),
    Rule("gopher_rep.dup_10_gram", "gopher", Bound(max=0.1)),
    Rule("c4.lorem_ipsum", "c4", Bound(max=0)),
    Rule("c4.curly_brace", "c4", Bound(max=0)),
    Rule("c4.badwords", "block", Bound(max=0)),
    Rule("c4.min_sentences", "c4", Bound(min=3)),
    Rule("c4.paragraphs", "mc4", Bound(min=3), "long_lines"),
    Rule("fineweb.line_punct_ratio", "fineweb", Bound(min=0.12)),
    Rule("fineweb.short_line_ratio", "fineweb", Bound(max=0.67)),
    Rule("fineweb.char_dup_ratio", "fineweb", Bound(max=0.01)),
    Rule("fineweb.newline_ratio", "fineweb", Bound(max=0.3)),
    Rule("rw.word_removal_ratio", "refinedweb", Bound(max=0.05)),
    Rule("url.domain", "url", Bound(max=0), "url_domain"),
    Rule("url.substring", "url", Bound(max=0), "url_substring"),
)

_COLUMNS: Final = {rule.code: rule.column for rule in RULES}

IDENTIFIERS: Final = ("email", "ip", "cn_id", "card", "phone")
"""Kinds of personal identifiers, in the order in which they are looked for (RULES 8)."""

LINE_RULES: Final[Mapping[str, Bound]] = {
    "c4.max_word_length_lines": Bound(max=1000),
    "c4.citations": Bound(),
    "c4.terminal_punct_lines": Bound(),
    "c4.min_words_lines": Bound(min=5),
    "c4.javascript_lines": Bound(),
    "c4.policy_lines": Bound(),
    "rw.uppercase_lines": Bound(max=0.5),
    "rw.numeric_lines": Bound(),
    "rw.counter_lines": Bound(),
    "rw.short_lines": Bound(min=2),
    "rw.substring_lines": Bound(),
}
"""Rules that edit text instead of dropping it, with their bounds; their columns count what they remove."""


def column_of(code: str) -> str:
    """The measurement that a rule looks at."""
    return _COLUMNS.get(code) or code.partition(".")[2]


def described() -> dict[str, Any]:
    """Every rule and every column with what it is, its default and its section of RULES: JSON values."""
    rules = {
        rule.code: {
            "drops": rule.sentence,
            "column": rule.column,
            "switched on by": rule.preset or "thresholds",
            "default": {"min": rule.bound.min, "max": rule.bound.max},
            "source": f"RULES {SECTIONS[rule.code.partition('.')[0]]}",
        }
        for rule in RULES
    }
    for code, bound in LINE_RULES.items():
        family, _, column = code.partition(".")
        rules[code] = {
            "edits": MEASURES[column][1],
            "column": column,
            "switched on by": {"c4": "c4", "rw": "refinedweb"}[family],
            "default": {"min": bound.min, "max": bound.max},
            "source": f"RULES {SECTIONS[family]}",
        }
    sections = {rule["column"]: rule["source"] for rule in reversed(rules.values())}
    rules["empty"] = {
        "drops": "nothing but white space is left", "column": "chars", "switched on by": "always",
        "default": {"min": 1, "max": None}, "source": "RULES 0.3",
    }  # fmt: skip
    for kind in IDENTIFIERS:
        rules[f"pii.{kind}"] = {
            "drops": f"holds personal identifiers, {kind} first", "column": f"pii_{kind}",
            "switched on by": "pii: drop", "default": {"min": None, "max": 0}, "source": "RULES 8",
        }  # fmt: skip
    columns = {
        name: f"{meaning} ({sections.get(name, 'RULES 6' if name == 'page_dedup' else 'RULES 1')})"
        for name, (_, meaning) in MEASURES.items()
    }
    columns |= {f"pii_{kind}": f"identifiers of the kind {kind} (RULES 8)" for kind in IDENTIFIERS}
    columns |= {
        "text": "the text as it is stored (RULES 8.1)",
        "bytes": "bytes of the stored text in UTF-8",
        "profile": "the language profile that the document is judged by (RULES 9.3)",
    }
    return {"x-rules": rules, "x-columns": columns}


def effective(
    presets: Sequence[str], thresholds: Mapping[str, Bound | None], profile: Profile
) -> dict[str, Bound]:
    """The bounds that judge a document of this profile, by rule, in the order of RULES.

    A threshold replaces those sides of the preset's or profile's bound that it names, and switches on a rule
    that no preset has; None, and -1 for C4's, switches the rule off.
    """
    bounds: dict[str, Bound] = {}
    for rule in RULES:
        on = rule.preset in presets
        bound = profile.bounds.get(rule.code, rule.bound) if on else Bound()
        if rule.code in thresholds:
            given = thresholds[rule.code]
            if given is None:
                continue
            bound = Bound(
                bound.min if given.min is None else given.min, bound.max if given.max is None else given.max
            )
        if rule.code.startswith("c4."):  # -1 is how C4's tools write "off"
            bound = Bound(*(None if limit == -1 else limit for limit in (bound.min, bound.max)))
        if bound.min is not None or bound.max is not None:
            bounds[rule.code] = bound
    return bounds


def first_reasons(columns: Mapping[str, pa.Array], bounds: Mapping[str, Bound]) -> npt.NDArray[np.object_]:
    """The first rule that each row fails, None where it fails none.

    Args:
        columns: the measurements, equally long.
        bounds: `effective(...)`.
    """
    rows = len(columns["chars"])
    reasons = np.full(rows, None, np.object_)
    for code, bound in reversed(list(bounds.items())):
        values = columns[column_of(code)].to_numpy(zero_copy_only=False).astype(np.float64)
        kept = ~np.isnan(values)
        if bound.min is not None:
            kept &= values >= bound.min
        if bound.max is not None:
            kept &= values <= bound.max
        reasons[~kept] = code
    return reasons
