"""Who is compared with whom: keys that documents share, and the components that this makes of them.

A key is a hash of what two documents have in common; its two lowest bits say of what kind it is. Decisions
are memberships {part, row, key}, in which equal keys stand together. Making keys from texts and judging
candidates is the business of `dedup` and `verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.columns import utf8

U64 = npt.NDArray[np.uint64]

# What a key is of.
BAND: Final = 0
FORM: Final = 1
LETTERS: Final = 2
ADDRESS: Final = 3

_AT_ONCE: Final = 4_000_000  # bytes of text that are scanned in one go: what a scan copies stays small


def marked(keys: npt.NDArray[np.uint64], kind: int) -> npt.NDArray[np.uint64]:
    """Keys of a kind."""
    return keys & ~np.uint64(3) | np.uint64(kind)


def stretches(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in stretches of about `_AT_ONCE` bytes of text, without a copy; at least one, maybe empty."""
    sizes = pc.fill_null(pc.binary_length(rows["text"]), 0).to_numpy()
    number = np.cumsum(sizes.astype(np.int64)) // _AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), rows.num_rows]
    for start, stop in pairwise(bounds):
        yield rows.slice(start, stop - start)


def addresses(urls: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """128-bit hashes of the addresses' keys (RULES 7), uint64[n, 2]; 0 where there is none."""
    from stages.kernels.comparison import exact_keys  # noqa: PLC0415

    bare = pc.replace_substring_regex(urls.cast(pa.string()), r"^https?://(www\.)?", "")
    bare = pc.utf8_rtrim(pc.replace_substring_regex(bare, r"\?(utm_|ref|feed).*$", ""), "/")
    found, lengths = exact_keys(*utf8(bare))
    found[lengths == 0] = 0
    return found


def _senders(
    nodes: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
    names: npt.NDArray[np.uint64],
    places: npt.NDArray[np.uint64],
    *,
    apart: bool,
) -> npt.NDArray[np.bool_]:
    """Which candidates send their shingles: the first of each form; unless `apart`, nobody where there is one."""
    sends = np.ones(len(names), np.bool_)
    forms = np.flatnonzero(keys & np.uint64(3) == FORM)
    order = forms[np.lexsort((places[nodes[forms]], keys[forms]))]
    sends[nodes[order[1:][keys[order[1:]] == keys[order[:-1]]]]] = False
    if not apart:
        _, inverse, counts = np.unique(names[sends], return_inverse=True, return_counts=True)
        sends[np.flatnonzero(sends)[counts[inverse] == 1]] = False
    return sends


def _joined(
    rulings: pa.Table,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Keys, the number of the document under each, where documents lie, and their components' names."""
    from stages.kernels.components import components, numbered  # noqa: PLC0415

    keys = rulings["key"].to_numpy()  # equal ones stand together: a bucket decides all of a key's
    places = rulings["part"].to_numpy().astype(np.uint64) << np.uint64(32)
    places |= rulings["row"].to_numpy()
    nodes, documents = numbered(places)
    return keys, nodes, documents, components(nodes, keys, len(documents))


def merged(rulings: pa.Table) -> pa.Table:
    """Memberships in fewer rows that settle to the same: a star a component, and the forms.

    A spanning forest of some of the edges may stand for them (the filtering of Lattanzi et al. 2011), so that
    what is left is bounded by twice the candidates, however many keys they share.
    """
    keys, nodes, documents, names = _joined(rulings)
    order = np.argsort(names, kind="stable")
    forms = np.flatnonzero(keys & np.uint64(3) == FORM)
    places = np.concatenate([documents[order], documents[nodes[forms]]])
    return pa.table(
        {
            "part": pa.array((places >> np.uint64(32)).astype(np.uint32)),
            "row": pa.array((places & np.uint64(0xFFFFFFFF)).astype(np.uint32)),
            "key": pa.array(np.concatenate([names[order], keys[forms]])),
        }
    )


def settled(rulings: pa.Table, *, near: bool, apart: bool = False) -> pa.Table:
    """{part, row, component, sends}, a row a candidate.

    Args:
        rulings: memberships.
        near: whether anybody's shingles are asked for at all.
        apart: whether documents of one form need not be copies (two addresses, `exact` off): letters must tell.
    """
    keys, nodes, documents, names = _joined(rulings)
    return pa.table(
        {
            "part": pa.array((documents >> np.uint64(32)).astype(np.uint32)),
            "row": pa.array((documents & np.uint64(0xFFFFFFFF)).astype(np.uint32)),
            "component": pa.array(names),
            "sends": pa.array(_senders(nodes, keys, names, documents, apart=apart) & near),
        }
    )
