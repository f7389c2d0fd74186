"""dedup: what is a copy, which copy stays, and that neither depends on where a document lies."""

import json
import random
import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup import Dedup
from tests import corpus, harness
from tests.kernels.scanning import tokens
from tests.pile import columns_of, everywhere, pile, said, scattered

WORDS = [a + b for a in "bcdfgklmnprst" for b in ("ab", "el", "in", "or", "u", "ax", "eth")]


def prose(seed: int, size: int = 200) -> list[str]:
    """Random words."""
    return random.Random(seed).choices(WORDS, k=size)


def changed(words: list[str], share: float, seed: int) -> list[str]:
    """The same words, but for one stretch of them that is new: a fixed share of the shingles goes."""
    fresh = prose(1000 + seed, max(1, round(len(words) * share)))
    return [*fresh, *words[len(fresh) :]]


def jaccard(one: str, other: str, n: int = 5) -> float:
    """By the plain reference of match tokens."""
    sets = []
    for text in (one, other):
        words = [token for token, _, _ in tokens(text)]
        sets.append({tuple(words[k : k + n]) for k in range(len(words) - n + 1)})
    return len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1]))


def test_exact_copies_keep_the_least_id() -> None:
    """White space does not distinguish; the survivor's cluster counts all copies, a document alone is one."""
    text = " ".join(prose(1))
    found = everywhere(
        Dedup(), pile([text, "other words altogether", text.replace(" ", "\n "), f" {text}\t"])
    )
    # 2 is longer in stored characters only: lengths are those of the comparison form
    assert columns_of(found, "duplicate_of") == [None, None, 0, 0]
    assert columns_of(found, "reason") == [None, None, "exact", "exact"]
    assert columns_of(found, "similarity") == [None, None, 1.0, 1.0]
    assert columns_of(found, "cluster_size") == [3, 1, 3, 3]


@pytest.mark.parametrize("text", ["", "word", "one two three four", "四個漢字", "…"])
def test_short_documents_merge_only_with_the_same_text(text: str) -> None:
    """Below a shingle there is exact comparison only; emptiness is nobody's copy."""
    rows = pile([text, f"{text}!", text.upper() + "?", f" {text}\n"])
    expected = [None] * 4 if not text else [None, None, None, 0]
    assert columns_of(everywhere(Dedup(), rows), "duplicate_of") == expected


def test_case_and_punctuation_make_no_difference_to_longer_ones() -> None:
    """The same letters in the same order, wherever words are cut: similarity 1, another reason."""
    text = "The rules, e.g. those of version 3.10, apply to well-known (and unknown) cases. " * 3
    plain = text.lower().replace(".", "").replace(",", "").replace("-", " ")
    found = everywhere(Dedup(), pile([text, plain]))
    assert columns_of(found, "duplicate_of") == [None, 0]
    assert columns_of(found, "reason") == [None, "letters"]
    assert found[1]["similarity"] == 1.0


def test_near_copies_are_removed_and_their_similarity_is_exact() -> None:
    """A document of which 5 % is new goes; one of which 40 % is new stays."""
    words = prose(2)
    texts = [" ".join(own) for own in (words, changed(words, 0.05, 1), changed(words, 0.4, 2))]
    found = everywhere(Dedup(prefer=()), pile(texts))
    assert columns_of(found, "reason") == [None, "near", None]
    assert found[1]["similarity"] == pytest.approx(jaccard(texts[0], texts[1]), abs=1e-12)


def test_equality_with_the_threshold_counts() -> None:
    """A pair whose similarity is the threshold is a pair; a hair above, it is not."""
    words = prose(3)
    texts = [" ".join(words), " ".join(changed(words, 0.05, 3))]
    exact = jaccard(*texts)
    assert columns_of(said(Dedup(threshold=exact), scattered(pile(texts), 2, 0)), "reason").count("near") == 1
    above = exact + 1e-9
    assert columns_of(said(Dedup(threshold=above), scattered(pile(texts), 2, 0)), "reason") == [None, None]


def test_a_chain_does_not_eat_its_end() -> None:
    """A~B~C with A and C unlike: B goes, C stays, though all three are one component."""
    words = prose(4, 400)
    middle = [*prose(41, 40), *words[40:]]
    end = [*middle[:-40], *prose(42, 40)]
    texts = [" ".join(own) for own in (words, middle, end)]
    assert jaccard(texts[0], texts[1]) >= 0.8
    assert jaccard(texts[1], texts[2]) >= 0.8
    assert jaccard(texts[0], texts[2]) < 0.7
    found = everywhere(Dedup(prefer=()), pile(texts))
    assert columns_of(found, "duplicate_of") == [None, 0, None]
    assert columns_of(found, "cluster_size") == [2, 2, 1]


def test_a_hub_replaces_everything_like_it_and_a_bridge_falls() -> None:
    """The first document kept is the survivor of all that resemble it; kept ones resemble no earlier one."""
    words = prose(5, 300)
    spokes = [changed(words, 0.1, n) for n in range(6)]
    hub_first = [" ".join(own) for own in (words, *spokes)]
    assert columns_of(everywhere(Dedup(prefer=()), pile(hub_first)), "duplicate_of") == [None] + [0] * 6
    hub_last = [*hub_first[1:], hub_first[0]]
    found = everywhere(Dedup(prefer=(), threshold=0.85), pile(hub_last))
    assert columns_of(found, "duplicate_of") == [None, *check(hub_last, 0.85)[1:]]


def check(texts: list[str], threshold: float) -> list[int | None]:
    """RULES 11.4 over one component, in the order given."""
    found: list[int | None] = []
    for x, text in enumerate(texts):
        kept = (y for y in range(x) if found[y] is None and jaccard(texts[y], text) >= threshold)
        found.append(next(kept, None))
    return found


def test_the_survivor_is_of_the_preferred_source_then_the_longest_then_least() -> None:
    """`prefer` orders the preferences, `sources` the sources; unknown sources come last."""
    words = prose(6)
    texts = [" ".join(words), " ".join([*words, "more"]), " ".join([*words, "yet", "more"]), " ".join(words)]
    rows = pile(texts, source=["web", "web", "attic", "books"])

    def kept(**given: Any) -> int:
        found = everywhere(Dedup(sources=("books", "web"), **given), rows)
        return columns_of(found, "duplicate_of").index(None)

    assert kept() == 3
    assert kept(prefer=("longest",)) == 2
    assert kept(prefer=("longest", "source")) == 2
    assert kept(prefer=()) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [None, "exact", "near", None, "exact"]),
        ({"near": False}, [None, "exact", None, None, "exact"]),
        ({"exact": False}, [None, "letters", "near", None, None]),
        ({"num_perm": 64}, [None, "exact", "near", None, "exact"]),
    ],
)
def test_exact_and_near_can_be_asked_for_alone(given: dict[str, Any], expected: list[str | None]) -> None:
    """Without `exact`, documents shorter than a shingle are left alone."""
    words = prose(7)
    texts = [" ".join(words), " ".join(words), " ".join(changed(words, 0.02, 7)), "two words", "two words"]
    assert columns_of(everywhere(Dedup(prefer=(), **given), pile(texts)), "reason") == expected


def test_nonsense_is_refused_with_advice() -> None:
    """Both halves off; permutations given twice."""
    with pytest.raises(ValueError, match="leave dedup out"):
        Dedup(exact=False, near=False)
    with pytest.raises(ValueError, match="num_perm, or bands and rows"):
        Dedup(num_perm=64, bands=4)


def test_permutations_to_be_divided_reach_a_worker() -> None:
    """What a recipe asks with `num_perm` is understood again from JSON, where all parameters are given."""
    stage = Dedup(num_perm=64, threshold=0.6)
    assert Dedup.model_validate(stage.model_dump(mode="json")) == stage


def test_a_hundred_thousand_copies_cost_linear_time_and_leave_one() -> None:
    """Nobody's shingles travel, and one star joins them all."""
    texts = [" ".join(prose(8, 30))] * 100_000
    rows = pile(texts)
    said(Dedup(), scattered(pile(texts[:10]), 1, 0))  # compiles the kernels
    start = time.process_time()
    found = said(Dedup(), scattered(rows, 3, 1))
    assert time.process_time() - start < 30
    assert sum(own["reason"] is None for own in found.values()) == 1
    assert found[0]["cluster_size"] == 100_000


def test_of_equal_texts_one_sends_its_shingles() -> None:
    """In a component of two forms two rows carry shingles, in one of a single form none does."""
    words = prose(9)
    text, near = " ".join(words), " ".join(changed(words, 0.03, 9))
    sent = {}
    for name, texts in (("mixed", [text] * 5 + [near] * 4), ("copies", [text] * 5)):
        stage = Dedup()
        (part,) = scattered(pile(texts), 1, 0)
        rows = part.living(stage.reads)
        findings = stage.survey(rows, 0, None)
        numbered = findings.append_column("part", [[0] * len(findings)])
        ruling = stage.settle(stage.decide(numbered, 0), 0).sort_by("row")
        second = stage.survey(rows, 1, ruling.drop_columns("part"))
        sent[name] = sum(bool(shingles) for shingles in second["shingles"].to_pylist())
    assert sent == {"mixed": 2, "copies": 0}


def test_surveys_do_not_depend_on_what_only_verdicts_need() -> None:
    """Another threshold, preference or list of sources reuses both surveys; another shingle neither."""
    base = Dedup()
    other = Dedup(threshold=0.9, prefer=("longest",), sources=("a",), max_drop=0.5)
    assert [other.survey_identity(turn) for turn in (0, 1)] == [base.survey_identity(turn) for turn in (0, 1)]
    finer = Dedup(ngram=3)
    assert all(finer.survey_identity(turn) != base.survey_identity(turn) for turn in (0, 1))
    assert Dedup(bands=20).survey_identity(0) != base.survey_identity(0)
    assert Dedup(bands=20).survey_identity(1) == base.survey_identity(1)


def test_keep_all_writes_the_same_columns_and_drops_nobody() -> None:
    """For those who weigh documents by their copies."""
    words = prose(10)
    rows = pile([" ".join(words), " ".join(words), " ".join(changed(words, 0.05, 10)), "else"])
    one, every = everywhere(Dedup(), rows), everywhere(Dedup(keep="all"), rows)
    assert columns_of(every, "reason") == [None] * 4
    for name in ("duplicate_of", "similarity", "cluster_size"):
        assert columns_of(every, name) == columns_of(one, name)


def test_what_the_bands_find_and_how_large_clusters_are_is_published() -> None:
    """The curve of RULES 11.3, a histogram, and the survivors of the largest clusters."""
    texts = [" ".join(prose(n)) for n in (11, 11, 11, 12, 12, 13)]
    parts = scattered(pile(texts), 2, 0)
    found = json.loads(harness.artifacts(Dedup(), parts, random.Random(0))["duplicates.json"])
    assert dict(map(tuple, found["curve"]))[0.65] == 0.3645
    assert found["sizes"] == [[2, 1], [3, 1]]
    assert [(int(own["survivor"], 16), own["documents"]) for own in found["largest"]] == [(0, 3), (3, 2)]
    plain = json.loads(harness.artifacts(Dedup(near=False), parts, random.Random(0))["duplicates.json"])
    assert plain == {**found, "curve": []}


def test_adding_a_source_leaves_the_findings_of_the_others() -> None:
    """What round 0 finds in a part is a function of its rows: only new parts are surveyed."""
    old = pile([" ".join(prose(n % 7)) for n in range(10)])
    new = pile([" ".join(prose(n % 9)) for n in range(20)]).slice(10)
    stage = Dedup(sources=("a",))
    (part,) = harness.cut(old, [])
    before = stage.survey(part.living(stage.reads), 0, None)
    grown = Dedup(sources=("a", "b"))
    assert grown.survey_identity(0) == stage.survey_identity(0)
    assert grown.survey(part.living(stage.reads), 0, None).equals(before)
    together = harness.cut(pa.concat_tables([old, new]), [10])
    assert said(grown, together) == said(grown, scattered(pa.concat_tables([old, new]), 5, 3))


@st.composite
def collections(draw: st.DrawFn) -> list[str]:
    """Documents, copies and edited copies of them, in several scripts."""
    rng = random.Random(draw(st.integers(0, 2**20)))
    texts = [corpus.document(rng) for _ in range(3)] + ["漢字仮名交じり文の例である。" * 4]
    for _ in range(draw(st.integers(1, 10))):
        text = rng.choice(texts)
        edit = rng.randrange(4)
        copy = [text, corpus.edited(rng, text), text.upper(), text + " " + corpus.document(rng)][edit]
        texts.append(copy)
    rng.shuffle(texts)
    return texts


@settings(max_examples=40, deadline=None)
@given(collections(), st.sampled_from([0.5, 0.75, 0.9]))
def test_whoever_is_removed_resembles_a_kept_one_as_promised(texts: list[str], threshold: float) -> None:
    """The promise, recomputed from the texts, for every document of every random collection."""
    found = everywhere(Dedup(threshold=threshold), pile(texts))
    for number, own in found.items():
        if own["reason"] is None:
            assert own["duplicate_of"] is None
            continue
        survivor = int.from_bytes(own["duplicate_of"], "big")
        assert found[survivor]["reason"] is None
        assert found[survivor]["cluster_size"] == own["cluster_size"] > 1
        if own["reason"] == "exact":
            assert texts[number].split() == texts[survivor].split()
        elif own["reason"] == "near":
            value = jaccard(texts[number], texts[survivor])
            assert own["similarity"] == pytest.approx(value, abs=1e-12)
            assert value >= threshold
