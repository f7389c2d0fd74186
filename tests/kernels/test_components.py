"""Components are those of the graph in which documents with a common key are neighbours."""

import random
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.components import components, numbered, shared

MEMBERSHIPS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15)), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(MEMBERSHIPS, st.randoms(use_true_random=False))
def test_components_equal_a_flood_fill_whatever_the_order(
    members: list[tuple[int, int]], draw: random.Random
) -> None:
    """Documents reach each other over shared keys; the component is named after its least key."""
    draw.shuffle(members)
    order = draw.sample(range(16), 16)
    members.sort(key=lambda member: order[member[1]])  # equal keys stand together
    nodes, documents = numbered(np.array([document for document, _ in members], np.uint64))
    assert documents[nodes].tolist() == [document for document, _ in members]
    assert len(set(documents.tolist())) == len(documents)
    found = components(nodes, np.array([4 * key + key % 3 for _, key in members], np.uint64), len(documents))
    numbers = documents.tolist()
    members = [(numbers.index(document), key) for document, key in members]
    for start in range(len(numbers)):
        reached, keys = {start}, set[int]()
        while True:
            keys |= {key for node, key in members if node in reached}
            wider = reached | {node for node, key in members if key in keys}
            if wider == reached:
                break
            reached = wider
        assert found[start] == 4 * min(keys)
        assert {n for n in range(len(numbers)) if found[n] == found[start]} == reached


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=30))
def test_shared_finds_the_keys_that_occur_more_than_once(keys: list[int]) -> None:
    """Positions of all entries with such a key, and no other."""
    counts = Counter(keys)
    found = shared(np.array(keys, np.uint64)).tolist()
    assert sorted(found) == [k for k, key in enumerate(keys) if counts[key] > 1]


def test_numbering_grows_with_the_documents() -> None:
    """More documents than the first table holds, each several times."""
    places = np.tile(np.arange(5000, dtype=np.uint64) << np.uint64(32), 3)
    nodes, documents = numbered(places)
    assert len(documents) == 5000
    assert (documents[nodes] == places).all()
