"""Arrow columns of measurements (RULES 1-5) from the integers that the kernels count.

Also decides which language profile a document is measured and judged by. Bounds and reasons are `rules`'
business.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import utf8
from stages.kernels import measures as m
from stages.kernels.scripts import SCRIPTS, scripts
from stages.kernels.words import count_words
from stages.profiles import ANY, PROFILES, Profile

__all__ = ["measured"]

_LISTED: Final = tuple(profile for profile in PROFILES.values() if profile.stop_words)
_PLACE: Final = {profile.name: place for place, profile in enumerate(_LISTED)}


@cache
def _stop_words() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    return m.stop_word_table([profile.stop_words for profile in _LISTED])


@cache
def _candidates() -> dict[int, tuple[Profile, ...]]:
    """Profiles by script, as a place in SCRIPTS."""
    return {
        place: tuple(profile for profile in PROFILES.values() if profile.script == script)
        for place, script in enumerate(SCRIPTS)
    }


def _by_script(script: int, stops: npt.NDArray[np.int32]) -> Profile:
    found = _candidates()[script]
    if len(found) < 2:
        return found[0] if found else ANY
    return max(found, key=lambda profile: stops[_PLACE[profile.name]])  # the first of equals


def profiles(
    langs: list[str | None] | None, written: npt.NDArray[np.uint8], stops: npt.NDArray[np.int32]
) -> list[Profile]:
    """The profile of every document: its language's, or the best match among those of its script.

    Args:
        langs: labels of `langid`, None where it did not run; unknown languages have the profile ANY.
        written: places in SCRIPTS, uint8[n].
        stops: stop words by list, int32 (n, lists).
    """
    if langs is None:
        langs = [None] * len(written)
    return [
        PROFILES.get(lang, ANY) if lang not in (None, "und") else _by_script(int(script), row)
        for lang, script, row in zip(langs, written.tolist(), stops, strict=True)
    ]


def ratio(count: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> pa.Array:
    """One float64 division of two integers by row, null where the total is 0 (RULES 0.2)."""
    nothing = total == 0
    return pa.array(count / np.where(nothing, 1, total), pa.float64(), mask=nothing)


def measured(texts: pa.Array, langs: list[str | None] | None) -> dict[str, pa.Array]:
    """The columns of `rules.MEASURES` and `profile` for these texts (large_string, no nulls)."""
    data, bounds = utf8(texts)
    counts, stops = m.measure(data, bounds, _stop_words(), len(_LISTED))
    words = count_words(data, bounds)
    chosen = profiles(langs, scripts(data, bounds), stops)
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
        "line_punct_ratio": ratio(counts[:, m.TERMINALS], lines),
        "short_line_ratio": ratio(counts[:, m.SHORTS], lines),
        "newline_ratio": ratio(newlines, words),
    }
