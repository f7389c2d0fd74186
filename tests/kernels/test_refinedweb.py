"""RefinedWeb's line rules: the kernel says what the rules written in Python say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import lines
from stages.columns import utf8
from stages.kernels import refinedweb
from stages.profiles import Bound
from tests.kernels.references import tidied

PIECES = [
    "12", "1,2 likes", "A", "ABC", "abc", "Sign-in", "s\u0131gn-in now", "ITEMS in cart", "read more...", "12 \u017fhare\u017f",
    "\u0663", "中文", "  ", "\t", "\u3000", "x_", "9K views!", "(7 quotes)", "no.", "\u2460", "\n", " ", "\xa0", "_5 likes", "...",
]  # fmt: skip
TEXTS = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", "\n"])), max_size=9).map(
    lambda parts: "".join(piece + gap for piece, gap in parts)
)
RULES = ("rw.uppercase_lines", "rw.numeric_lines", "rw.counter_lines", "rw.short_lines", "rw.substring_lines")


@settings(deadline=None)  # the first example compiles
@given(st.lists(TEXTS, max_size=5), st.sets(st.sampled_from(RULES)))
def test_lines_go_as_the_rules_in_python_say(texts: list[str], off: set[str]) -> None:
    """Texts, counts by rule and the share of words that went, whichever rules are on."""
    thresholds: dict[str, Bound | None] = dict.fromkeys(off)
    left, columns = lines.refined(pa.array(texts, pa.large_string()), ["en"] * len(texts), thresholds)
    for row, text in enumerate(texts):
        expected, counts = lines.edited(
            text,
            None if RULES[0] in off else 0.5,
            RULES[1] not in off,
            RULES[2] not in off,
            0 if RULES[3] in off else 2,
            RULES[4] not in off,
        )
        assert left[row].as_py() == tidied(expected)
        assert tuple(columns[name][row].as_py() for name in lines.RULES_OF_LINES) == counts
        before = lines.words_of(text)
        ratio = (before - lines.words_of(expected)) / before if before else None
        assert columns["word_removal_ratio"][row].as_py() == ratio


def test_few_texts_are_left_to_the_rules_in_python() -> None:
    """Prose, headings and tables are decided; a counter line and the three phrases are not."""
    decided = [
        "Prose that ends... The heading",
        "TITLE\n12\nA line of text",
        "3 of 12 likes it",
        "a cart, a sign",
    ]
    undecided = ["12K likes", "x\n3 views!", "Sign-in", "12 Items in Cart", "and read more..."]
    data, bounds = utf8(pa.array(decided + undecided, pa.large_string()))
    counts = refinedweb.refine(
        data,
        bounds,
        capitals=0.5,
        numeric=True,
        counters=True,
        fewest=np.full(len(bounds) - 1, 2),
        phrases=True,
    )[2]
    assert counts[:, refinedweb.UNDECIDED].tolist() == [0] * len(decided) + [1] * len(undecided)
