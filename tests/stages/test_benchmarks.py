"""Benchmark files as texts to look for: fields, parts, spellings, and what cannot be checked."""

import json
import random
from pathlib import Path

import pytest

from stages.base import StageError
from stages.decontaminate import Decontaminate
from tests import harness
from tests.pile import everywhere, pile, scattered
from tests.stages.quiz import ANSWER, QUESTION, prose, spans, stage


def test_short_parts_match_whole_and_shorter_ones_are_counted(tmp_path: Path) -> None:
    """Eight tokens are one gram, seven cannot be checked."""
    items = [
        {"question": "Who first sold the seven blue copper kettles?"},
        {"question": "Who sold the seven kettles?"},
    ]
    own = stage(tmp_path, items)
    texts = [f"{prose(1)} {items[0]['question']} {prose(2)}", f"{prose(3)} {items[1]['question']} {prose(4)}"]
    assert spans(texts, own) == [[("0", str(items[0]["question"]))], []]
    (table,) = json.loads(
        harness.artifacts(own, scattered(pile(texts), 2, 0), random.Random(0))["contamination.json"]
    )
    assert (table["items"], table["not_checkable"], table["items_hit"]) == (2, 1, 1)


def test_question_and_answer_are_matched_apart_and_joined(tmp_path: Path) -> None:
    """The answer alone convicts; both in a row are one region; a short answer counts as a part of the whole."""
    items = [
        {"question": QUESTION, "answer": ANSWER},
        {"question": "Who sold the kettles?", "answer": "A fair tinker did."},
    ]
    own = stage(tmp_path, items, spec={"answer": "answer"})
    texts = [
        f"{prose(1)} {ANSWER} {prose(2)}",
        f"{prose(3)} {QUESTION} {ANSWER}",
        "who sold the kettles? a fair tinker did!",
        f"{QUESTION} {prose(4)} {ANSWER}",
    ]
    assert spans(texts, own) == [
        [("0", ANSWER)],
        [("0", f"{QUESTION} {ANSWER}")],
        [("1", "who sold the kettles? a fair tinker did")],
        [("0", QUESTION), ("0", ANSWER)],
    ]


def test_fields_may_be_nested_and_lists(tmp_path: Path) -> None:
    """Dots lead into objects; lists are joined; the id is the item's name."""
    items = [{"doc": {"q": QUESTION.split()[:9]}, "more": [" ".join(QUESTION.split()[9:])], "name": 17}]
    own = stage(tmp_path, items, spec={"question": "doc.q", "answer": "more", "id": "name"})
    assert spans([f"{prose(1)} {QUESTION}"], own) == [[("17", QUESTION)]]


@pytest.mark.parametrize("gold", [1, "1", "B"])
def test_the_right_choice_can_be_the_answer(tmp_path: Path, gold: object) -> None:
    """By number from 0 or by letter: question and right choice in a row are one region."""
    items = [{"question": QUESTION, "choices": ["eleven kettles", "nine kettles"], "gold": gold}]
    own = stage(tmp_path, items, spec={"answer": "choices[gold]"})
    texts = [f"{prose(1)} {QUESTION} {choice} {prose(2)}" for choice in ("eleven kettles", "nine kettles")]
    assert spans(texts, own) == [[("0", QUESTION)], [("0", f"{QUESTION} nine kettles")]]


def test_several_letters_are_no_choice(tmp_path: Path) -> None:
    """`AB` numbers two choices, not the first."""
    items = [{"question": QUESTION, "choices": ["eleven kettles", "nine kettles"], "gold": "AB"}]
    own = stage(
        tmp_path, [*items, {**items[0], "gold": "A", "question": "x"}], spec={"answer": "choices[gold]"}
    )
    assert spans([f"{QUESTION} eleven kettles"], own) == [[("0", QUESTION)]]


def test_nulls_in_lists_say_nothing(tmp_path: Path) -> None:
    """And lists in lists are read through."""
    words = QUESTION.split()
    own = stage(tmp_path, [{"question": [None, words[:5], [words[5:], None]]}])
    assert spans([f"{prose(1)} {QUESTION}"], own) == [[("0", QUESTION)]]


def test_an_object_is_no_text(tmp_path: Path) -> None:
    """Its fields are named, so that the right one can be chosen; its Python spelling would match nothing."""
    own = stage(tmp_path, [{"question": {"stem": QUESTION, "choices": {"text": ["a"], "label": ["A"]}}}])
    with pytest.raises(StageError, match=r"question\.stem, question\.choices\.text"):
        everywhere(own, pile(["x"]))


def test_a_repeated_item_is_indexed_once(tmp_path: Path) -> None:
    """Twenty copies of an item are no form, and the first one is named."""
    own = stage(tmp_path, [{"question": QUESTION}] * 20)
    assert spans([f"{prose(1)} {QUESTION}"], own) == [[("0", QUESTION)]]


def test_a_benchmark_without_the_field_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    """A typing error in `question:` must not mean a clean bill of health."""
    own = stage(tmp_path, [{"query": QUESTION, "gold": 1}])
    with pytest.raises(StageError, match=r"benchmark quiz: no record has text in question; .* query, gold"):
        everywhere(own, pile(["x"]))


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("Karan borrowed $3,650 for five months at an interest rate of 10.5%, and must pay how much?",
         "karan  borrowed  $3650  for  five  months  at  an  interest  rate  of  105%  and  must  pay  how  much"),
        ("电容器的电流i=C*du/dt，当u>0，du/dt>0时，则表明电容器正在充电还是放电", "电容器的电流i=C*du/dt当u>0du/dt>0时则表明电容器正在充电还是放电"),
    ],
)  # fmt: skip
def test_marks_deleted_inside_numbers_and_words_hide_nothing(
    tmp_path: Path, question: str, written: str
) -> None:
    """Whoever strips punctuation makes 3650 of 3,650: the item is found whole, with its exact span."""
    own = stage(tmp_path, [{"question": question}])
    text = f"{prose(1)} 。{written}。 {prose(2)}"
    assert spans([text, f"{prose(3)} {question}"], own) == [[("0", written)], [("0", question)]]


def test_a_dot_may_be_part_of_a_name(tmp_path: Path) -> None:
    """As it is in tables."""
    assert spans([QUESTION], stage(tmp_path, [{"q.en": QUESTION}], spec={"question": "q.en"})) == [
        [("0", QUESTION)]
    ]


def test_a_benchmark_of_which_nothing_can_be_checked_convicts_nobody(tmp_path: Path) -> None:
    """It is told, and no error."""
    own = stage(tmp_path, [{"question": "Why?"}])
    assert spans(["Why? Why?", prose(1)], own) == [[], []]
    (table,) = json.loads(
        harness.artifacts(own, scattered(pile(["x"]), 1, 0), random.Random(0))["contamination.json"]
    )
    assert (table["checkable"], table["not_checkable"], table["share"]) == (0, 1, None)


def test_several_fields_are_texts_of_their_own(tmp_path: Path) -> None:
    """Two answers to one question: each alone, and each joined to the question."""
    other = "Nine of them, and not one more, said the wife of the tinker."
    own = stage(
        tmp_path,
        [{"question": QUESTION, "a": ANSWER, "b": [{"text": other}]}],
        spec={"answer": ["a", "b.text"]},
    )
    texts = [f"{prose(1)} {QUESTION} {other} {prose(2)}", f"{ANSWER} {prose(3)}", f"{prose(4)} {other}"]
    assert spans(texts, own) == [[("0", f"{QUESTION} {other}")], [("0", ANSWER)], [("0", other)]]


def test_a_line_of_a_text_file_is_an_item(tmp_path: Path) -> None:
    """Its field is `text`."""
    (tmp_path / "quiz.txt").write_text(f"{prose(9)}\n{QUESTION}\n")
    spec = {"name": "quiz", "paths": [str(tmp_path / "quiz.txt")], "question": "text"}
    assert spans([QUESTION], Decontaminate.model_validate({"benchmarks": [spec]})) == [[("1", QUESTION)]]


@pytest.mark.parametrize(
    ("field", "name"),
    [("answer", "answers.txt"), ("passage", "context"), ("id", "key"), ("answer", ["a.text", "b"])],
)
def test_every_field_that_a_recipe_names_must_be_there(tmp_path: Path, field: str, name: object) -> None:
    """A wrong name of the answer would let answers through; the error names the fields, nested ones too."""
    items = [{"question": QUESTION, "answers": [{"text": ANSWER, "n": 1}], "a": {"text": ANSWER}}]
    own = stage(tmp_path, items, spec={field: name})
    wrong = "b" if isinstance(name, list) else name
    with pytest.raises(
        StageError, match=rf"no record has text in {wrong}; its 1 records have question, answers\.text"
    ):
        everywhere(own, pile(["x"]))
