"""Block lists: words and phrases by language; documents that hold one are dropped (RULES 4, bad words).

Matching is by whole words, in any case; inside words too where a script writes no spaces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.attached import Stamped, listed, stamped
from stages.base import StageError
from stages.columns import utf8
from stages.kernels.blocking import occurrences
from stages.kernels.matching import Matcher, matcher
from stages.profiles import PROFILES, WITHOUT_SPACES

EVERY = "all"
"""The list that is for every language."""


@cache
def _listed(files: Stamped) -> tuple[Matcher, npt.NDArray[np.int64]]:
    """The automaton of the words in these files, and their sizes in bytes."""
    patterns: dict[bytes, None] = {}
    for line in listed(files, "block list"):
        word = unicodedata.normalize("NFC", line)  # as texts are
        # The automaton folds ASCII; other letters are listed in the forms that text has.
        for form in (word.lower(), word.title(), word.upper(), word):
            patterns[form.encode() if not form.isascii() else form.lower().encode()] = None
    return matcher(list(patterns)), np.array([len(pattern) for pattern in patterns], np.int64)


def blocked(
    texts: pa.Array,
    names: Sequence[str],
    langs: Sequence[str | None] | None,
    lists: Mapping[str, tuple[Path, ...]],
) -> pa.Array:
    """How often each text holds a listed word: int64.

    Args:
        texts: large_string, no nulls.
        names: profile of each text.
        langs: labels of `langid`, None where it did not run.
        lists: language (a profile's, or as `langid` has it), or EVERY, -> files.

    Raises:
        StageError: a list is no UTF-8 or empty, or its language is one that only `langid` could find.
    """
    data, bounds = utf8(texts)
    counts = np.zeros(len(texts), np.int64)
    of_row, labels = np.array(names, np.object_), np.array(names if langs is None else langs, np.object_)
    without_spaces = np.array([name in WITHOUT_SPACES for name in names], np.bool_)
    for language, paths in sorted(lists.items()):
        found, sizes = _listed(stamped(paths))
        if langs is None and language != EVERY and language not in PROFILES:
            raise StageError(
                f"clean: block names {language!r}, which is told by its script neither from other languages nor "
                f"at all; put langid before clean, or list the words under one of {', '.join(PROFILES)} or {EVERY}"
            )
        mine = (of_row == language) | (labels == language) | (language == EVERY)
        for anywhere in (False, True):
            rows = np.flatnonzero(mine & (without_spaces == anywhere))
            occurrences(data, bounds, rows, found, sizes, anywhere=anywhere, counts=counts)
    return pa.array(counts)
