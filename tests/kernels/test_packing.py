"""Packing kernels against a slow reading of RULES §14.2."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.packing import best_fit, by_length, cut_documents, cut_rows, place

LENGTHS = st.lists(st.integers(1, 40), max_size=80)


def slow_best_fit(lengths: list[int], capacity: int) -> tuple[list[int], int]:
    """The rule in plain words: longest first; least room that fits; who reached that room first."""
    rooms: list[tuple[int, int]] = []  # of each row: its room, and when it reached it
    rows = [-1] * len(lengths)
    for step, piece in enumerate(sorted(range(len(lengths)), key=lambda p: -lengths[p])):
        fitting = [(room, since, row) for row, (room, since) in enumerate(rooms) if room >= lengths[piece]]
        if fitting:
            room, _, row = min(fitting)
        else:
            room, row = capacity, len(rooms)
            rooms.append((capacity, step))
        rooms[row] = (room - lengths[piece], step)
        rows[piece] = row
    return rows, len(rooms)


@settings(deadline=None)
@given(LENGTHS, st.integers(40, 70))
def test_best_fit_is_the_rule(lengths: list[int], capacity: int) -> None:
    """Same rows as the slow reference, ties included, at any capacity."""
    rows, opened = best_fit(np.array(lengths, np.int64), capacity)
    assert (rows.tolist(), opened) == slow_best_fit(lengths, capacity)


@given(LENGTHS)
def test_equal_lengths_keep_their_order(lengths: list[int]) -> None:
    """Decreasing, and stable."""
    order = by_length(np.array(lengths, np.int64), 40)
    assert order.tolist() == sorted(range(len(lengths)), key=lambda p: -lengths[p])


def test_no_row_is_fuller_than_it_can_be() -> None:
    """A large draw: every row within capacity, and almost no padding."""
    draw = np.random.default_rng(5)
    lengths = np.minimum(np.exp(draw.normal(5.8, 1.1, 100_000)).astype(np.int64) + 1, 2048)
    rows, opened = best_fit(lengths, 2048)
    used = np.bincount(rows, weights=lengths, minlength=opened)
    assert used.max() <= 2048
    assert used.min() > 0
    assert 1 - used.sum() / (opened * 2048) < 1e-3


def test_nothing_to_pack_needs_no_row() -> None:
    """No pieces, no rows."""
    rows, opened = best_fit(np.zeros(0, np.int64), 8)
    assert (len(rows), opened) == (0, 0)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 17))
def test_documents_are_cut_without_losing_a_token(lengths: list[int], capacity: int) -> None:
    """Pieces are whole rows but for the last of each document, in order, end to end."""
    found = zip(
        *(part.tolist() for part in cut_documents(np.array(lengths, np.int64), capacity)), strict=True
    )
    expected = [
        (document, start, min(capacity, length - start))
        for document, length in enumerate(lengths)
        for start in range(0, length, capacity)
    ]
    assert list(found) == expected


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 17))
def test_rows_are_cut_from_documents_laid_end_to_end(lengths: list[int], capacity: int) -> None:
    """Token i of the stream is in row i // capacity; a piece is a run of one document in one row."""
    stream = [(document, at) for document, length in enumerate(lengths) for at in range(length)]
    runs = [
        [list(run) for _, run in groupby(stream[first : first + capacity], key=lambda token: token[0])]
        for first in range(0, len(stream), capacity)
    ]
    expected = [(*run[0], len(run)) for row in runs for run in row]
    found = zip(*(part.tolist() for part in cut_rows(np.array(lengths, np.int64), capacity)), strict=True)
    assert list(found) == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_pieces_are_copied_to_their_places(dtype: type) -> None:
    """Tokens from where they start to where they belong; the rest is left alone."""
    tokens, out = np.arange(10, dtype=dtype), np.full(8, 99, dtype)
    place(tokens, np.array([7, 0]), np.array([3, 2]), np.array([1, 6]), out)
    assert out.tolist() == [99, 7, 8, 9, 99, 99, 0, 1]
