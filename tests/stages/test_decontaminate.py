"""decontaminate: benchmark items in documents, with the place of each in the stored text."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.base import StageError
from stages.decontaminate import Decontaminate
from tests import harness
from tests.pile import everywhere, pile, scattered

WORDS = [a + b for a in "bcdfgklmnprst" for b in ("ab", "el", "in", "or", "u", "ax", "eth")]
QUESTION = "How many copper kettles does the tinker's wife mend on a day when nine were brought in?"
ANSWER = "She mends nine, since the others can wait until the tinker himself is back from the fair."
CHINESE = "下列关于铜壶修理的说法中，正确的一项是哪一项？请选择最符合题意的答案。"


def prose(seed: int, size: int = 40) -> str:
    """Random words."""
    return " ".join(random.Random(seed).choices(WORDS, k=size))


def stage(folder: Path, items: Sequence[dict[str, Any]], **given: Any) -> Decontaminate:
    """A stage with one benchmark, `quiz`, of these items."""
    path = folder / "quiz.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    spec = {"name": "quiz", "paths": [str(path)], **given.pop("spec", {})}
    return Decontaminate.model_validate({"benchmarks": [spec], **given})


def spans(texts: Sequence[str], own: Decontaminate) -> list[list[tuple[str, str]]]:
    """For each text its evidence: item and matched text."""
    found = everywhere(own, pile(texts))
    return [
        [(hit["item"], text[hit["start"] : hit["end"]]) for hit in found[n]["contamination"] or []]
        for n, text in enumerate(texts)
    ]


def test_an_item_is_found_with_its_exact_span(tmp_path: Path) -> None:
    """In characters, from its first to its last, the punctuation of the item included."""
    question = f"“{QUESTION}”"
    text = f"Émile 漢😀: {prose(1)} «{question}» {prose(2)}"
    assert spans([text, prose(3)], stage(tmp_path, [{"question": f" {question}\n"}])) == [
        [("0", question)],
        [],
    ]


@pytest.mark.parametrize(
    "variant",
    [
        QUESTION.upper(),
        QUESTION.replace(" ", "  \n").replace("'", "’"),
        QUESTION.replace("'", "").replace("?", ""),
        QUESTION.replace(" ", " - "),
        QUESTION.title().replace(" ", "\u3000"),
    ],
)
def test_case_punctuation_and_spacing_hide_nothing(tmp_path: Path, variant: str) -> None:
    """The span is of the text as it stands."""
    text = f"{prose(1)} ({variant}) {prose(2)}"
    ((hit,),) = spans([text], stage(tmp_path, [{"question": QUESTION}]))
    assert hit == ("0", variant)


def test_spans_are_of_the_stored_text_even_where_it_is_not_nfc(tmp_path: Path) -> None:
    """Decomposed accents before and inside the match shift nothing."""
    question = "Où se trouve la clé de la forêt enchantée que le héros a cachée près du château?"
    decomposed = question.replace("é", "e\u0301").replace("ê", "e\u0302").replace("â", "a\u0302")
    text = f"re\u0301sume\u0301 {prose(1)} {decomposed} {prose(2)}"
    assert spans([text], stage(tmp_path, [{"question": question}])) == [[("0", decomposed)]]


def test_a_part_of_an_item_convicts_from_thirteen_tokens_on(tmp_path: Path) -> None:
    """Thirteen tokens of the question are a hit, twelve are a mention."""
    words = QUESTION.split()
    texts = [f"{prose(1)} {' '.join(words[2 : 2 + count])} {prose(2)}" for count in (13, 12)]
    found = spans(texts, stage(tmp_path, [{"question": QUESTION}]))
    assert found == [[("0", " ".join(words[2:15]))], []]


def test_chinese_items_need_twenty_characters(tmp_path: Path) -> None:
    """Every character is a token, so more of them are asked for."""
    plain = CHINESE.replace("，", "").replace("？", "").replace("。", "")
    own = stage(tmp_path, [{"question": CHINESE}])
    texts = [f"山中{CHINESE}无老虎", f"山中{plain[3:23]}无老虎", f"山中{plain[3:22]}无老虎"]
    assert spans(texts, own) == [[("0", CHINESE)], [("0", plain[3:23])], []]


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


def test_a_common_phrase_convicts_nobody(tmp_path: Path) -> None:
    """In eleven documents it is a phrase, in ten it is not; with null there is no limit."""
    for count, limit, convicted in ((11, 10, 0), (10, 10, 10), (11, None, 11)):
        texts = [f"{prose(n)} {QUESTION} {prose(100 + n)}" for n in range(count)]
        own = stage(tmp_path, [{"question": QUESTION}], max_document_frequency=limit)
        assert sum(bool(hits) for hits in spans(texts, own)) == convicted


def test_copies_of_one_document_do_not_make_a_phrase_common(tmp_path: Path) -> None:
    """Thirty exact copies of a contaminated document are one document to the guard."""
    texts = [f"{prose(1)} {QUESTION} {prose(2)}".replace(" ", " " * (1 + n % 3)) for n in range(30)]
    assert all(spans(texts, stage(tmp_path, [{"question": QUESTION}])))


def test_a_phrase_belongs_to_a_region_that_something_else_convicts(tmp_path: Path) -> None:
    """Its first words are common, the question is not: the span is the whole question."""
    head = " ".join(QUESTION.split()[:14])
    texts = [f"{prose(n)} {head} {prose(100 + n)}" for n in range(15)]
    found = spans([*texts, f"{prose(50)} {QUESTION}"], stage(tmp_path, [{"question": QUESTION}]))
    assert found == [[]] * 15 + [[("0", QUESTION)]]


def test_monotonous_grams_and_forms_shared_by_many_items_convict_nobody(tmp_path: Path) -> None:
    """Three different words in a gram are too few; eleven items with one preamble make it a form."""
    preamble = "Read the following passage with care and then choose the best of the four answers below."
    items = [
        {"question": "la la li la la lo " * 4},
        {"question": "1 2 3 4 5 6 7 8 9 10 11 12 14 is a b"},
        *({"question": f"{preamble} {prose(n)}"} for n in range(11)),
    ]
    texts = [
        "la la li la la lo " * 6,
        f"{prose(50)} {preamble} {prose(51)}",
        f"{prose(52)} {preamble} {prose(4)}",
        f"{prose(53)} 1 2 3 4 5 6 7 8 9 10 11 12 14 {prose(54)}",
    ]
    found = spans(texts, stage(tmp_path, items))
    assert found == [[], [], [("6", f"{preamble} {prose(4)}")], []]


def test_a_repeated_item_is_indexed_once(tmp_path: Path) -> None:
    """Twenty copies of an item are no form, and the first one is named."""
    own = stage(tmp_path, [{"question": QUESTION}] * 20)
    assert spans([f"{prose(1)} {QUESTION}"], own) == [[("0", QUESTION)]]


def test_the_item_with_most_grams_in_the_region_is_named(tmp_path: Path) -> None:
    """Items that begin alike are told apart; every benchmark names its own."""
    tails = ["by the harbour in the rain", "in the long winter of the great frost"]
    items = [{"question": f"{QUESTION[:-1]} {tail}"} for tail in tails]
    own = stage(tmp_path, items)
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"question": QUESTION}) + "\n")
    both = Decontaminate.model_validate(
        {"benchmarks": [*own.benchmarks, {"name": "other", "paths": [str(other)]}], "action": "tag"}
    )
    text = f"{prose(1)} {items[1]['question']} {prose(2)}"
    found = everywhere(both, pile([text]))[0]["contamination"]
    assert [(hit["benchmark"], hit["item"]) for hit in found] == [("quiz", "1"), ("other", "0")]
    assert {text[hit["start"] : hit["end"]] for hit in found} == {items[1]["question"]}


def test_drop_drops_and_tag_tags(tmp_path: Path) -> None:
    """The evidence is the same; the surveys are shared."""
    rows = pile([f"{prose(1)} {QUESTION}", prose(2)])
    drop, tag = (stage(tmp_path, [{"question": QUESTION}], action=action) for action in ("drop", "tag"))
    dropped, tagged = everywhere(drop, rows), everywhere(tag, rows)
    assert [dropped[n]["reason"] for n in (0, 1)] == ["contaminated", None]
    assert [tagged[n]["reason"] for n in (0, 1)] == [None, None]
    assert [own["contamination"] for own in dropped.values()] == [
        own["contamination"] for own in tagged.values()
    ]
    assert drop.survey_identity(0) == tag.survey_identity(0)
    assert stage(tmp_path, [{"question": QUESTION}], n=12).survey_identity(0) != tag.survey_identity(0)


def test_tallies_count_items_and_documents_once(tmp_path: Path) -> None:
    """Over all parts: two documents, one item."""
    rows = pile([f"{prose(1)} {QUESTION}", f"{QUESTION} {prose(2)} {QUESTION}", prose(3)])
    own = stage(tmp_path, [{"question": QUESTION}])
    for parts in (1, 3):
        outs = harness.outs(own, scattered(rows, parts, 5), random.Random(0))
        total = {
            name: sum(out.tallies.get(name, 0) for out in outs) for name in ("quiz.items", "quiz.documents")
        }
        assert total == {"quiz.items": 1, "quiz.documents": 2}


def test_a_benchmark_without_the_field_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    """A typing error in `question:` must not mean a clean bill of health."""
    own = stage(tmp_path, [{"query": QUESTION, "gold": 1}])
    with pytest.raises(StageError, match=r"benchmark quiz: no record has text in question; .* query, gold"):
        everywhere(own, pile(["x"]))


def test_nonsense_is_refused(tmp_path: Path) -> None:
    """Two benchmarks of one name; a floor above the ceiling."""
    own = stage(tmp_path, [{"question": QUESTION}])
    with pytest.raises(ValueError, match="two benchmarks are called quiz"):
        Decontaminate(benchmarks=own.benchmarks * 2)
    with pytest.raises(ValueError, match="short must not exceed n"):
        Decontaminate(benchmarks=own.benchmarks, n=5)


def test_cut_takes_region_and_margin_and_leaves_a_document(tmp_path: Path) -> None:
    """Words survive whole, pieces are paragraphs, short ones go; a clean document is returned unchanged."""
    before, after = prose(1, 100), prose(2, 100)
    own = stage(tmp_path, [{"question": QUESTION}], action="cut", window=20)
    texts = [
        f"{before} {QUESTION} {after}",
        "short",
        f"{prose(3, 20)} {QUESTION} {after}",
        f"{QUESTION} {prose(4, 9)}",
    ]
    found = everywhere(own, pile(texts))
    head, _, tail = found[0]["text"].partition("\n\n")
    assert before.startswith(head)
    assert after.endswith(tail)
    assert 19 <= len(before) - len(head) < 30
    assert 19 <= len(after) - len(tail) < 30
    assert found[1]["text"] == "short"
    assert found[2]["text"] in after
    assert [found[n]["reason"] for n in range(4)] == [None, None, None, "contaminated"]
    assert [own["bytes"] for own in found.values()] == [
        len(own["text"] or "") or None for own in found.values()
    ]
    assert found[0]["contamination"][0]["start"] == len(before) + 1


def test_after_a_cut_nothing_is_left_to_find(tmp_path: Path) -> None:
    """Not even where two pieces, joined, would make the item again."""
    words = prose(5, 24).split()
    items = [{"question": QUESTION}, {"question": " ".join(words)}]
    first, second = " ".join(words[:12]), " ".join(words[12:])
    text = f"{prose(6, 60)} {first} {QUESTION} {second} {prose(7, 60)}"
    own = stage(tmp_path, items, action="cut", window=0)
    cut = everywhere(own, pile([text]))[0]["text"]
    assert first not in cut
    assert spans([cut], own) == [[]]
    assert len(cut) > 400


def test_a_document_with_too_many_regions_is_dropped(tmp_path: Path) -> None:
    """Eleven by default; the margin is no reason to lose it earlier."""
    pieces = [prose(n, 120) for n in range(12)]
    for count, fate in ((10, None), (11, "contaminated")):
        text = f" {QUESTION} ".join(pieces[: count + 1])
        own = stage(tmp_path, [{"question": QUESTION}], action="cut")
        assert everywhere(own, pile([text]))[0]["reason"] == fate


def test_coverage_asks_for_a_share_of_the_item_in_one_place(tmp_path: Path) -> None:
    """Half of it in one place convicts at 0.4, not at 0.8; halves far apart are two places; edits may split it."""
    question = prose(9, 60)
    words = question.split()
    half, rest = " ".join(words[:30]), " ".join(words[30:])
    edited = " ".join("other" if n in {14, 29, 44} else word for n, word in enumerate(words))
    texts = [
        f"{prose(1)} {half} {prose(2)}",
        f"{prose(3)} {half} {prose(4, 200)} {rest}",
        f"{prose(5)} {edited} {prose(6)}",
        f"{prose(7)} {question} {prose(8)}",
    ]
    convicted = {
        share: [bool(own) for own in spans(texts, stage(tmp_path, [{"question": question}], coverage=share))]
        for share in (None, 0.4, 0.8, 1.0)
    }
    assert convicted == {
        None: [True, True, True, True],
        0.4: [True, True, True, True],
        0.8: [False, False, True, True],
        1.0: [False, False, False, True],
    }
