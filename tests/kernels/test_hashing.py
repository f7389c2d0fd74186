"""A draw belongs to a document: the same everywhere, and independent of other draws."""

import hashlib

import numpy as np

from stages.kernels.hashing import hash64, mix64, salt64, unit

IDS = np.frombuffer(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(200)), np.uint8).reshape(
    -1, 16
)


def test_values_never_change() -> None:
    """Golden: what is drawn today was drawn yesterday, on any machine."""
    assert int(salt64(7, "x")) == GOLDEN[0]
    assert [int(value) for value in hash64(IDS[:2], 7, "x")] == list(GOLDEN[1:])


GOLDEN = (5168017319177078876, 9539108866347731625, 8339640149895937660)


def test_mix64_is_a_bijection_on_what_it_meets() -> None:
    """No two of 100,000 counters collide, and its inverse-free constants are SplitMix64's."""
    assert len(np.unique(mix64(np.arange(100_000, dtype=np.uint64)))) == 100_000
    assert int(mix64(np.array([1], np.uint64))[0]) == 0x5692161D100B05E5


def test_every_bit_of_an_id_counts() -> None:
    """Flipping any of the 128 bits changes the hash, about half of its bits."""
    one = hash64(IDS[:1], 0)[0]
    for bit in range(128):
        changed = IDS[:1].copy()
        changed[0, bit // 8] ^= 1 << bit % 8
        assert 8 <= int(one ^ hash64(changed, 0)[0]).bit_count() <= 56


def test_salts_make_independent_draws() -> None:
    """Other seeds and other names give other numbers; where salts are cut matters."""
    draws = [unit(hash64(IDS, *salts)) for salts in ((0,), (1,), (0, "a"), ("0a",), ("0", "a"))]
    assert (draws[2] == draws[4]).all()  # a salt is its text
    for a in range(4):
        for b in range(a):
            assert not (draws[a] == draws[b]).any()


def test_units_are_uniform_in_the_unit_interval() -> None:
    """All in [0, 1), with mean and spread of a uniform draw."""
    found = unit(hash64(IDS, 3))
    assert ((found >= 0) & (found < 1)).all()
    assert abs(found.mean() - 0.5) < 0.05
    assert abs(found.var() - 1 / 12) < 0.02
