"""NFC is Python's, and does not take for ever."""

from __future__ import annotations

import unicodedata
from time import process_time

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.composing import nfc
from stages.kernels.units import normalised
from stages.repair import repaired

# Marks of many classes, some that compose, decompose, or have class 0, and letters between them.
MARKS = st.text(
    "\u0300\u0316\u0344\u0345\u093c\u0903\u0301\u05b0\u3099\u1161\u0338\u0f74a=\u0928\u304b", max_size=120
)


@given(MARKS | st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_equals_pythons(text: str) -> None:
    """On runs of marks of any length and class."""
    assert nfc(text) == unicodedata.normalize("NFC", text)


def test_a_text_of_stacked_accents_takes_linear_time() -> None:
    """Half a megabyte of marks once took a worker a quarter of an hour."""
    text = "a" + "\u0300\u0316" * 120_000
    column = pa.array([text, "e\u0301"], pa.large_string())
    repaired(column.slice(1), ftfy=True)  # compiles
    normalised(column.slice(1))
    begun = process_time()
    stored = repaired(column, ftfy=True)[0].to_pylist()
    assert stored == ["\u00e0" + "\u0316" * 120_000 + "\u0300" * 119_999, "\u00e9"]
    assert normalised(column)[0].to_pylist() == stored
    assert process_time() - begun < 10
