"""`clusters` of dedup: estimates from signatures, and closures as other tools make them, against plain references."""

import random
import unicodedata
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from datasketch import LeanMinHash
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.dedup import Dedup
from stages.kernels import jaccard
from tests import corpus, harness
from tests.kernels.scanning import tokens
from tests.pile import columns_of, everywhere, pile, said, scattered
from tests.stages.test_dedup import changed, prose

VARIANTS = ("estimated", "closure")
BANDS, ROWS = 6, 3  # few values: estimates tie with thresholds, and bands are shared by accident


def signatures(texts: list[str], **given: Any) -> list[LeanMinHash | None]:
    """What the column holds, as datasketch loads it (that it is right is `test_signatures_equal_datasketch`)."""
    found = said(Dedup(signatures=True, keep="all", **given), scattered(pile(texts), 1, 0))
    values = [found[n]["signature"] for n in range(len(texts))]
    return [v and LeanMinHash(seed=0, hashvalues=np.array(v, np.uint32), scheme="affine32") for v in values]


def labels(texts: list[str]) -> list[tuple[str, str]]:
    """The comparison form and, of texts with a shingle, the letters."""
    found = []
    for text in texts:
        words = [token for token, _, _ in tokens(text)]
        form = " ".join(unicodedata.normalize("NFC", text).split())
        found.append((form, "".join(words) if len(words) >= 5 else ""))
    return found


def edges(texts: list[str], signed: list[LeanMinHash | None]) -> Iterator[tuple[int, int, bool]]:
    """Pairs that are candidates, and whether they are so by a label."""
    known = labels(texts)
    for x, y in combinations(range(len(texts)), 2):
        same = any(a == b != "" for a, b in zip(known[x], known[y], strict=True))
        one, other = signed[x], signed[y]
        agree = np.zeros((BANDS, ROWS), np.bool_)
        if one is not None and other is not None:
            agree = (one.hashvalues == other.hashvalues).reshape(BANDS, ROWS)
        if same or agree.all(axis=1).any():
            yield x, y, same


def components(texts: list[str], signed: list[LeanMinHash | None]) -> list[int]:
    """By scipy, over all pairs: the number of each text's component."""
    pairs = [(x, y) for x, y, _ in edges(texts, signed)]
    x, y = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (x, y)), shape=(len(texts), len(texts)))
    found: list[int] = connected_components(graph, directed=False)[1].tolist()
    return found


@st.composite
def collections(draw: st.DrawFn) -> list[str]:
    """Documents, copies, and chains of edits, so that components hold texts that are not alike."""
    rng = random.Random(draw(st.integers(0, 2**20)))
    texts = [corpus.document(rng), "漢字仮名交じり文の例である。" * 4, "too short", ""]
    for _ in range(draw(st.integers(1, 16))):
        text = rng.choice(texts[-5:])
        copies = [text, corpus.edited(rng, text), text.upper(), f"{text} {corpus.document(rng)}", text[20:]]
        texts.append(rng.choice(copies))
    return texts


@settings(max_examples=40, deadline=None)
@given(collections())
def test_a_closure_is_a_connected_component(texts: list[str]) -> None:
    """One survivor for each, the first in order; all others name it; sizes are those of the components."""
    of = components(texts, signatures(texts, bands=BANDS, rows=ROWS))
    found = everywhere(Dedup(bands=BANDS, rows=ROWS, clusters="closure", prefer=()), pile(texts))
    firsts = [of.index(own) for own in of]
    expected = [None if first == number else first for number, first in enumerate(firsts)]
    assert columns_of(found, "duplicate_of") == expected
    assert columns_of(found, "cluster_size") == [of.count(own) for own in of]
    forms = [form for form, _ in labels(texts)]
    reasons = ["exact" if forms[n] == forms[first] else "linked" for n, first in enumerate(firsts)]
    gone = [None if first is None else reason for first, reason in zip(expected, reasons, strict=True)]
    assert columns_of(found, "reason") == gone


@pytest.mark.parametrize("small", [0, 12])
@settings(max_examples=40, deadline=None)
@given(collections(), st.sampled_from([0.2, 1 / 3, 0.5, 0.7, 13 / 18, 0.9, 1.0]))
def test_an_estimate_is_that_of_datasketch(small: int, texts: list[str], threshold: float) -> None:
    """RULES 11.4 word for word with `MinHash.jaccard`, thresholds that are hit exactly among them."""
    signed = signatures(texts, bands=BANDS, rows=ROWS)
    of, known = components(texts, signed), labels(texts)
    expected: list[tuple[int | None, float | None]] = []
    for x in range(len(texts)):
        expected.append((None, None))
        for y in range(x):
            if expected[y][0] is not None or of[x] != of[y]:
                continue
            same = any(a == b != "" for a, b in zip(known[x], known[y], strict=True))
            one, other = signed[x], signed[y]
            value = 1.0 if same else one.jaccard(other) if one and other else -1.0
            if value >= threshold:
                expected[x] = (y, value)
                break
    before = jaccard._SMALL
    jaccard._SMALL = small  # type: ignore[misc]
    try:
        stage = Dedup(bands=BANDS, rows=ROWS, clusters="estimated", threshold=threshold, prefer=())
        found = everywhere(stage, pile(texts))
    finally:
        jaccard._SMALL = before  # type: ignore[misc]
    told = zip(columns_of(found, "duplicate_of"), columns_of(found, "similarity"), strict=True)
    assert list(told) == expected


def chain() -> list[str]:
    """A~B~C at 0.8 each, of which the ends are not alike."""
    words = prose(4, 400)
    middle = [*prose(41, 40), *words[40:]]
    return [" ".join(own) for own in (words, middle, [*middle[:-40], *prose(42, 40)])]


def test_a_closure_eats_the_end_of_a_chain_and_says_that_it_compared_nothing() -> None:
    """What the usual rule keeps (`test_a_chain_does_not_eat_its_end`) goes, without a similarity."""
    found = everywhere(Dedup(prefer=(), clusters="closure"), pile(chain()))
    assert columns_of(found, "duplicate_of") == [None, 0, 0]
    assert columns_of(found, "cluster_size") == [3, 3, 3]
    assert columns_of(found, "similarity") == [None, None, None]
    assert columns_of(found, "reason") == [None, "linked", "linked"]
    estimated = everywhere(Dedup(prefer=(), clusters="estimated"), pile(chain()))
    assert columns_of(estimated, "duplicate_of") == [None, 0, None]


def test_a_closure_tells_what_it_knows_without_a_comparison() -> None:
    """Exact copies have a similarity of 1, documents of one address their reason; the preferred one stays."""
    words = prose(5)
    text, longer = " ".join(words), " ".join([*words, "more"])
    texts = [text, longer, f" {longer}\n", "other words altogether, of which there are enough"]
    urls = ["a.example/1", "b.example", "c.example", "https://b.example/"]
    found = everywhere(Dedup(url=True, clusters="closure"), pile(texts, url=urls))
    assert columns_of(found, "duplicate_of") == [1, None, 1, 1]
    assert columns_of(found, "reason") == ["linked", None, "exact", "url"]
    assert columns_of(found, "similarity") == [None, None, 1.0, None]


@pytest.mark.parametrize("clusters", VARIANTS)
def test_variants_do_not_depend_on_where_a_document_lies(clusters: Any) -> None:
    """Five cuts and orders, with components found in one piece and in pairs of files: the same columns."""
    texts = [" ".join(changed(prose(n % 9), 0.06 * (n % 4), n)) for n in range(60)]
    stages = [Dedup(clusters=clusters, prefer=("longest",), edges=edges) for edges in (1, 8_000_000)]
    first, *others = [
        said(stage, scattered(pile(texts), parts, seed), seed)
        for seed, parts in enumerate((1, 2, 3, 7, 11))
        for stage in stages
    ]
    assert all(other == first for other in others)
    assert any(own["duplicate_of"] for own in first.values())


def test_usual_clusters_leave_every_key_as_it_was() -> None:
    """Results of earlier versions stay good; a variant makes keys and verdicts anew, never the band keys."""
    usual = Dedup()
    assert "clusters" not in usual.identity()
    for name in VARIANTS:
        other = Dedup(clusters=name)
        assert other.identity() == {**usual.identity(), "clusters": name}
        assert other.survey_identity(0) == usual.survey_identity(0)
    assert Dedup(clusters="closure").survey_identity(1) == usual.survey_identity(1)
    signed = Dedup(clusters="estimated").survey_identity(1)
    assert signed != usual.survey_identity(1)
    assert Dedup(clusters="estimated", seed=1).survey_identity(1) != signed


def test_a_closure_sends_nothing_and_an_estimate_a_signature() -> None:
    """What verification costs: no shingles at all, or as many values as there are permutations."""
    texts = chain()
    sent = {}
    for name in ("verified", *VARIANTS):
        stage = Dedup(clusters=name, bands=20, rows=4)
        (part,) = scattered(pile(texts), 1, 0)
        findings = stage.survey(part.living(("text",)), 0, None)
        numbered = findings.append_column("part", [[0] * len(findings)])
        ruling = stage.settle(stage.decide(numbered, 0), 0).sort_by("row")
        second = stage.survey(part.living(stage.wanted), 1, ruling.drop_columns("part"))
        sent[name] = [len(own) for own in second["shingles"].to_pylist()]
    assert sent == {"verified": [396] * 3, "estimated": [80] * 3, "closure": [0] * 3}


def test_alarms_name_a_remedy_that_helps() -> None:
    """No threshold makes a closure smaller; the clusters that are published are closures."""
    stage = Dedup(clusters="closure", max_cluster=2, prefer=())
    files = harness.artifacts(stage, scattered(pile(chain()), 2, 0), random.Random(0))
    (alarm,) = stage.alarms(files)
    assert f"3 documents were taken for copies of {0:032x}" in alarm
    assert "dedup.clusters: verified" in alarm
    assert "threshold" not in alarm
    assert "raise dedup.threshold" in Dedup(max_cluster=2).alarms(files)[0]
