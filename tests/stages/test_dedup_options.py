"""dedup's options: addresses, preferences, digits, signatures; components found in pieces; growing corpora."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import StageError
from stages.dedup import Dedup
from stages.preference import moment
from tests import harness
from tests.kernels.scanning import tokens
from tests.pile import columns_of, everywhere, pile, said, scattered
from tests.stages.test_dedup import changed, prose

HERE = "https://www.example.org/page"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("http://example.org/page/", True),
        ("https://example.org/page?utm_source=x", True),
        ("https://example.org/page?ref=x", True),
        ("example.org/page", True),
        ("https://example.org/page?id=2", False),
        ("https://example.org/Page", False),
        ("https://wwwexample.org/page", False),
        ("https://blog.example.org/page", False),
    ],
)
def test_an_address_is_the_same_without_its_decoration(other: str, same: bool) -> None:
    """Scheme, `www.`, campaign parameters and a closing slash do not count; other queries do (RULES 7)."""
    rows = pile([" ".join(prose(1)), " ".join(prose(2))], url=[HERE, other])
    found = everywhere(Dedup(url=True, prefer=()), rows)
    assert columns_of(found, "reason") == [None, "url" if same else None]
    assert columns_of(found, "duplicate_of") == [None, 0 if same else None]
    assert columns_of(found, "similarity") == [None, None]


def test_no_address_is_nobodys_address() -> None:
    """Null and empty addresses join nothing, whatever the texts."""
    rows = pile([" ".join(prose(n)) for n in range(4)], url=["", None, None, "https://"])
    assert columns_of(everywhere(Dedup(url=True), rows), "reason") == [None] * 4


def test_an_address_removes_only_for_a_kept_document() -> None:
    """Of two documents at one address the first copies another: the second one is then kept."""
    text, version = " ".join(prose(3)), " ".join(prose(4))
    rows = pile([text, text, version, ""], url=["a.example/1", "a.example/2", "a.example/2", "a.example/1"])
    found = everywhere(Dedup(url=True, prefer=()), rows)
    assert columns_of(found, "duplicate_of") == [None, 0, None, 0]
    assert columns_of(found, "reason") == [None, "exact", None, "url"]


def test_addresses_alone_compare_no_texts() -> None:
    """With `exact` and `near` off, copies elsewhere stay."""
    words = prose(5)
    texts = [" ".join(words), " ".join(words), " ".join(changed(words, 0.02, 5)), "a"]
    rows = pile(texts, url=["a.example", "b.example", "a.example/", "b.example?ref=1"])
    found = everywhere(Dedup(url=True, exact=False, near=False, prefer=()), rows)
    assert columns_of(found, "duplicate_of") == [None, None, 0, 1]


@pytest.mark.parametrize(("given", "reason"), [({}, "exact"), ({"exact": False}, "letters")])
def test_equal_texts_at_two_addresses_are_copies(given: dict[str, Any], reason: str) -> None:
    """With `exact` off, too: nothing else is in their component, and their letters tell."""
    rows = pile([" ".join(prose(8))] * 3, url=["a.example", "b.example", None])
    found = everywhere(Dedup(url=True, prefer=(), **given), rows)
    assert columns_of(found, "duplicate_of") == [None, 0, 0]
    assert columns_of(found, "reason") == [None, reason, reason]
    assert columns_of(found, "similarity") == [None, 1.0, 1.0]


def kept(**given: Any) -> int:
    """Which of four copies of one text stays."""
    columns = {
        "source": ["web", "web", "books", "web"],
        "quality": [0.5, 0.9, 0.1, None],
        "date": ["2024-05-01", "2023", None, "2024-05-01T02:00:00+03:00"],
    }
    found = everywhere(Dedup(sources=("books", "web"), **given), pile([" ".join(prose(6))] * 4, **columns))
    return columns_of(found, "duplicate_of").index(None)


@pytest.mark.parametrize(
    ("prefer", "survivor"),
    [
        (["quality"], 1),
        (["source", "quality"], 2),
        (["longest", "quality"], 1),
        (["newest(date)"], 0),
        (["oldest(date)"], 1),
        (["newest(date)", "quality"], 0),
        (["oldest( date )", "source"], 1),
        ([], 0),
    ],
)
def test_preferences_are_asked_in_order(prefer: list[str], survivor: int) -> None:
    """Scores, dates (a missing one comes last) and sources; ties go to the next preference."""
    assert kept(prefer=prefer) == survivor


def test_a_preference_names_the_column_it_reads() -> None:
    """So that a recipe without `quality:` before `dedup:` is refused before anything runs."""
    assert Dedup(prefer=("quality", "newest(date)")).wanted == ("text", "source", "quality", "date")
    with pytest.raises(ValueError, match="newest\\(FIELD\\)"):
        Dedup(prefer=("newest",))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024", "2024-02"),
        ("2024-02-01", "2024-02-01T00:00:01"),
        ("2024-02-01T01:00:00+02:00", "2024-02-01"),
        (3, 4),
    ],
)
def test_dates_are_read_as_moments(earlier: object, later: object) -> None:
    """A year is its first day, a day its first second, a time without zone is UTC."""
    first, second = moment(earlier, "date"), moment(later, "date")
    assert first is not None
    assert second is not None
    assert first < second


def test_what_is_no_date_says_so() -> None:
    """The message names the field and the forms that are read."""
    with pytest.raises(StageError, match=r"'date' holds 'last week'.*ISO"):
        moment("last week", "date")


def test_pages_that_differ_in_numbers_are_the_same_if_asked() -> None:
    """`fold_digits` reads every digit as 0, of any script; the number of digits still counts."""
    line = "On day {0} of the {0} weeks the mill ground {0} sacks of wheat and {0} of rye for the town. "
    texts = [line.format(n) * 3 for n in ("12", "34", "\u0663\u0664", "567")]
    assert columns_of(everywhere(Dedup(prefer=()), pile(texts)), "reason") == [None] * 4
    found = everywhere(Dedup(fold_digits=True, prefer=()), pile(texts))
    assert columns_of(found, "reason") == [None, "letters", "near", None]
    assert found[2]["similarity"] == 1.0


def test_signatures_are_those_of_datasketch() -> None:
    """The column loads as LeanMinHash, and estimates similarity as a MinHash of the shingles would."""
    stage = Dedup(signatures=True, seed=3)
    words = prose(7)
    texts = [" ".join(words), " ".join(changed(words, 0.3, 7)), "too short"]
    found = said(stage, scattered(pile(texts), 2, 0))
    assert found[2]["signature"] is None
    one, other = (
        LeanMinHash(seed=3, hashvalues=np.array(found[n]["signature"], np.uint32), scheme="affine32")
        for n in (0, 1)
    )
    assert len(one) == 14 * 8
    sets = [
        {tuple(w[k : k + 5]) for k in range(len(w) - 4)}
        for w in ([t for t, _, _ in tokens(x)] for x in texts)
    ]
    exact = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert one.jaccard(other) == pytest.approx(exact, abs=0.15)
    assert "signature" not in Dedup().written


def test_golden_signature() -> None:
    """The same text gives the same numbers on every machine and in every version."""
    text = "the quick brown fox jumps over the lazy dog and runs away"
    found = said(Dedup(signatures=True, bands=2, rows=4), scattered(pile([text]), 1, 0))
    assert found[0]["signature"] == GOLDEN


GOLDEN = [255217842, 498258542, 787788837, 184566818, 560718289, 142507782, 128911485, 203419043]


def test_permutations_are_those_of_datasketch() -> None:
    """Drawn without importing it, for any seed and number."""
    from stages.kernels.minhash import permutations

    for count, seed in ((112, 0), (1, 5), (256, 12345)):
        a, b = MinHash(num_perm=count, seed=seed, scheme="affine32").permutations
        assert np.array_equal(permutations(count, seed)[0], a)
        assert np.array_equal(permutations(count, seed)[1], b)


def memberships(draw: random.Random, documents: int, keys: int) -> list[pa.Table]:
    """Decisions of several buckets: every key belongs to one of them, equal keys stand together."""
    piles: list[list[tuple[int, int, int]]] = [[] for _ in range(5)]
    for _ in range(keys):
        key = draw.randrange(1 << 40) << 2 | draw.choice([0, 0, 0, 1, 2])
        members = draw.sample(range(documents), draw.randint(2, 4))
        piles[draw.randrange(5)] += [(n % 3, n, key) for n in members]
    kinds = (pa.uint32(), pa.uint32(), pa.uint64())
    names = ("part", "row", "key")
    return [
        pa.table(
            {
                name: pa.array([member[k] for member in pile], kind)
                for k, (name, kind) in enumerate(zip(names, kinds, strict=True))
            }
        )
        for pile in piles
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**20), st.integers(5, 80), st.integers(1, 60))
def test_components_found_in_pieces_are_those_found_at_once(seed: int, documents: int, keys: int) -> None:
    """Merging pairs of decisions, in any order, settles to the same components and the same senders."""
    draw = random.Random(seed)
    decided = memberships(draw, documents, keys)
    stage = Dedup(edges=1)
    order = [("part", "ascending"), ("row", "ascending")]
    at_once = stage.settle(pa.concat_tables(decided), 0).sort_by(order)
    while len(decided) > 1:
        draw.shuffle(decided)
        decided = [stage.merge(pa.concat_tables(decided[k : k + 2]), 0) for k in range(0, len(decided), 2)]
    (forest,) = decided
    assert len(forest) <= 3 * len(at_once) + keys
    assert stage.settle(forest, 0).sort_by(order).equals(at_once)


def test_a_budget_of_edges_changes_nothing() -> None:
    """The whole stage, with every decision merged over files."""
    texts = [" ".join(changed(prose(n % 9), 0.04 * (n % 3), n)) for n in range(40)]
    assert everywhere(Dedup(edges=1), pile(texts)) == everywhere(Dedup(), pile(texts))


@pytest.mark.parametrize("seed", range(5))
def test_a_corpus_that_grew_is_what_it_would_be_at_once(seed: int) -> None:
    """A, then A and B: findings on A are what they were, and the outcome is that of A and B together."""
    draw = random.Random(seed)
    texts = [" ".join(changed(prose(draw.randrange(12)), draw.choice([0, 0.03, 0.1]), n)) for n in range(60)]
    rows = pile(texts, source=[draw.choice("ab") for _ in texts])
    split = draw.randint(10, 50)
    stage = Dedup(sources=("a", "b"))
    (old,) = harness.cut(rows.slice(0, split), [])
    before = stage.survey(old.living(stage.survey_reads(0)), 0, None)
    grown = harness.cut(rows, [split])
    assert stage.survey(grown[0].living(stage.survey_reads(0)), 0, None).equals(before)
    assert said(stage, grown) == everywhere(stage, rows)


def test_giant_clusters_are_named_with_samples() -> None:
    """A cluster beyond `max_cluster` is an alarm with its survivor and some who were removed for it."""
    stage = Dedup(max_cluster=5)
    parts = scattered(pile([" ".join(prose(n)) for n in (1, 1, 1, 1, 1, 1, 2, 2)]), 2, 0)
    files = harness.artifacts(stage, parts, random.Random(0))
    (alarm,) = stage.alarms(files)
    assert f"6 documents were taken for copies of {0:032x}" in alarm
    assert f"{1:032x}, {2:032x}, {3:032x}" in alarm
    assert "max_cluster" in alarm
    assert Dedup().alarms(files) == []


def test_a_template_family_keeps_who_the_rule_keeps() -> None:
    """Pages with a long template and a few words of their own, for any cut and order: one survivor if alike enough."""
    template = prose(20, 300)
    close = pile([" ".join([*template, *prose(100 + n, 10)]) for n in range(30)])
    assert columns_of(everywhere(Dedup(prefer=()), close), "duplicate_of") == [None] + [0] * 29
    far = pile([" ".join([*template, *prose(100 + n, 150)]) for n in range(30)])
    assert columns_of(everywhere(Dedup(prefer=()), far), "duplicate_of") == [None] * 30
