"""Documents that share a key, and the connected components that this makes.

A key with its members is a star, never a clique: n documents under one key cost n, not n^2. A component is
named after the least key inside it, which is content, not position: it stays when other parts of the corpus
are numbered anew.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


def shared(keys: U64) -> I64:
    """Positions of the entries whose key occurs more than once, ordered by key: int64[]."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    if not same.any():
        return np.zeros(0, np.int64)
    found: I64 = order[np.append(same, False) | np.insert(same, 0, False)]
    return found


@nb.njit(cache=True, nogil=True)
def _root(parents: I64, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]  # path halving (Tarjan and van Leeuwen 1984)
        node = parents[node]
    return node


@nb.njit(cache=True, nogil=True)
def _union(nodes: I64, keys: U64, parents: I64, least: U64, names: U64) -> None:
    for k in range(1, len(nodes)):
        if keys[k] == keys[k - 1]:
            one, other = _root(parents, nodes[k - 1]), _root(parents, nodes[k])
            if one != other:
                parents[max(one, other)] = min(one, other)
    for k in range(len(nodes)):
        root = _root(parents, nodes[k])
        least[root] = min(least[root], keys[k])
    for node in range(len(names)):
        names[node] = least[_root(parents, node)]


def components(nodes: I64, keys: U64) -> U64:
    """The component of every node, named after its least key.

    Args:
        nodes: int64[memberships], nodes 0 to n - 1, each at least once.
        keys: uint64[memberships], what the node is a member of.

    Returns:
        uint64[n].
    """
    count = int(nodes.max()) + 1 if len(nodes) else 0
    order = np.argsort(keys, kind="stable")
    least = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    names = np.zeros(count, np.uint64)
    _union(nodes[order], keys[order], np.arange(count), least, names)
    return names
