"""Verification is exact: it says what comparing every set with every kept one before it would say."""

import random
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels import jaccard
from stages.kernels.jaccard import survivors

Sets = list[set[int]]


def packed(sets: Sets) -> tuple[np.ndarray, np.ndarray]:
    """Sets as the kernel takes them."""
    flat = np.array([element for own in sets for element in sorted(own)], np.uint64)
    return flat, np.append(0, np.cumsum([len(own) for own in sets])).astype(np.int64)


def brute_force(
    sets: Sets, labels: list[tuple[int, int]], groups: list[int], threshold: float
) -> list[tuple[int, float]]:
    """RULES 11.4, word for word."""
    found = [(-1, 1.0)] * len(sets)
    for first, last in pairwise(groups):
        for x in range(first, last):
            for y in range(first, x):
                if found[y][0] >= 0:
                    continue
                same = any(a == b != 0 for a, b in zip(labels[x], labels[y], strict=True))
                value = 1.0 if same else len(sets[x] & sets[y]) / max(1, len(sets[x] | sets[y]))
                if value >= threshold:
                    found[x] = (y, value)
                    break
    return found


@st.composite
def collections(draw: st.DrawFn) -> tuple[Sets, list[tuple[int, int]], list[int]]:
    """Sets made by editing earlier ones, so that similarities lie near any threshold; in components."""
    rng = random.Random(draw(st.integers(0, 2**20)))
    count = draw(st.integers(1, 40))
    sets: Sets = []
    for _ in range(count):
        own = set(rng.choice(sets)) if sets and rng.random() < 0.8 else set()
        for _ in range(rng.randint(0, 12)):
            own ^= {rng.randrange(60)}
        sets.append(own)
    labels = [(rng.randrange(count * 3) if own else 0, rng.randrange(count)) for own in sets]
    groups = sorted({0, count, *(rng.randrange(count) for _ in range(draw(st.integers(0, 3))))})
    return sets, labels, groups


@pytest.mark.parametrize("small", [0, 12])
@settings(max_examples=250, deadline=None)
@given(collections(), st.sampled_from([0.05, 0.3, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.8, 0.9, 1.0]))
def test_equals_brute_force(
    small: int, case: tuple[Sets, list[tuple[int, int]], list[int]], threshold: float
) -> None:
    """With and without the index, at thresholds that are hit exactly and in between."""
    sets, labels, groups = case
    before = jaccard._SMALL
    jaccard._SMALL = small  # type: ignore[misc]
    try:
        survivor, similarity = survivors(
            *packed(sets), np.array(labels, np.uint64), np.array(groups), threshold
        )
    finally:
        jaccard._SMALL = before  # type: ignore[misc]
    expected = brute_force(sets, labels, groups, threshold)
    assert list(zip(survivor.tolist(), similarity.tolist(), strict=True)) == expected


def family(members: int, common: int, own: int) -> tuple[np.ndarray, np.ndarray]:
    """Members that share a template and have elements of their own."""
    template = np.arange(common, dtype=np.uint64)
    fresh = np.arange(common, common + members * own, dtype=np.uint64).reshape(members, own)
    sets = np.concatenate([np.broadcast_to(template, (members, common)), fresh], axis=1)
    return sets.ravel(), np.arange(members + 1) * (common + own)


def test_a_template_family_costs_no_comparison_of_all_with_all() -> None:
    """20,000 pages that are 70 % alike, all kept: far less time than their 200 million pairs would take."""
    survivors(*family(50, 70, 13), np.arange(1, 51, dtype=np.uint64)[:, None], np.array([0, 50]), 0.75)
    shingles, bounds = family(20_000, 70, 13)
    start = time.process_time()
    labels = np.arange(1, 20_001, dtype=np.uint64)[:, None]
    survivor, _ = survivors(shingles, bounds, labels, np.array([0, 20_000]), 0.75)
    assert (survivor == -1).all()
    assert time.process_time() - start < 5
