"""Exact verification: which documents of a component have a kept one that is similar enough (RULES 11.4).

Documents come in survivor order. One is removed if the Jaccard similarity of its shingle set with some kept
document's reaches the threshold, or if both bear one label (the same letters, the same address); the first
such document is its survivor. Nothing is estimated: candidates are
found by prefix filtering (AllPairs, Bayardo et al. 2007; PPJoin, Xiao et al. 2008), which loses no pair.

Sets that reach the threshold overlap in at least t / (1 + t) * (|x| + |y|) elements, so under any one order of
the elements their heads share one; with the rarest elements first, a template that many documents share lies
behind the heads, and its family costs no comparisons. Kept documents are indexed by (element, class of size),
because how long a head must be depends on the other set's size.
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

_CLASSES: Final = 2048  # classes of size: 32 an octave, up to 2^64
_DIRECT: Final = 4  # up to so many kept sets of one class are compared without the index
_SMALL: Final = 12  # components up to this size are compared without ranks and index


@nb.njit(cache=True, nogil=True)
def _needed(one: int, other: int, threshold: float) -> int:
    """The least overlap with which sets of these sizes can reach the threshold; one less at rounding."""
    return max(1, int(np.ceil(threshold / (1.0 + threshold) * (one + other) - 1e-6)))


@nb.njit(cache=True, nogil=True)
def _similarity(elements: U64, x: int, x_stop: int, y: int, y_stop: int, threshold: float) -> float:
    """Jaccard similarity of two sorted ranges, or -1 as soon as it must stay below the threshold."""
    total = (x_stop - x) + (y_stop - y)
    spare = total - 2 * _needed(x_stop - x, y_stop - y, threshold)  # elements that may lack a partner
    common = 0
    while x < x_stop and y < y_stop:
        if elements[x] == elements[y]:
            common += 1
            x += 1
            y += 1
        else:
            spare -= 1
            if spare < 0:
                return -1.0
            if elements[x] < elements[y]:
                x += 1
            else:
                y += 1
    found = common / (total - common)
    return found if found >= threshold else -1.0


@nb.njit(cache=True, nogil=True)
def _class_of(size: int) -> int:
    return int(np.log2(float(size)) * 32.0)


@nb.njit(cache=True, nogil=True)
def _slot(keys: U64, key: np.uint64) -> int:
    """Where a key is, or belongs, in an open-addressed table with a power of two of slots."""
    spread = key * nb.uint64(0x9E3779B97F4A7C15)
    slot: int = nb.int64((spread ^ (spread >> nb.uint64(29))) & nb.uint64(len(keys) - 1))
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@nb.njit(cache=True, nogil=True)
def _alike(labels: U64, x: int, y: int) -> bool:
    found = False
    for kind in range(labels.shape[1]):
        found |= labels[x, kind] != 0 and labels[x, kind] == labels[y, kind]
    return found


@nb.njit(cache=True, nogil=True)
def _direct(
    elements: U64,
    bounds: I64,
    first: I64,
    last: I64,
    labels: U64,
    threshold: float,
    survivor: I64,
    similarity: F64,
) -> None:
    """Small components: every set against the kept ones before it."""
    for k in range(len(first)):
        for x in range(first[k], last[k]):
            size = bounds[x + 1] - bounds[x]
            for y in range(first[k], x):
                other = bounds[y + 1] - bounds[y]
                if survivor[y] >= 0:
                    continue
                if _alike(labels, x, y):
                    survivor[x] = y
                    break
                if not size or not other:
                    continue
                if min(size, other) < threshold * max(size, other) - 1e-6:
                    continue
                value = _similarity(elements, bounds[x], bounds[x + 1], bounds[y], bounds[y + 1], threshold)
                if value >= 0.0:
                    survivor[x] = y
                    similarity[x] = value
                    break


@nb.njit(cache=True, nogil=True)
def _indexed(
    elements: U64,
    bounds: I64,
    singles: int,
    labels: I64,
    threshold: float,
    slots: int,
    room: int,
    survivor: I64,
    similarity: F64,
) -> None:
    """One large component. Elements below `singles` occur in one set only: no index needs them."""
    keys = np.zeros(slots, np.uint64)  # element * _CLASSES + class of size, never 0
    heads = np.full(slots, -1, np.int64)
    entry_set = np.empty(room, np.int32)
    entry_place = np.empty(room, np.int32)
    entry_next = np.empty(room, np.int64)
    entries = 0
    seen = np.full(len(survivor), -1, np.int32)
    candidates = np.empty(len(survivor), np.int32)
    newest = np.full(_CLASSES, -1, np.int32)  # kept sets of a class, as a chain through `older`
    older = np.full(len(survivor), -1, np.int32)
    kept = np.zeros(_CLASSES, np.int32)
    smallest = np.zeros(_CLASSES, np.int64)
    same = np.full((labels.shape[1], len(survivor) + 1), -1, np.int64)  # the first kept set with a label

    for x in range(len(survivor)):
        start, size = bounds[x], bounds[x + 1] - bounds[x]
        low = nb.int64(np.ceil(size * threshold - 1e-6))
        high = nb.int64(np.floor(size / threshold + 1e-6))
        found = 0
        for group in range(_class_of(max(low, 1)), _class_of(max(high, 1)) + 1):
            if size == 0 or kept[group] == 0:
                continue
            if kept[group] <= _DIRECT:
                y = newest[group]
                while y >= 0:
                    if low <= bounds[y + 1] - bounds[y] <= high:
                        candidates[found] = y
                        found += 1
                    y = older[y]
                continue
            head = size - _needed(size, max(low, smallest[group]), threshold) + 1
            for place in range(head):
                if elements[start + place] < singles:
                    continue
                key = elements[start + place] * nb.uint64(_CLASSES) + nb.uint64(group)
                entry = heads[_slot(keys, key)]
                while entry >= 0:
                    y = entry_set[entry]
                    other = bounds[y + 1] - bounds[y]
                    if seen[y] != x and low <= other <= high:
                        rest = min(size - place, other - entry_place[entry])
                        if rest >= _needed(size, other, threshold):
                            seen[y] = x
                            candidates[found] = y
                            found += 1
                    entry = entry_next[entry]
        twin = nb.int64(-1)
        for kind in range(labels.shape[1]):
            other = same[kind, labels[x, kind]] if labels[x, kind] else -1
            if other >= 0 and (twin < 0 or other < twin):
                twin = other
        candidates[:found].sort()
        for k in range(found):
            y = candidates[k]
            if 0 <= twin <= y:
                break
            value = _similarity(elements, start, start + size, bounds[y], bounds[y + 1], threshold)
            if value >= 0.0:
                survivor[x] = y
                similarity[x] = value
                break
        if survivor[x] < 0:
            survivor[x] = twin
        if survivor[x] >= 0:
            continue
        for kind in range(labels.shape[1]):
            if labels[x, kind] and same[kind, labels[x, kind]] < 0:
                same[kind, labels[x, kind]] = x
        if size == 0:
            continue
        group = _class_of(size)
        smallest[group] = min(smallest[group], size) if kept[group] else size
        kept[group] += 1
        older[x] = newest[group]
        newest[group] = x
        for place in range(size - low + 1):
            if elements[start + place] < singles:
                continue
            key = elements[start + place] * nb.uint64(_CLASSES) + nb.uint64(group)
            slot = _slot(keys, key)
            keys[slot] = key
            entry_set[entries] = x
            entry_place[entries] = place
            entry_next[entries] = heads[slot]
            heads[slot] = entries
            entries += 1


def _ranked(shingles: U64, bounds: I64) -> tuple[U64, int]:
    """Shingles as ranks from 1 by (frequency in this component, hash), sorted within each set.

    Returns:
        uint64[], and the first rank of a shingle that occurs in more than one set.
    """
    _, places, counts = np.unique(shingles, return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.uint64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(1, len(counts) + 1, dtype=np.uint64)
    owners = np.repeat(np.arange(len(bounds) - 1, dtype=np.uint64), np.diff(bounds))
    both = owners << np.uint64(32) | ranks[places]
    both.sort()
    return both & np.uint64(0xFFFFFFFF), int((counts == 1).sum()) + 1


def _dense(labels: U64) -> I64:
    """Labels as numbers below the number of rows plus one, kind by kind; 0 stays 0."""
    found = np.empty(labels.shape, np.int64)
    for kind in range(labels.shape[1]):
        known, numbers = np.unique(labels[:, kind], return_inverse=True)
        found[:, kind] = numbers if len(known) and known[0] == 0 else numbers + 1
    return found


def survivors(shingles: U64, bounds: I64, labels: U64, groups: I64, threshold: float) -> tuple[I64, F64]:
    """For each set, in survivor order within its component: the kept set that replaces it.

    Args:
        shingles: uint64[], sorted and unique within each set.
        bounds: int64[sets + 1].
        labels: uint64[sets, kinds]; sets with one label of a kind count as equal, whatever their shingles; 0 is
            no label.
        groups: int64[components + 1], the sets of each component.
        threshold: least Jaccard similarity of a removed set with its survivor, in (0, 1].

    Returns:
        int64[sets], -1 where the set is kept; float64[sets], the similarity, 1.0 where it is kept or shares a
        label with its survivor. Empty sets have labels only.
    """
    survivor = np.full(len(bounds) - 1, -1, np.int64)
    similarity = np.ones(len(bounds) - 1, np.float64)
    small = np.diff(groups) <= _SMALL
    _direct(shingles, bounds, groups[:-1][small], groups[1:][small], labels, threshold, survivor, similarity)
    for group in np.flatnonzero(~small).tolist():
        first, last = int(groups[group]), int(groups[group + 1])
        own = bounds[first : last + 1] - bounds[first]
        sizes = np.diff(own)
        elements, singles = _ranked(shingles[bounds[first] : bounds[last]], own)
        room = int((sizes - np.ceil(sizes * threshold - 1e-6) + 1).sum()) + 1
        slots = 1 << max(4, (2 * room).bit_length())
        inside = survivor[first:last]
        dense = _dense(labels[first:last])
        _indexed(elements, own, singles, dense, threshold, slots, room, inside, similarity[first:last])
        inside[inside >= 0] += first
    return survivor, similarity
