"""C4's line rules are those of TFDS: a slow copy of the reference decides."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels import c4 as c
from stages.kernels.sentences import count_sentences

POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def packed(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts one after another, and where each begins."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)]).astype(np.int64)


def reference(text: str, longest: int, fewest: int, *, terminal: bool) -> tuple[str, list[int]]:
    """The loop of `c4_utils.clean_page`, going on where that drops the page; blank lines go uncounted."""
    kept, counts = [], [0] * c.COLUMNS
    for given_line in text.splitlines():
        line = given_line.strip()
        if not line:
            continue
        if any(len(token) > longest for token in line.split()):
            counts[c.LONG_WORDS] += 1
            continue
        line, marks = re.subn(r"\[\d*\]|\[edit\]|\[citation needed\]", "", line)
        counts[c.CITATIONS] += marks
        if terminal and (not line.endswith((".", "?", "!", '"')) or line.endswith("...")):
            counts[c.UNTERMINATED] += 1
            continue
        if len(line.split()) < fewest:
            counts[c.SHORT] += 1
            continue
        counts[c.LOREM] += "lorem ipsum" in line.lower()
        if "javascript" in line.lower():
            counts[c.JAVASCRIPT] += 1
            continue
        counts[c.BRACE] += "{" in line
        if any(phrase in line.lower() for phrase in POLICY):
            counts[c.POLICY] += 1
            continue
        counts[c.SENTENCES] += int(count_sentences(*packed([line]))[0])
        kept.append(line)
    return "\n".join(kept).strip(), counts


PIECES = st.sampled_from(
    ["a ", "bb ", "Cc. ", "d", ".", "...", "?", '"', "!", "\n", "\n", "\n\n", " \n", "[1]", "[]",
     "[edit]", "[", "]", "[citation needed]", "{", "Javascript ", "lorem Ipsum ", "use cookies",
     "terms of use ", "é", "漢", "\u2028"]
)  # fmt: skip


@given(
    st.lists(st.lists(PIECES, max_size=20).map("".join), max_size=3),
    st.sampled_from([1000, 8, 3]),
    st.integers(0, 4),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_equals_the_reference(texts: list[str], longest: int, fewest: int, terminal: bool) -> None:
    """Counts and text of any documents, for several bounds."""
    styles = np.zeros(len(texts), np.uint8)
    left, places, counts = c.c4(
        *packed(texts), styles, longest_word=longest, fewest_words=fewest, terminal=terminal
    )
    for row, text in enumerate(texts):
        kept, wanted = reference(text, longest, fewest, terminal=terminal)
        assert left[places[row] : places[row + 1]].tobytes().decode().strip() == kept
        assert counts[row].tolist() == wanted


def kept(text: str, style: int) -> str:
    """What is left of one text."""
    return c.c4(*packed([text]), np.array([style], np.uint8))[0].tobytes().decode()


@pytest.mark.parametrize(
    ("line", "style", "stays"),
    [
        ("这一行以中文句号结束。", c.UNSPACED, True),
        ("这一行没有结束", c.UNSPACED, False),
        ("他说：“这样也算结束。”", c.UNSPACED, True),
        ("यह एक पूरा वाक्य है।", c.SPACED, True),
        ("यह एक पूरा वाक्य है।", c.ENGLISH, False),
        ("هل هذه جملة كاملة هنا؟", c.SPACED, True),
        ("An ellipsis is no end mark…", c.SPACED, False),
        ("บรรทัดนี้ไม่มีเครื่องหมายจบประโยค", c.UNMARKED, True),
        ("บรรทัดนี้ไม่มีเครื่องหมายจบประโยค", c.UNSPACED, False),
        ("javascript ต้องเปิดใช้งาน", c.UNMARKED, False),
    ],
)
def test_other_scripts_have_their_own_end_marks(line: str, style: int, stays: bool) -> None:
    """Lines of other languages may end as those languages end sentences."""
    assert kept(line, style) == (line if stays else "")
