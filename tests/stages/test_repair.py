"""Repair gives what ftfy gives, on every line, though ftfy sees few of them."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ftfy import fix_text
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.suspicion import suspicious
from stages.repair import CONFIGURATION, repaired
from tests.kernels.references import tidied

CASES = json.loads((Path(__file__).parent / "cases" / "repair.json").read_text(encoding="utf-8"))

# What ftfy looks at, in pieces that make and break its patterns when put together.
PIECES = st.sampled_from(
    ["a", "E", " ", "\n", "\r\n", "\r", "\r\r\n", "\t", "&", "&amp;", "&#39;", "&lt;", "&foo;",
     "#", ";", "<", "<b>", "é", "Ã", "Ã©", "â€™", "â€", "œ", "Œ", "\u0301", "\u0323", "e\u0301",
     "\u1100\u1161", "한", "\u212b", "ﬁ", "ĳ", "\x1b[1m", "\x00", "\x0c", "\x7f", "\x80", "\x85",
     "\x9d", "\u2028", "\ufeff", "\u200b", "\ufffd", "×", "²", "…", "漢", "。", "Ð", "Ñ€", "à",
     "\u00a0", "©", "°", "«", "»", "’", "“", "вЂ", "क़", "\u093c", "ْ", "ّ", "ά", "β€™"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=20)


def stored(texts: list[str], *, ftfy: bool = True) -> list[str]:
    """The texts as `repaired` gives them."""
    return [str(text) for text in repaired(pa.array(texts, pa.large_string()), ftfy=ftfy)[0].to_pylist()]


@given(st.lists(TEXTS, max_size=3))
@settings(max_examples=1500, deadline=None)
def test_equals_ftfy_and_tidying(texts: list[str]) -> None:
    """For any texts, what the kernels and the few calls of ftfy give is what ftfy gives on the whole."""
    assert stored(texts) == [tidied(fix_text(text, CONFIGURATION)) for text in texts]


@given(st.lists(TEXTS, max_size=3))
@settings(max_examples=300, deadline=None)
def test_equals_tidying_without_ftfy(texts: list[str]) -> None:
    """With ftfy off, only RULES 8.1.3 to 8.1.5 are applied."""
    assert stored(texts, ftfy=False) == [tidied(text) for text in texts]


@given(st.lists(TEXTS, max_size=3))
@settings(max_examples=200, deadline=None)
def test_stored_text_is_in_form(texts: list[str]) -> None:
    """NFC, no CR, no three line feeds, no outer white space."""
    for text in stored(texts):
        assert unicodedata.is_normalized("NFC", text)
        assert "\r" not in text
        assert "\n\n\n" not in text
        assert text == text.strip()


def test_a_literal_tag_stops_entities_for_the_rest() -> None:
    """Entities before the line with the first "<" are decoded, those in it and after it are not."""
    assert stored(["&eacute;\n<&eacute;\n&eacute;"]) == ["é\n<&eacute;\n&eacute;"]


def test_a_line_longer_than_ftfy_takes_at_once_is_cut_where_ftfy_cuts_it() -> None:
    """A tag in the second million characters leaves the entities of the first decoded."""
    text = "&amp;" + "x" * 1_000_000 + "<b>&amp;"
    assert stored([text]) == [fix_text(text, CONFIGURATION)]


@pytest.mark.parametrize(
    "text",
    [
        "Plain English, with “curly quotes” — and dashes…\nIt’s 5 × 3 = 15 €, isn’t it?",
        "Où est l’été à Noël ? « Là-bas », répondit-elle.",
        "你好，世界！“引号”《书名》——破折号……",
        "Привет, мир! Это — «кавычки» и №5.",
        "naïve café; AT&T; a < b & c > d",
        "Windows\r\nline ends\r\n",
    ],
)
def test_common_text_is_proved_unchanged(text: str) -> None:
    """Ftfy is not called for what it leaves alone: else the fast path would be none."""
    data = np.frombuffer(text.encode(), np.uint8)
    assert len(suspicious(data, np.array([0, len(data)]))) == 0


def test_rows_of_a_sliced_column_are_its_own() -> None:
    """A slice of a column is repaired as if it stood alone."""
    column = pa.array(["&amp;", "â€™ x", None, "&lt;"], pa.large_string())
    assert repaired(column[1:], ftfy=True)[0].to_pylist() == ["’ x", "", "<"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_cases_hold_without_the_fast_path(case: dict[str, str]) -> None:
    """The case table describes ftfy and tidying themselves, not only the kernels."""
    assert tidied(fix_text(case["text"], CONFIGURATION)) == case["clean"]
