"""Signatures are datasketch's, bit for bit; shingles are sets of runs of n tokens."""

from itertools import pairwise

import numpy as np
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.minhash import band_keys, permutations, shingle_sets, signature_sets, signatures
from tests.kernels.scanning import TEXTS, nfc, tokens, utf8_of

LINES = st.lists(st.sampled_from(["der", "die", "das", "und", "ein", "Haus", "漢", "字"]), max_size=60).map(
    " ".join
)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS | LINES, min_size=1, max_size=4), st.integers(1, 6))
def test_shingles_are_the_distinct_runs_of_n_tokens(texts: list[str], n: int) -> None:
    """As many hashes as the reference has distinct runs, sorted; overlaps of two texts agree too."""
    found, bounds, _ = shingle_sets(*utf8_of(nfc(texts)), n)
    runs = []
    for text in texts:
        words = [token for token, _, _ in tokens(text)]
        runs.append({tuple(words[k : k + n]) for k in range(len(words) - n + 1)})
    sets = [found[a:b].tolist() for a, b in pairwise(bounds)]
    assert [len(own) for own in sets] == [len(own) for own in runs]
    assert all(own == sorted(set(own)) for own in sets)
    assert len(set(sets[0]) & set(sets[-1])) == len(runs[0] & runs[-1])


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=3), st.integers(2, 130), st.integers(0, 9))
def test_signatures_equal_datasketch(texts: list[str], count: int, seed: int) -> None:
    """Given the same 32-bit shingle hashes, datasketch computes the same numbers, and loads ours."""
    data, offsets = utf8_of(texts)
    found, counts = signatures(data, offsets, 3, count, seed)
    shingles, bounds, _ = shingle_sets(data, offsets, 3)
    for row in range(len(texts)):
        oracle = MinHash(num_perm=count, seed=seed, scheme="affine32", hashfunc=lambda value: value)
        own = (shingles[bounds[row] : bounds[row + 1]] >> np.uint64(32)).tolist()
        assert (counts[row] > 0) == bool(own)
        if own:
            oracle.update_batch(own)
        assert found[row].tolist() == oracle.hashvalues.tolist()
        loaded = LeanMinHash(MinHash(hashvalues=found[row], seed=seed, scheme="affine32"))
        assert loaded.jaccard(LeanMinHash(oracle)) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4), st.integers(1, 40), st.booleans())
def test_signatures_as_sets_meet_where_signatures_agree(texts: list[str], count: int, fold: bool) -> None:
    """One sorted element a value, none without a shingle; overlaps are agreements; letters as beside shingles."""
    given_texts = utf8_of([*texts, f"{texts[0]} 12", "das ein"])
    found, counts = signatures(*given_texts, 3, count, 7, fold_digits=fold)
    sets, bounds, letters = signature_sets(*given_texts, 3, count, 7, fold_digits=fold)
    rows = [sets[a:b].tolist() for a, b in pairwise(bounds)]
    assert [len(own) for own in rows] == [count if shingles else 0 for shingles in counts]
    assert all(own == sorted(set(own)) for own in rows)
    for one, other in zip(range(len(rows)), range(1, len(rows)), strict=False):
        if rows[one] and rows[other]:
            assert len(set(rows[one]) & set(rows[other])) == (found[one] == found[other]).sum()
    assert letters.tolist() == shingle_sets(*given_texts, 3, fold_digits=fold)[2].tolist()


def test_permutations_are_datasketchs() -> None:
    """Golden vectors: the first permutations of seed 1, so that a change of datasketch does not go unnoticed."""
    a, b = permutations(3, 1)
    assert (a.tolist(), b.tolist()) == GOLDEN


GOLDEN = ([3582191691, 4270784983, 1892572953], [4005303368, 491263, 550290313])


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4))
def test_a_band_key_stands_for_its_rows_of_the_signature(texts: list[str]) -> None:
    """Two texts share a band's key exactly where they share the band; bands never share keys."""
    data, offsets = utf8_of(texts)
    keys, _, counts = band_keys(data, offsets, 2, 6, 3, 0)
    rows, _ = signatures(data, offsets, 2, 18, 0)
    known: dict[int, tuple[int, ...]] = {}
    for text in np.flatnonzero(counts).tolist():
        for band in range(6):
            entries = (band, *rows[text, band * 3 : band * 3 + 3].tolist())
            assert known.setdefault(int(keys[text, band]), entries) == entries
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize("text", ["", "...", "one two three four", "四個漢字"])
def test_fewer_tokens_than_a_shingle_give_none(text: str) -> None:
    """Such texts have no shingle and no key; exact comparison is all they meet."""
    assert band_keys(*utf8_of([text]), 5, 14, 8, 0)[2].tolist() == [0]
    assert shingle_sets(*utf8_of([text]), 5)[1].tolist() == [0, 0]
