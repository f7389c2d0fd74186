"""The group of each document of a mixture, and as how many documents it counts: both by columns of any stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import StageError
from stages.columns import whole


def names_of(rows: pa.Table, by: Sequence[str], ranges: Mapping[str, Sequence[float]]) -> pa.Array:
    """The group of each row; values of several columns are joined by a slash, null is `null`.

    Args:
        rows: the columns of `by`.
        by: columns.
        ranges: column of numbers -> where its ranges begin, ascending.

    Raises:
        StageError: a column that is not there.
    """
    parts = [pc.fill_null(_named(column(rows, name), ranges.get(name, ())), "null") for name in by]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")


def copies_of(rows: pa.Table, steps: Mapping[str, Mapping[float, int]]) -> npt.NDArray[np.int64]:
    """As how many documents each row counts: the product over columns of the step that its value has reached.

    Raises:
        StageError: a column that is not there.
    """
    copies = np.ones(len(rows), np.int64)
    for name, factor in steps.items():
        starts = sorted(factor)
        factors = np.array([1, *(factor[start] for start in starts)], np.int64)
        copies *= factors[pc.fill_null(_reached(column(rows, name), starts), 0).to_numpy()]
    return copies


def column(rows: pa.Table, name: str) -> pa.Array:
    """A column of the rows.

    Raises:
        StageError: no earlier stage has written it.
    """
    if name not in rows.column_names:
        raise StageError(
            f"mix goes by the column {name!r}, which no earlier stage has written; put the stage that "
            "writes it before mix (langid writes lang, dedup cluster_size), or name it in load's metadata"
        )
    return whole(rows[name])


def _named(values: pa.Array, starts: Sequence[float]) -> pa.Array:
    """Values as names; numbers by range, if there are any."""
    if not starts:
        return values.cast(pa.string())
    edges = [f"{start:g}" for start in starts]
    between = [f"{one} to {other}" for one, other in pairwise(edges)]
    names = pa.array([f"below {edges[0]}", *between, f"from {edges[-1]}"])
    return names.take(_reached(values, starts))


def _reached(values: pa.Array, starts: Sequence[float]) -> pa.Array:
    """How many of the ascending `starts` each value has reached; null where there is none."""
    kind = values.type if pa.types.is_floating(values.type) else pa.float64()  # 0.7 of four bytes is 0.7
    numbers = pc.fill_null(values.cast(kind), float("nan")).to_numpy(zero_copy_only=False)
    edges = pa.array(starts, pa.float64()).cast(kind).to_numpy()
    return pa.array(np.searchsorted(edges, numbers, side="right"), mask=np.isnan(numbers))
