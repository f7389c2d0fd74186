"""Repeated lines, paragraphs and n-grams, by the definitions of RULES 3 and 5 on strings."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words as uax29_words

from stages.kernels import repetition as r


def repeated(segments: list[str]) -> list[int]:
    """How many segments, how many not alone, characters of all, characters of those not alone."""
    copies = Counter(segments)
    return [
        len(segments),
        sum(copies[s] for s in copies if copies[s] > 1),
        sum(map(len, segments)),
        sum(copies[s] * len(s) for s in copies if copies[s] > 1),
    ]


def top(words: list[str], n: int) -> int:
    """Characters of the most frequent n-gram, all occurrences; of equals, of the longest."""
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    most = max(grams.values(), default=1)
    if most == 1:
        return 0
    return most * max(sum(map(len, gram)) for gram, times in grams.items() if times == most)


def covered(words: list[str], n: int) -> int:
    """Characters of the words covered by n-grams that occur more than once."""
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    copies = Counter(grams)
    marked = {i + k for i, gram in enumerate(grams) if copies[gram] > 1 for k in range(n)}
    return sum(len(words[i]) for i in marked)


def reference(text: str) -> list[int]:
    """One row of the kernel's result, slowly."""
    words = [word for word in uax29_words(text) if word[0].isalnum()]
    raw = Counter(line.rstrip() for line in text.split("\n") if line.strip())
    return [
        len(words),
        sum(map(len, words)),
        *(top(words, n) for n in (2, 3, 4)),
        *(covered(words, n) for n in range(5, 11)),
        *repeated([line.strip() for line in text.split("\n") if line.strip()]),
        *repeated([piece.strip() for piece in text.split("\n\n") if piece.strip()]),
        sum((times - 1) * len(line) for line, times in raw.items()),
    ]


def counted(texts: list[str]) -> list[list[int]]:
    """The kernel's result for texts one after another."""
    encoded = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    rows: list[list[int]] = r.repetition(np.frombuffer(b"".join(encoded), np.uint8), bounds).tolist()
    return rows


PIECES = st.sampled_from(
    ["a ", "a ", "b ", "cc ", "dd, ", "é ", "漢", "\n", "\n\n", "\n ", "1²", "a b c d e f\n"]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@given(st.lists(TEXTS, max_size=3))
@settings(max_examples=300, deadline=None)
def test_equals_the_definitions(texts: list[str]) -> None:
    """Any texts, one after another, give what the definitions give on strings."""
    assert counted(texts) == [reference(text) for text in texts]


@given(st.text("1²", max_size=60))
@settings(max_examples=100, deadline=None)
def test_has_room_for_the_shortest_words(text: str) -> None:
    """Digits and superscripts are the densest words there are; no buffer overflows."""
    assert counted([text])[0][r.WORDS] == reference(text)[0]


def test_of_equally_frequent_ngrams_the_longest_counts() -> None:
    """`aa bb` and `c d` occur twice each: the value is the longer one's, wherever it stands."""
    for text in ("aa bb x c d y aa bb z c d", "c d x aa bb y c d z aa bb"):
        assert counted([text])[0][r.TOP_2] == 8


def test_overlapping_copies_all_count() -> None:
    """Five times the same word hold four 2-grams of two letters: eight of five letters."""
    row = counted(["a a a a a"])[0]
    assert (row[r.TOP_2], row[r.WORD_CHARS]) == (8, 5)


def test_a_word_is_covered_once() -> None:
    """Overlapping repeated 5-grams mark each word once (RULES 3)."""
    assert counted(["a b c d e f a b c d e f"])[0][r.DUP_5] == 12


def test_every_longer_ngram_is_rarer() -> None:
    """What a repeated n-gram covers, repeated (n-1)-grams cover too."""
    row = counted(["the same six words come again, " * 3 + "and then the same six words do not"])[0]
    assert all(longer <= shorter for shorter, longer in pairwise(row[r.DUP_5 : r.DUP_5 + 6]))
