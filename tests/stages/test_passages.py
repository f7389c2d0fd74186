"""lines: of dedup: passages that many kept documents have are removed from the text."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup import Dedup
from tests.pile import columns_of, everywhere, pile
from tests.stages.test_dedup import prose

FOOTER = "Copyright by the mill and its millers, all rights reserved"


def own(number: int) -> str:
    """A line that no other document has."""
    return " ".join(prose(number, 12))


def stage(**given: Any) -> Dedup:
    """Dedup with these keys of `lines:`, near duplicates left alone."""
    return Dedup(near=False, lines=given)


def test_a_line_in_too_many_documents_goes_from_all_of_them() -> None:
    """However it is cased or punctuated; the other lines stay as they are, and what went is counted."""
    texts = [f"{own(n)}\n{FOOTER.upper() if n % 2 else FOOTER + '!'}\n\n{own(100 + n)}" for n in range(4)]
    found = everywhere(stage(max_documents=3), pile(texts))
    assert columns_of(found, "text") == [f"{own(n)}\n{own(100 + n)}" for n in range(4)]
    assert columns_of(found, "passages_removed") == [1] * 4
    assert columns_of(found, "bytes") == [len(text.encode()) for text in columns_of(found, "text")]


def test_as_many_as_allowed_stay_and_repeats_inside_one_document_count_once() -> None:
    """`max_documents` counts documents; the text is then the very one that was there."""
    texts = [f"{FOOTER}\r\n{FOOTER}\n{own(n)}\t\n" for n in range(3)]
    found = everywhere(stage(max_documents=3), pile(texts))
    assert columns_of(found, "text") == texts
    assert columns_of(found, "passages_removed") == [0] * 3


def test_removed_documents_count_for_nothing() -> None:
    """Copies that dedup drops do not make their lines frequent; they get no text."""
    texts = [f"{own(1)}\n{FOOTER}"] * 5 + [f"{own(2)}\n{FOOTER}"]
    found = everywhere(stage(max_documents=2), pile(texts))
    assert columns_of(found, "text") == [texts[0], None, None, None, None, texts[5]]
    assert columns_of(found, "reason")[1:5] == ["exact"] * 4


def test_blank_lines_and_rules_repeat_nothing() -> None:
    """What has no letter or number is no passage."""
    texts = [f"{own(n)}\n\n-----\n\n{own(50 + n)}" for n in range(5)]
    assert columns_of(everywhere(stage(max_documents=1), pile(texts)), "text") == texts


def test_paragraphs_are_parted_by_blank_lines() -> None:
    """A paragraph goes as a whole, a line inside another paragraph does not."""
    block = f"{FOOTER}\nand a second line of it"
    texts = [f"{own(n)}\n\n{block}\n \n{own(60 + n)}\n{FOOTER}" for n in range(3)]
    found = everywhere(stage(unit="paragraphs", max_documents=2), pile(texts))
    assert columns_of(found, "text") == [f"{own(n)}\n\n{own(60 + n)}\n{FOOTER}" for n in range(3)]


def test_three_sentences_stay_where_they_occur_first() -> None:
    """C4: of a repeated window of three sentences the least doc_id keeps its text."""
    span = "One mill stands here. Two mills stand there! Three mills stand nowhere at all."
    texts = [f"Start of {n} is {own(n)}. {span} End of {n} is {own(70 + n)}." for n in range(3)]
    found = everywhere(stage(unit="sentences", max_documents=1, keep="first"), pile(texts))
    left = [f"Start of {n} is {own(n)}. End of {n} is {own(70 + n)}." for n in range(3)]
    assert columns_of(found, "text") == [texts[0], left[1], left[2]]
    assert columns_of(found, "passages_removed") == [0, 3, 3]


def test_two_sentences_are_no_window() -> None:
    """Documents shorter than a window lose nothing."""
    texts = [f"One mill stands here. Two mills stand there. {own(n)}" for n in range(3)]
    shared = [text.rpartition(". ")[0] + "." for text in texts]
    rows = pile([f"{text}" + " " * n for n, text in enumerate(shared)])
    keeping = Dedup(exact=False, near=False, lines={"unit": "sentences", "max_documents": 1})
    assert columns_of(everywhere(keeping, rows), "passages_removed") == [0] * 3


@pytest.mark.parametrize(("given", "dropped"), [({}, True), ({"min_words": 0}, False)])
def test_a_document_of_which_too_little_is_left_is_dropped(given: dict[str, int], dropped: bool) -> None:
    """Emptied ones by default."""
    texts = [FOOTER + " " * n for n in range(3)]
    rows = pile([*texts, own(1)])
    found = everywhere(Dedup(exact=False, near=False, lines={"max_documents": 2, **given}), rows)
    assert columns_of(found, "reason") == ["passages" if dropped else None] * 3 + [None]
    assert columns_of(found, "text") == [None if dropped else ""] * 3 + [own(1)]


def test_a_document_that_others_were_removed_for_stays() -> None:
    """`duplicate_of` names a kept document, however little is left of it."""
    rows = pile([FOOTER, FOOTER, f"{FOOTER}!\n{own(1)}", f"{FOOTER}?\n{own(2)}"])
    found = everywhere(stage(max_documents=2), rows)
    assert columns_of(found, "reason") == [None, "exact", None, None]
    assert columns_of(found, "text") == ["", None, own(1), own(2)]


def test_without_lines_no_text_is_written() -> None:
    """The stage then writes kilobytes."""
    assert set(Dedup().written) == {"duplicate_of", "similarity", "cluster_size", "survivor_source"}


LINES = st.lists(
    st.sampled_from(["alpha beta", "gamma.", "Delta, delta", "漢字", "", "-", "x 1"]), max_size=8
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=8), st.integers(1, 3))
def test_every_line_is_judged_by_the_documents_that_have_it(documents: list[list[str]], most: int) -> None:
    """A plain count over documents says what stays, for any cut and any order."""
    rows = pile(["\n".join(lines) for lines in documents])
    keeping = Dedup(exact=False, near=False, lines={"max_documents": most, "min_words": 0})
    found = everywhere(keeping, rows)
    for number, lines in enumerate(documents):
        gone = {
            line for line in lines if sum(line in other for other in documents) > most and line.strip("-")
        }
        text = columns_of(found, "text")[number]
        assert columns_of(found, "passages_removed")[number] == sum(line in gone for line in lines)
        if gone:
            assert [line for line in text.split("\n") if line.strip("- ")] == [
                line for line in lines if line not in gone and line.strip("-")
            ]
        else:
            assert text == "\n".join(lines)
