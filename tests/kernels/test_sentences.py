"""The stated splitter counts sentences as a reader would, where a rule can tell."""

import numpy as np
import pytest

from stages.kernels.sentences import count_sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("... !?", 0),
        ("No end mark", 1),
        ("One. Two? Three!", 3),
        ("Dr. Smith met J. Doe at 5.30 p.m. yesterday. He left.", 2),
        ("It cost 3.50 in the U.S. and less elsewhere.", 1),
        ("“Why?” he asked. “Because.” She went.", 3),
        ("Wait... what? Yes.", 2),
        ("1. First item. 2. Second item.", 2),
        ("A heading\n\nA paragraph over\ntwo lines. Its end.", 3),
        ("version 1.2.3 of example.com is out", 1),
        ("春天来了。花开了！「是吗？」他说", 4),
        ("यह है। वह है।", 2),
        ("هل هذا؟ نعم.", 2),
        ("Das ist z.B. ein Satz. Noch einer.", 2),
    ],
)
def test_counts(text: str, count: int) -> None:
    """Abbreviations, initials, decimal points and numbering end nothing; marks without spaces do."""
    data = np.frombuffer(text.encode(), np.uint8)
    assert count_sentences(data, np.array([0, len(data)])).tolist() == [count]
