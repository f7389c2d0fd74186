"""Documents that share a key, and the connected components that this makes.

A key with its members is a star, never a clique: n documents under one key cost n, not n^2. A component is
named after the least key inside it, which is content, not position: it stays when other parts of the corpus
are numbered anew.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


@nb.njit(cache=True, nogil=True)
def _seen_twice(keys: U64, shift: int, once: U64, twice: U64, found: I64) -> int:
    """Positions of keys whose slot of a bitmap, addressed by the key, is hit again: few but the shared ones."""
    spread = nb.uint64(0x9E3779B97F4A7C15)
    for k in range(len(keys)):
        bit = (keys[k] * spread) >> nb.uint64(shift)
        word, mask = bit >> nb.uint64(6), nb.uint64(1) << (bit & nb.uint64(63))
        twice[word] |= once[word] & mask
        once[word] |= mask
    count = 0
    for k in range(len(keys)):
        bit = (keys[k] * spread) >> nb.uint64(shift)
        found[count] = k
        count += nb.int64((twice[bit >> nb.uint64(6)] >> (bit & nb.uint64(63))) & nb.uint64(1))
    return count


def shared(keys: U64) -> I64:
    """Positions of the entries whose key occurs more than once, ordered by key: int64[].

    Most keys of a corpus occur once: two bitmaps turn them away, only the rest is sorted.
    """
    bits = max(10, (16 * len(keys)).bit_length())
    once, twice = np.zeros(1 << (bits - 6), np.uint64), np.zeros(1 << (bits - 6), np.uint64)
    found = np.empty(len(keys) + 1, np.int64)
    found = found[: _seen_twice(keys, 64 - bits, once, twice, found)]
    order = found[np.argsort(keys[found], kind="stable")]
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    if not same.any():
        return np.zeros(0, np.int64)
    members: I64 = order[np.append(same, False) | np.insert(same, 0, False)]
    return members


@nb.njit(cache=True, nogil=True)
def _slot(slots: I32, documents: U64, document: np.uint64) -> int:
    """Where a document's number is, or belongs, in an open-addressed table with a power of two of slots."""
    spread = document * nb.uint64(0x9E3779B97F4A7C15)
    slot: int = nb.int64((spread ^ (spread >> nb.uint64(32))) & nb.uint64(len(slots) - 1))
    while slots[slot] >= 0 and documents[slots[slot]] != document:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@nb.njit(cache=True, nogil=True)
def numbered(places: U64) -> tuple[I32, U64]:
    """Numbers documents in the order in which they first occur.

    Args:
        places: uint64[memberships], where each document lies.

    Returns:
        int32[memberships], and uint64[documents], the place of each number.
    """
    slots = np.full(1 << 10, -1, np.int32)
    documents = np.empty(1 << 9, np.uint64)
    nodes = np.empty(len(places), np.int32)
    count = 0
    for k in range(len(places)):
        slot = _slot(slots, documents, places[k])
        if slots[slot] < 0:
            if count == len(documents):
                wider = np.empty(2 * count, np.uint64)
                wider[:count] = documents
                documents = wider
                slots = np.full(2 * len(slots), -1, np.int32)
                for known in range(count):
                    slots[_slot(slots, documents, documents[known])] = known
                slot = _slot(slots, documents, places[k])
            slots[slot] = count
            documents[count] = places[k]
            count += 1
        nodes[k] = slots[slot]
    return nodes, documents[:count].copy()


@nb.njit(cache=True, nogil=True)
def _root(parents: I32, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]  # path halving (Tarjan and van Leeuwen 1984)
        node = parents[node]
    return node


@nb.njit(cache=True, nogil=True)
def _union(nodes: I32, keys: U64, parents: I32, least: U64, names: U64) -> None:
    for k in range(1, len(nodes)):
        if keys[k] == keys[k - 1]:
            one, other = _root(parents, nodes[k - 1]), _root(parents, nodes[k])
            if one != other:
                parents[max(one, other)] = min(one, other)
    for k in range(len(nodes)):
        root = _root(parents, nodes[k])
        least[root] = min(least[root], keys[k] & ~nb.uint64(3))
    for node in range(len(names)):
        names[node] = least[_root(parents, node)]


def components(nodes: I32, keys: U64, count: int) -> U64:
    """The component of every node, named after its least key, whose two lowest bits do not count.

    Args:
        nodes: int32[memberships], below `count`.
        keys: uint64[memberships], what the node is a member of; equal keys stand together.
        count: nodes.

    Returns:
        uint64[count].
    """
    least = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    names = np.zeros(count, np.uint64)
    _union(nodes, keys, np.arange(count, dtype=np.int32), least, names)
    return names
