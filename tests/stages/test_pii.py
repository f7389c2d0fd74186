"""Identifiers are found where they are and nowhere else; the case table says where."""

import json
from pathlib import Path
from time import process_time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.clean import Clean
from stages.pii import luhn, masked, spans
from stages.rules import IDENTIFIERS as KINDS
from tests.stages.test_clean import rows

CASES = json.loads((Path(__file__).parent / "cases" / "pii.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_masks_as_the_case_says(case: dict[str, str]) -> None:
    """Each case of pii.json; masking again changes nothing."""
    texts, _ = masked(pa.array([case["text"]], pa.large_string()), KINDS, private=False, replace=True)
    assert texts.to_pylist() == [case["masked"]]
    assert masked(texts, KINDS, private=False, replace=True)[0].to_pylist() == [case["masked"]]


def test_private_addresses_on_demand() -> None:
    """`pii_private` takes in what is not globally reachable."""
    assert [kind for kind, _, _ in spans("10.0.0.1 and 192.0.2.7 and fd00::12:34", private=True)] == [
        "ip"
    ] * 3


PIECES = st.sampled_from(
    [
        "a",
        "@",
        ".",
        "example.com",
        "8",
        "1",
        "12",
        "255",
        ":",
        "::",
        "-",
        " ",
        "+",
        "(",
        ")",
        "\n",
        "漢",
        "4111",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=400, deadline=None)
def test_the_kernel_leaves_no_identifier_out(text: str) -> None:
    """Line by line through the kernel, the same identifiers are found as on every line by itself."""
    _, counts = masked(pa.array([text], pa.large_string()), KINDS, private=True, replace=False)
    found = [kind for line in text.split("\n") for kind, _, _ in spans(line, private=True)]
    assert counts[0].tolist() == [found.count(kind) for kind in KINDS]


@given(st.integers(10**11, 10**15))
def test_luhn_has_one_check_digit(number: int) -> None:
    """Of the ten digits that may follow a number, exactly one checks."""
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_clean_masks_drops_or_tags() -> None:
    """The three actions, with counts by kind and a reason that names the first kind."""
    part = rows("write to a@example.com or call 302-996-5480", "nothing here")
    mask = Clean(pii="mask").apply(part)
    assert mask.columns["text"].to_pylist() == ["write to <EMAIL> or call <PHONE>", "nothing here"]
    assert mask.columns["pii_email"].to_pylist() == [1, 0]
    assert mask.tallies["pii_phone"] == 1
    assert Clean(pii="drop").apply(part).reasons.to_pylist() == ["pii.email", None]
    tag = Clean(pii="tag", pii_kinds=("phone",)).apply(part)
    assert tag.columns["text"].to_pylist() == ["write to a@example.com or call 302-996-5480", "nothing here"]
    assert tag.columns["pii_phone"].to_pylist() == [1, 0]
    assert tag.columns["pii_email"].to_pylist() == [None, None]
    assert Clean().apply(part).columns["pii_phone"].to_pylist() == [None, None]


def test_a_line_of_many_addresses_takes_linear_time() -> None:
    """A list of members on one line once took minutes."""
    text = ", ".join(f"user{number}@example.com" for number in range(40_000))
    begun = process_time()
    texts, counts = masked(pa.array([text], pa.large_string()), KINDS, private=False, replace=True)
    assert process_time() - begun < 5
    assert counts[0].tolist() == [40_000, 0, 0, 0, 0]
    assert texts[0].as_py() == ", ".join(["<EMAIL>"] * 40_000)
