"""decontaminate: benchmark items in documents, with the place of each in the stored text."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.decontaminate import Decontaminate
from tests import harness
from tests.pile import everywhere, pile, said, scattered
from tests.stages.quiz import ANSWER, CHINESE, QUESTION, prose, spans, stage


def test_an_item_is_found_with_its_exact_span(tmp_path: Path) -> None:
    """In characters, from its first to its last, the punctuation of the item included."""
    question = f"“{QUESTION}”"
    text = f"Émile 漢😀: {prose(1)} «{question}» {prose(2)}"
    assert spans([text, prose(3)], stage(tmp_path, [{"question": f" {question}\n"}])) == [
        [("0", question)],
        [],
    ]


@pytest.mark.parametrize(
    ("question", "written", "matched"),
    [
        (f'{QUESTION}\n    """', f'{QUESTION}  """ x', f'{QUESTION}  """'),
        (f'( " {QUESTION}', f'(("{QUESTION}', f'("{QUESTION}'),
        (f"{QUESTION})", f"{QUESTION}", QUESTION.rstrip("?")),
        (f"¿{QUESTION}", f"{QUESTION}", QUESTION),
    ],
)
def test_punctuation_around_an_item_is_part_of_its_span(
    tmp_path: Path, question: str, written: str, matched: str
) -> None:
    """Whatever white space is in it; where the document has it not, the span ends with the last word."""
    assert spans([f"x {written}"], stage(tmp_path, [{"question": question}])) == [[("0", matched)]]


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


def test_nonsense_is_refused(tmp_path: Path) -> None:
    """Two benchmarks of one name; a floor above the ceiling."""
    own = stage(tmp_path, [{"question": QUESTION}])
    with pytest.raises(ValueError, match="two benchmarks are called quiz"):
        Decontaminate(benchmarks=own.benchmarks * 2)
    with pytest.raises(ValueError, match="short must not exceed n"):
        Decontaminate(benchmarks=own.benchmarks, n=5)
    for variant in ("gpt4", ["gpt3"]):
        with pytest.raises(ValueError, match="variant"):
            Decontaminate.model_validate({"benchmarks": own.benchmarks, "variant": variant})


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


def test_what_several_documents_have_must_stand_in_its_text(tmp_path: Path) -> None:
    """A phrase of an item in four documents is a phrase; the item whole in four is the item."""
    question = prose(9, 60)
    phrase = " ".join(question.split()[20:36])
    for written, count, keys, convicted in (
        (phrase, 3, {}, 3),
        (phrase, 4, {}, 0),
        (phrase, 4, {"suspect_frequency": None}, 4),
        (phrase, 4, {"suspect_coverage": 0.2}, 4),
        (question, 4, {}, 4),
        (question, 10, {}, 10),
    ):
        texts = [f"{prose(n)} {written} {prose(100 + n)}" for n in range(count)]
        found = spans(texts, stage(tmp_path, [{"question": question}], **keys))
        assert sum(bool(hits) for hits in found) == convicted


def test_occurrences_can_be_limited(tmp_path: Path) -> None:
    """Places, not documents; those of a copy are not counted."""
    texts = [f"{prose(n)} {QUESTION} {prose(50 + n)} {QUESTION}" for n in (1, 1, 2)]
    for limit, convicted in ((3, 0), (4, 3)):
        own = stage(tmp_path, [{"question": QUESTION}], max_occurrences=limit)
        assert sum(bool(hits) for hits in spans(texts, own)) == convicted


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("gpt3", {"n": 13, "action": "cut", "max_document_frequency": 10, "suspect_frequency": None}),
        ("datatrove", {"n": 12, "short": 12, "action": "drop", "max_document_frequency": None, "max_items": None}),
        ("nemo", {"short": 8, "max_occurrences": 10, "edge": "sentence", "action": "cut"}),
        ("tulu3", {"n": 8, "coverage": 0.5, "min_distinct_words": 1}),
        (None, {"n": 13, "suspect_frequency": 3, "coverage": None}),
    ],
)  # fmt: skip
def test_a_published_rule_sets_the_defaults(
    tmp_path: Path, variant: str | None, expected: dict[str, object]
) -> None:
    """What a recipe says itself wins; a stage that was written out says the same again."""
    own = stage(tmp_path, [{"question": QUESTION}], variant=variant, n_cjk=30)
    said = own.model_dump()
    assert {name: said[name] for name in expected} == expected
    assert said["n_cjk"] == 30
    assert Decontaminate.model_validate(said) == own
    twelve = " ".join(QUESTION.split()[:11])  # "tinker's" is one token, and all others too
    found = spans(
        [f"{prose(1)} {twelve} {prose(2)}"], stage(tmp_path, [{"question": QUESTION}], variant=variant)
    )
    assert bool(found[0]) == (variant == "tulu3")


def test_the_tables_say_what_convicts_and_what_is_common(tmp_path: Path) -> None:
    """Phrases as the benchmark writes them, in how many documents, and whether they are a whole text."""
    common, long = "Which of these four is the best reply to what the tinker said?", prose(9, 60)
    phrase = " ".join(long.split()[:15])
    items = [{"question": QUESTION}, {"question": common}, {"question": long}, {"question": "Why?"}]
    texts = [
        f"{prose(1)} {QUESTION.upper()}",
        *(f"{prose(n)} {common} {prose(100 + n)}" for n in range(10, 21)),
        *(f"{prose(n)} {phrase} {prose(100 + n)}" for n in range(30, 34)),
        "nothing",
    ]
    own = stage(tmp_path, items)
    (table,) = json.loads(
        harness.artifacts(own, scattered(pile(texts), 3, 0), random.Random(0))["contamination.json"]
    )
    shown = {kind: [tuple(row.values()) for row in table.pop(kind)] for kind in ("grams", "common_phrases")}
    assert table == {
        "benchmark": "quiz", "items": 4, "repeated": 0, "checkable": 3, "not_checkable": 1, "items_hit": 1,
        "share": 1 / 3, "documents": 1, "regions": 1, "longest": 17, "matched_tokens": 17,
        "matched_characters": len(QUESTION),
    }  # fmt: skip
    assert shown == {
        "grams": [(QUESTION.rstrip("?"), 1, "0", True)],
        "common_phrases": [(common.rstrip("?"), 11, "1", True), (phrase, 4, "2", False)],
    }


PIECES = st.lists(
    st.one_of(
        st.sampled_from([QUESTION, QUESTION.upper(), CHINESE, ANSWER, "".join(CHINESE[:12]), "😀漢", "e\u0301te\u0301"]),
        st.integers(0, 9).map(lambda seed: prose(seed, 12)),
        st.lists(st.sampled_from(QUESTION.split()), min_size=1, max_size=8).map(" ".join),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PIECES, st.sampled_from([0, 3, 40]), st.sampled_from([1, 30]), st.sampled_from(["word", "sentence"]))
def test_whatever_was_cut_a_second_scan_finds_nothing(
    tmp_path: Path, pieces: list[str], window: int, least: int, edge: str
) -> None:
    """Whatever the margins; what is left are stretches of the text, in order, none below the floor."""
    text = " ".join(pieces)
    given_ = {"window": window, "min_piece": least, "edge": edge, "max_regions": 99, "action": "cut"}
    items = [{"question": QUESTION, "answer": ANSWER}, {"question": CHINESE}]
    own = stage(tmp_path, items, spec={"answer": "answer"}, **given_)
    cut = said(own, scattered(pile([text]), 1, 0))[0]
    if cut["text"] is None:
        assert cut["reason"] == "contaminated"
        return
    assert said(own, scattered(pile([cut["text"]]), 1, 0))[0]["contamination"] is None
    if cut["contamination"] is None:
        assert cut["text"] == text
        return
    at = 0
    for piece in cut["text"].split("\n\n"):
        assert len(piece) >= least
        at = text.index(piece, at) + len(piece)


def test_planning_needs_no_compiler() -> None:
    """Numba takes half a second to load; a plan only asks what the stage is."""
    code = "import sys, stages.decontaminate; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
