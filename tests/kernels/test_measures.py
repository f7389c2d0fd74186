"""The counts of the one scan equal those of plain Python on strings (RULES 1, 2, 5)."""

import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels import measures as m
from stages.kernels.characters import TERMINAL_MARKS

LISTS = [["the", "of", "to"], ["der", "und", "für", "το"], ["the", "und"]]


def reference(text: str) -> dict[int, int]:
    """Every count, by string methods."""
    tokens = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    ends = [line.strip() for line in lines]
    return {
        m.CHARS: len(text),
        m.ALNUM: sum(unicodedata.category(c)[0] in "LN" for c in text),
        m.LETTERS: sum(c.isalpha() for c in text),
        m.DIGITS: sum(c.isdigit() and unicodedata.category(c)[0] == "N" for c in text),
        m.NEWLINES: text.count("\n"),
        m.LINES: len(lines),
        m.PARAGRAPHS: sum(bool(piece.strip()) for piece in text.split("\n\n")),
        m.LONGEST_LINE: max(map(len, text.split("\n"))),
        m.TOKENS: len(tokens),
        m.TOKEN_CHARS: sum(map(len, tokens)),
        m.TOKENS_WITHOUT_LETTER: sum(not any(c.isalpha() for c in token) for token in tokens),
        m.SYMBOLS: sum(text.count(symbol) for symbol in ("#", "...", ". . .", "…")),
        m.BULLETS: sum(line.startswith(("●", "•", "*", "-")) for line in ends),
        m.ELLIPSES: sum(line.endswith(("...", ". . .", "…")) for line in ends),
        m.TERMINALS: sum(line[-1] in TERMINAL_MARKS for line in ends),
        m.SHORTS: sum(len(line.rstrip()) <= m.SHORT_LINE for line in lines),
    }


def counted(texts: list[str]) -> tuple[list[list[int]], list[list[int]]]:
    """The kernel's counts and stop words."""
    encoded = [text.encode() for text in texts]
    bounds = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    counts, stops = m.measure(data, bounds, m.stop_word_table(LISTS), len(LISTS))
    return counts.tolist(), stops.tolist()


PIECES = st.sampled_from(
    ["the ", "to", "of", "Der ", "UND", "für", "το", "\n", "\n\n", " ", "\u3000", "\t", ".", "..", "...", ". . ",
     " .", "…", "#", "*", "-", "• ", "●", "1", "x", "漢", "。", "é", "a line of just so many letters", "?"]
)  # fmt: skip
# The table takes unassigned code points among ideographs for letters; Python does not.
ASSIGNED = st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=30)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


@given(st.lists(TEXTS | ASSIGNED, max_size=4))
@settings(max_examples=150, deadline=None)
def test_counts_as_string_methods_do(texts: list[str]) -> None:
    """Any texts, one after another, give the counts of the slow reference."""
    counts, stops = counted(texts)
    for text, found, matched in zip(texts, counts, stops, strict=True):
        assert dict(enumerate(found)) == reference(text)
        lowered = [token.lower() for token in text.split()]
        assert matched == [sum(token in words for token in lowered) for words in LISTS]


def test_an_ellipsis_glued_to_the_next_word_counts() -> None:
    """As in "well...then": `str.count` sees it, and so does the scan that runs over letters."""
    counts, _ = counted(["well...then", "and. . .so on...", "a....b"])
    assert [row[m.SYMBOLS] for row in counts] == [1, 2, 1]


def test_a_token_with_punctuation_is_no_stop_word() -> None:
    """Only the whole token counts (RULES 2)."""
    assert counted(["the, (the) the THE thee"])[1] == [[2, 0, 2]]
