"""Arrow columns of measurements (RULES 1-5) from the integers that the kernels count.

Also decides which language profile a document is measured and judged by. Bounds and reasons are `rules`'
business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import from_utf8, utf8
from stages.kernels import c4 as c
from stages.kernels import measures as m
from stages.kernels import repetition as r
from stages.kernels.scripts import COMMON, SCRIPTS, scripts
from stages.kernels.sentences import count_sentences
from stages.profiles import ANY, PROFILES, UNMARKED, UNSPACED, WITHOUT_SPACES, Bound, Profile, of_language
from stages.repair import tidied
from stages.rules import LINE_RULES

__all__ = ["c4_measured", "measured"]

_LISTED: Final = tuple(profile for profile in PROFILES.values() if profile.stop_words)
_PLACE: Final = {profile.name: place for place, profile in enumerate(_LISTED)}
_STYLES: Final = {
    name: c.UNMARKED if PROFILES[name].script in UNMARKED else c.UNSPACED for name in WITHOUT_SPACES
}


@cache
def _stop_words() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    return m.stop_word_table([profile.stop_words for profile in _LISTED])


def profiles(
    langs: Sequence[str | None] | None, written: npt.NDArray[np.uint8], stops: npt.NDArray[np.int32]
) -> list[Profile]:
    """The profile of every document: its language's, or the best match among those of its script.

    A language without a profile, or one whose stop words are in another script than the document (Serbian in
    Latin letters), is judged as ANY; in a script without spaces as the script's first.

    Args:
        langs: labels of `langid`, None where it did not run.
        written: places in SCRIPTS, uint8[n].
        stops: stop words by list, int32 (n, lists).
    """
    chosen = np.full(len(written), ANY, np.object_)
    for script in np.unique(written).tolist():
        rows = np.flatnonzero(written == script)
        found = [profile for profile in PROFILES.values() if profile.script == SCRIPTS[script]]
        listed = [_PLACE[profile.name] for profile in found if profile.stop_words]
        if listed:  # the one with most stop words, the first of equals
            chosen[rows] = np.array(_LISTED, np.object_)[listed][stops[rows][:, listed].argmax(axis=1)]
        elif found:
            chosen[rows] = found[0]
    for row, lang in enumerate(langs or ()):
        if lang is None or lang == "und":
            continue
        own, script = of_language(lang), SCRIPTS[written[row]]
        if own is None or (own.stop_words and script not in (own.script, COMMON)):
            own = chosen[row] if script in UNSPACED else ANY
        chosen[row] = own
    return list(chosen)


def ratio(count: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> pa.Array:
    """One float64 division of two integers by row, null where the total is 0 (RULES 0.2)."""
    nothing = total == 0
    return pa.array(count / np.where(nothing, 1, total), pa.float64(), mask=nothing)


def measured(
    texts: pa.Array, langs: Sequence[str | None] | None, names: Sequence[str] | None = None
) -> dict[str, pa.Array]:
    """`profile` and the columns of `rules.MEASURES` but C4's.

    Args:
        texts: large_string, no nulls.
        langs: labels of `langid`, None where it did not run.
        names: the profiles, where they are chosen already.
    """
    data, bounds = utf8(texts)
    counts, stops = m.measure(data, bounds, _stop_words(), len(_LISTED))
    repeated = r.repetition(data, bounds)
    words, word_chars = repeated[:, r.WORDS], repeated[:, r.WORD_CHARS]
    chosen = (
        profiles(langs, scripts(data, bounds), stops)
        if names is None
        else [PROFILES.get(name, ANY) for name in names]
    )
    places = np.array([_PLACE.get(profile.name, -1) for profile in chosen], np.int64)
    counted = np.where(places < 0, 0, stops[np.arange(len(stops)), places]) if len(stops) else places
    chars, lines, tokens = counts[:, m.CHARS], counts[:, m.LINES], counts[:, m.TOKENS]
    newlines = counts[:, m.NEWLINES]
    return {
        "profile": pa.array([profile.name for profile in chosen], pa.string()),
        "chars": pa.array(chars),
        "letters": pa.array(counts[:, m.LETTERS]),
        "alnum_char_ratio": ratio(counts[:, m.ALNUM], chars),
        "lines": pa.array(lines),
        "paragraphs": pa.array(counts[:, m.PARAGRAPHS]),
        "sentences": pa.array(count_sentences(data, bounds)),
        "line_length_max": pa.array(counts[:, m.LONGEST_LINE]),
        # The stored text never ends with a line feed, so there is one line more than line feeds.
        "line_length_avg": ratio(chars - newlines, np.where(chars > 0, newlines + 1, 0)),
        "words": pa.array(words),
        "mean_word_length": ratio(counts[:, m.TOKEN_CHARS], tokens),
        "symbol_ratio": ratio(counts[:, m.SYMBOLS], tokens),
        "bullet_lines": ratio(counts[:, m.BULLETS], lines),
        "ellipsis_lines": ratio(counts[:, m.ELLIPSES], lines),
        "alpha_words": ratio(counts[:, m.TOKENS_WITHOUT_LETTER], tokens),
        "stop_words": pa.array(counted.astype(np.int64)),
        "dup_line_frac": ratio(repeated[:, r.DUP_LINES], repeated[:, r.LINES]),
        "dup_para_frac": ratio(repeated[:, r.DUP_PARAGRAPHS], repeated[:, r.PARAGRAPHS]),
        "dup_line_char_frac": ratio(repeated[:, r.DUP_LINE_CHARS], repeated[:, r.LINE_CHARS]),
        "dup_para_char_frac": ratio(repeated[:, r.DUP_PARAGRAPH_CHARS], repeated[:, r.PARAGRAPH_CHARS]),
        **{
            f"top_{n}_gram": ratio(repeated[:, r.TOP_2 + n - 2], np.maximum(word_chars, 1)) for n in (2, 3, 4)
        },
        **{
            f"dup_{n}_gram": ratio(repeated[:, r.DUP_5 + n - 5], np.maximum(word_chars, 1))
            for n in range(5, 11)
        },
        "line_punct_ratio": ratio(counts[:, m.TERMINALS], lines),
        "short_line_ratio": ratio(counts[:, m.SHORTS], lines),
        "char_dup_ratio": ratio(repeated[:, r.EXTRA_LINE_CHARS], chars - newlines),
        "newline_ratio": ratio(newlines, words),
    }


def c4_measured(
    texts: pa.Array, names: Sequence[str], thresholds: Mapping[str, Bound | None], *, apply: bool
) -> tuple[pa.Array, dict[str, pa.Array]]:
    """What C4's line rules leave of these texts, and the columns that count what they remove.

    Args:
        texts: large_string, no nulls.
        names: profile of each text: English lines end with . ? ! or ", others with their own marks too, those of
            scripts without such marks as they like; lines of scripts without spaces have no tokens to count.
        thresholds: bounds that replace those of `rules.LINE_RULES`; None switches a rule off.
        apply: whether the lines are removed; else the texts are returned as they are.
    """
    data, bounds = utf8(texts)
    styles = [c.ENGLISH if name == "en" else _STYLES.get(name, c.SPACED) for name in names]
    rules = {code: thresholds.get(code, bound) for code, bound in LINE_RULES.items()}
    longest, fewest = rules["c4.max_word_length_lines"], rules["c4.min_words_lines"]
    left, places, found = c.c4(
        data,
        bounds,
        np.array(styles, np.uint8),
        longest_word=-1 if longest is None or longest.max is None else int(longest.max),
        citing=rules["c4.citations"] is not None,
        terminal=rules["c4.terminal_punct_lines"] is not None,
        fewest_words=0 if fewest is None or fewest.min is None else int(fewest.min),
        javascript=rules["c4.javascript_lines"] is not None,
        policy=rules["c4.policy_lines"] is not None,
    )
    columns = {
        "max_word_length_lines": c.LONG_WORDS,
        "citations": c.CITATIONS,
        "terminal_punct_lines": c.UNTERMINATED,
        "min_words_lines": c.SHORT,
        "lorem_ipsum": c.LOREM,
        "javascript_lines": c.JAVASCRIPT,
        "curly_brace": c.BRACE,
        "policy_lines": c.POLICY,
        "min_sentences": c.SENTENCES,
    }
    if apply:
        texts = from_utf8(*tidied((left, places), composed=False))
    return texts, {name: pa.array(found[:, place]) for name, place in columns.items()}
