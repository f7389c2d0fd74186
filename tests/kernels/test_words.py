"""Words are those of UAX #29 that begin with a letter or number, and equal words have equal hashes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words as uax29_words

from stages.kernels.words import JOINS, word_breaks, words


def found(text: str) -> tuple[list[int], list[int]]:
    """Lengths and hashes of the kernel's words."""
    data = np.frombuffer(text.encode(), np.uint8)
    hashes = np.zeros(len(data), np.uint64)
    lengths = np.zeros(len(data), np.int32)
    count = words(data, 0, len(data), word_breaks(), JOINS, hashes, lengths)
    return lengths[:count].tolist(), hashes[:count].tolist()


def expected(text: str) -> list[str]:
    """The oracle: uniseg's segments that begin with a letter or number."""
    return [word for word in uax29_words(text) if word[0].isalnum()]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It isn't 12,500 or 7.25, is it?", 7),
        ("e-mail me at 10:30", 6),
        ("snake_case and _private", 2),
        ("漢字カタカナひらがな", 2 + 1 + 4),
        ("ภาษา", 4),
        ("한국어 문장", 2),
        ('צ"ל', 1),
        ("...", 0),
        ("", 0),
        ("a\u0301b", 1),
        ("the terms of useא and the rest", 7),
    ],
)
def test_counts_words_of_many_scripts(text: str, count: int) -> None:
    """Apostrophes, separators inside numbers and marks do not end a word; Han and Thai letters are words."""
    assert len(found(text)[0]) == count


# Characters of every word-break class, so that random texts meet every rule.
AWKWARD = st.text("ab1א ‍ℹ'.,:_\"\n\r\u0301\u00ad\u200dカ漢ก中'’;\u2060É🇩🇪👩\u3031²ー", max_size=40)


PIECES = st.lists(
    st.sampled_from(
        ["the ", "terms ", "of ", "use", "א", "é", "漢", "カ", "'", ".", ", ", "\u0301", "!", "1", "_", "\n"]
    ),
    max_size=20,
).map("".join)


@given(AWKWARD | st.text(max_size=40) | PIECES)
@settings(max_examples=300, deadline=None)
def test_segments_as_uax29(text: str) -> None:
    """Lengths of words equal uniseg's, on random Unicode and on dense mixtures of all classes."""
    # Versions of Unicode differ in characters assigned lately; the rules do not.
    text = "".join(c for c in text if c.isascii() or c.isalnum() or c in "‍\u0301\u00ad\u200d’\u2060👩🇩🇪ー")
    assert found(text)[0] == [len(word) for word in expected(text)]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "ab", "ba", "aa", "ä", "漢", "1", "1.5"]), max_size=30))
def test_hashes_tell_words_apart(parts: list[str]) -> None:
    """Two words have the same hash when, and only when, they are the same."""
    text = " ".join(parts)
    spelled = expected(text)
    _, hashes = found(text)
    assert len(set(zip(spelled, hashes, strict=True))) == len(set(spelled)) == len(set(hashes))
