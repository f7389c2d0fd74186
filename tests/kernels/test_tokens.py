"""Tokens of other implementations: UAX #29 segments as uniseg has them, and long lines."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words as uax29_segments

from stages.kernels import tokens as t
from stages.kernels.longlines import count_long_lines

# Versions of Unicode differ in characters assigned lately; the rules do not.
AWKWARD = st.text("ab1א ‍ℹ'.,:_\"\n\u0301\u00ad\u200dカ漢ก中'’;\u2060É🇩🇪👩\u3031²ー", max_size=40)
RANDOM = st.text(max_size=30).map(lambda text: "".join(c for c in text if c.isascii() or c.isalnum()))
PIECES = st.lists(
    st.sampled_from(
        ["a", "the", "The", " ", "\n", ".", "...", "_", "'", "7.25", "é", "e\u0301", "漢", "カ", "\u3000"]
    ),
    max_size=30,
).map("".join)
LISTS = [("the", "of"), ("漢",)]


def packed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts one after another, and where each begins."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)]).astype(np.int64)


@given(st.lists(AWKWARD | RANDOM | PIECES, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_segments_are_those_of_uax29(texts: list[str]) -> None:
    """Counts of segments that do not begin with white space, for any texts one after another."""
    chosen = np.array([place % 2 for place in range(len(texts))])
    found = t.counts(*packed(texts), LISTS, chosen).tolist()
    for text, row, words in zip(texts, found, map(LISTS.__getitem__, chosen), strict=True):
        tokens = [token for token in uax29_segments(text) if not token[0].isspace()]
        plain = [token for token in tokens if any(c not in t.PUNCTUATION for c in token)]
        assert row == [
            len(tokens),
            len(plain),
            sum(map(len, plain)),
            sum(not any(c.isalpha() for c in token) for token in tokens),
            len(set(words) & set(tokens)),
        ]


@given(
    st.lists(st.lists(st.sampled_from(["ab", "é", "漢字", "\n", "😀"]), max_size=12).map("".join), max_size=3)
)
@settings(max_examples=200, deadline=None)
def test_long_lines_are_counted_in_characters(texts: list[str]) -> None:
    """A line that is just long enough counts, whatever its bytes."""
    found = count_long_lines(*packed(texts), 3)
    assert found.tolist() == [sum(len(line) >= 3 for line in text.split("\n")) for text in texts]
