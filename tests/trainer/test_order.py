"""Which rows a step sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.order import Order

SIZES = st.integers(1, 60)


@given(rows=SIZES, batch=st.integers(1, 25), ramp=st.integers(0, 9), epochs=st.integers(1, 3))
def test_every_epoch_sees_every_row_once(rows: int, batch: int, ramp: int, epochs: int) -> None:
    """Laid end to end, the steps are permutations of all rows, one after the other."""
    order = Order("f", 3, rows, batch, ramp)
    drawn: list[int] = []
    step = 0
    while len(drawn) < rows * epochs:
        drawn += order.at(step)[0].tolist()
        step += 1
    for epoch in range(epochs):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@given(rows=SIZES, batch=st.integers(1, 25), ramp=st.integers(0, 9), step=st.integers(0, 30))
def test_a_step_needs_no_history(rows: int, batch: int, ramp: int, step: int) -> None:
    """Position, size and rows of a step follow from its number alone, and steps leave no gaps."""
    order = Order("f", 3, rows, batch, ramp)
    assert order.position(step + 1) == order.position(step) + order.size(step)
    assert len(order.at(step)[0]) == order.size(step)
    assert np.array_equal(
        order.at(step)[1], np.arange(order.position(step), order.position(step + 1)) // rows
    )


def test_order_depends_on_corpus_seed_and_epoch() -> None:
    """Another fingerprint, seed or epoch is another permutation."""
    first = Order("f", 1, 500, 500).at(0)[0].tolist()
    others = [
        Order("g", 1, 500, 500).at(0)[0],
        Order("f", 2, 500, 500).at(0)[0],
        Order("f", 1, 500, 500).at(1)[0],
    ]
    assert all(first != other.tolist() for other in others)


def test_the_order_is_the_same_in_every_release() -> None:
    """Committed draws: a run that was started with an older version must see the rows it would have seen."""
    assert Order("fingerprint", 7, 10, 10).at(0)[0].tolist() == FIRST
    assert Order("fingerprint", 7, 10, 10).at(1)[0].tolist() == SECOND


FIRST = [3, 4, 2, 0, 7, 9, 5, 8, 1, 6]
SECOND = [6, 1, 2, 7, 5, 3, 8, 9, 4, 0]


def test_the_ramp_grows_to_the_full_batch() -> None:
    """Sizes never shrink and end at the batch."""
    sizes = [Order("f", 0, 100, 8, 5).size(step) for step in range(8)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 2
    assert sizes[5:] == [8, 8, 8]


def test_nothing_to_train_on_is_an_error() -> None:
    """An empty split is told as such."""
    with pytest.raises(ValueError, match="empty"):
        Order("f", 0, 0, 8)


@given(rows=SIZES, batch=st.integers(1, 25), ramp=st.integers(0, 9), last=st.integers(0, 30))
def test_the_steps_of_a_row_are_those_that_draw_it(rows: int, batch: int, ramp: int, last: int) -> None:
    """Asked the other way round, the order says the same."""
    order = Order("f", 3, rows, batch, ramp)
    drawn: dict[int, list[int]] = {row: [] for row in range(rows)}
    for step in range(last):
        for row in order.at(step)[0].tolist():
            drawn[row].append(step)
    assert order.steps(np.arange(rows), last) == drawn
