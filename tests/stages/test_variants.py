"""Each variant of a family of rules gives, exactly, what plain Python by its definition gives."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages import measuring
from stages.clean import Clean
from stages.kernels.c4 import COLUMNS
from stages.profiles import PROFILES
from stages.variants import Variants
from tests.kernels.references import tidied
from tests.stages import variant_references as reference
from tests.stages.test_clean import rows

CASES = json.loads((Path(__file__).parent / "cases" / "variants.json").read_text(encoding="utf-8"))

PIECES = st.sampled_from(
    ["the ", "The ", "and ", "of, ", "a ", "b ", "bb ", "isn't ", "12,500 ", "_x ", "#", "##", "# ", "...", "…",
     "[...]", " . . .", "-", "- ", "* ", "• ", "○ ", "\n", "\n", "\n\n", " \n", "Read more\n", "!", "，",
     "a b c d e f ", "ab c ", "a bc ", "漢", "字", "é", "👩‍💻", "a line of just so many letter.\n", "?\n"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=45).map("".join).map(tidied)


def measured(texts: list[str], profile: str = "en", **variants: str) -> dict[str, list[Any]]:
    """The columns that a variant replaces."""
    column, names = pa.array(texts, pa.large_string()), [profile] * len(texts)
    chosen = Variants.model_validate(variants)
    found = chosen.measured(column, names, measuring.measured(column, [*names]))
    return {name: values.to_pylist() for name, values in found.items()}


@pytest.mark.parametrize("variant", sorted(reference.QUALITY))
@given(st.lists(TEXTS, min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_gopher_quality_equals_the_reference(variant: str, texts: list[str]) -> None:
    """RULES 2: every column that the variant has of its own."""
    wanted = [reference.QUALITY[variant](text, PROFILES["en"].stop_words) for text in texts]
    assert measured(texts, gopher=variant) == {name: [row[name] for row in wanted] for name in wanted[0]}


@pytest.mark.parametrize("variant", sorted(reference.REPETITION))
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_gopher_repetition_equals_the_reference(variant: str, texts: list[str]) -> None:
    """RULES 3: lines, paragraphs and n-grams."""
    wanted = [reference.REPETITION[variant](text) for text in texts]
    assert measured(texts, gopher_rep=variant) == {name: [row[name] for row in wanted] for name in wanted[0]}


@given(st.lists(TEXTS, min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_fineweb_equals_the_reference(texts: list[str]) -> None:
    """RULES 5 as datatrove has it: lines with their trailing white space, line feeds by segments."""
    wanted = [reference.fineweb(text) for text in texts]
    assert measured(texts, fineweb="datatrove_uax29") == {
        name: [row[name] for row in wanted] for name in wanted[0]
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['variants']} {case['why']}")
def test_measures_as_the_case_says(case: dict[str, Any]) -> None:
    """Each case of variants.json, through the whole stage: integers and single divisions, exactly."""
    columns = Clean(variants=case["variants"]).apply(rows(case["text"])).columns
    for name, wanted in case.items():
        if name not in {"why", "text", "variants"}:
            value = wanted[0] / wanted[1] if isinstance(wanted, list) else wanted
            assert columns[name].to_pylist() == [value], name


def test_no_words_and_no_text_are_fine() -> None:
    """Empty documents and parts have values, or none, in every variant."""
    for family, spec in Variants.model_fields.items():
        for name in spec.annotation.__args__:  # type: ignore[union-attr]
            stage = Clean(presets=("gopher", "c4", "fineweb"), variants={family: name})
            assert stage.apply(rows("", " ", None)).reasons.to_pylist() == ["empty"] * 3
            assert len(stage.apply(rows()).reasons) == 0
            assert stage.apply(rows("。")).reasons.null_count == 0


def test_scripts_without_spaces_keep_the_default_where_words_are_between_spaces() -> None:
    """Chinese is not measured by pieces between white space."""
    text = "春天来了，花开了。" * 3
    default = Clean().apply(rows(text)).columns
    for variants in (
        {"gopher": "dolma"},
        {"gopher": "nemo"},
        {"gopher_rep": "dolma"},
        {"gopher_rep": "nemo"},
    ):
        columns = Clean(variants=variants).apply(rows(text)).columns
        assert {name: column.to_pylist() for name, column in columns.items()} == {
            name: column.to_pylist() for name, column in default.items()
        }


def test_variants_bring_their_bounds() -> None:
    """Five sentences for C4's text, no paragraphs for dolma, FineWeb2's bounds for English too."""
    every = Clean(presets=("gopher", "c4", "fineweb"))
    assert every.bounds("en")["c4.min_sentences"].min == 3
    early = every.model_copy(update={"variants": Variants(c4="c4_early_text")})
    assert early.bounds("en")["c4.min_sentences"].min == 5
    dolma = every.model_copy(update={"variants": Variants(gopher_rep="dolma")})
    assert set(every.bounds("en")) - set(dolma.bounds("en")) == {
        "gopher_rep.dup_para_frac",
        "gopher_rep.dup_para_char_frac",
    }
    second = every.model_copy(update={"variants": Variants(fineweb="fineweb2_uax29")}).bounds("en")
    assert "fineweb.short_line_ratio" not in second
    assert second["fineweb.char_dup_ratio"].max == 0.1
    assert second["fineweb.line_punct_ratio"].min == 0.12


def test_thresholds_win_over_a_variants_bounds() -> None:
    """A bound in the recipe replaces the variant's."""
    stage = Clean(
        presets=("c4",), variants={"c4": "c4_early_text"}, thresholds={"c4.min_sentences": {"min": 1}}
    )
    assert stage.apply(rows("It is a line.")).reasons.to_pylist() == [None]


def test_datatrove_names_paragraphs_before_lines() -> None:
    """A document that repeats both is dropped for its paragraphs there, for its lines by default."""
    text = "\n\n".join(["the same paragraph again"] * 4)
    only = {"thresholds": dict.fromkeys((code for code in Clean.reasons if code.startswith("gopher.")), None)}
    default = Clean(presets=("gopher",), **only).apply(rows(text))
    assert default.reasons.to_pylist() == ["gopher_rep.dup_line_frac"]
    other = Clean(presets=("gopher",), variants={"gopher_rep": "datatrove_uax29"}, **only).apply(rows(text))
    assert other.reasons.to_pylist() == ["gopher_rep.dup_para_frac"]


GOOD = "This is the first good line. It has two sentences.\nAnd this is the third sentence here."


def test_c4_early_text_wants_three_words_and_five_sentences() -> None:
    """Lines of three words and lines that end in an apostrophe stay; four sentences are too few."""
    stage = Clean(presets=("c4",), variants={"c4": "c4_early_text"})
    out = stage.apply(rows(f"{GOOD}\nThree words here.\nThe boys'\nTwo words.\nIt is the boys'", GOOD))
    assert out.columns["text"].to_pylist() == [f"{GOOD}\nThree words here.\nIt is the boys'", None]
    assert out.columns["min_sentences"].to_pylist() == [5, 3]
    assert out.columns["min_words_lines"].to_pylist() == [2, 0]
    assert out.reasons.to_pylist() == [None, "c4.min_sentences"]


def test_page_level_condemns_pages_for_lines_that_go() -> None:
    """A brace in a removed line counts, blank lines stay, an ellipsis ends a line."""
    stage = Clean(presets=("c4",), variants={"c4": "page_level"})
    out = stage.apply(
        rows(f"{GOOD}\n\nAnd so it goes on…\nMenu", f"{GOOD}\nfunction() {{", f"{GOOD}\nLorem ipsum menu")
    )
    assert out.columns["text"].to_pylist() == [f"{GOOD}\n\nAnd so it goes on…", None, None]
    assert out.reasons.to_pylist() == [None, "c4.curly_brace", "c4.lorem_ipsum"]


@given(st.lists(st.lists(PIECES, max_size=20).map("".join).map(tidied), max_size=3))
@settings(max_examples=100, deadline=None)
def test_the_readings_of_c4_agree_where_they_do_not_differ(texts: list[str]) -> None:
    """With the default's bounds, on texts without apostrophes, the early reading is the default's."""
    column = pa.array([text.replace("'", "") for text in texts], pa.large_string())
    from stages.c4_variants import c4_measured
    from stages.profiles import Bound

    names = ["en"] * len(texts)
    five = {"c4.min_words_lines": Bound(min=5)}
    for apply in (False, True):
        mine = c4_measured(column, names, five, "c4_early_text", apply=apply)
        kernels = measuring.c4_measured(column, names, five, apply=apply)
        assert mine[0].to_pylist() == kernels[0].to_pylist()
        assert {name: values.to_pylist() for name, values in mine[1].items()} == {
            name: values.to_pylist() for name, values in kernels[1].items()
        }
        assert len(mine[1]) == COLUMNS


def test_an_unknown_variant_is_an_error_that_lists_them() -> None:
    """`datatrove` without its suffix is refused: the tokens are not datatrove's own."""
    with pytest.raises(ValidationError, match="datatrove_uax29"):
        Clean(variants={"gopher": "datatrove"})
