"""Who is removed, for whom and why: the verdicts on the candidates of whole components (RULES 11.4).

Candidates are put in survivor order; those that nothing tells apart (the same form, the same address) are
one; the rest is compared by `kernels/jaccard`, or not at all (`closure`). Finding candidates and writing
columns is the business of `dedup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import ids, whole
from stages.kernels.jaccard import survivors

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


def collapsed(*columns: npt.NDArray[Any]) -> tuple[I64, I64]:
    """Equal rows as one: the first of each kind, ascending, and the place of each row's kind among them."""
    order = np.lexsort(columns)
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for values in columns:
        new[1:] |= values[order][1:] != values[order][:-1]
    first = order[new]  # lexsort is stable
    kinds = np.empty(len(order), np.int64)
    kinds[order] = np.cumsum(new) - 1
    rank = np.argsort(first)
    place = np.empty(len(rank), np.int64)
    place[rank] = np.arange(len(rank))
    return first[rank], place[kinds]


def _sets(findings: pa.Table, order: I64, form: I64, leaders: I64) -> tuple[U64, I64, U64]:
    """Shingles, their bounds and letters of each leader, from the copy that sent them; none where none did."""
    sets = whole(findings["shingles"])
    sent = np.flatnonzero(sets.value_lengths().to_numpy(zero_copy_only=False)[order] > 0)
    sender = np.full(len(order) + 1, -1, np.int64)
    sender[form[sent]] = order[sent]
    places = sender[form[leaders]]
    taken = sets.take(pa.array(places, mask=places < 0))
    lengths = taken.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    letters = np.where(places < 0, np.uint64(0), findings["letters"].to_numpy()[places])
    return taken.flatten().to_numpy(), np.append(0, np.cumsum(lengths)).astype(np.int64), letters


def agreeing(
    sets: U64, bounds: I64, labels: U64, groups: I64, threshold: float, size: int
) -> tuple[I64, F64]:
    """`survivors` by the share of equal values in signatures, estimates of Jaccard similarity (Broder 1997).

    Signatures of `size` values that agree in c places are sets of Jaccard similarity c / (2 size - c), which
    grows with c: what is asked is the least c that reaches the threshold.

    Args:
        sets: uint64[], signatures as `signature_sets` makes them.
        bounds: int64[signatures + 1]; empty where a document has no shingle.
        labels: as in `survivors`.
        groups: as in `survivors`.
        threshold: least share of equal values; equality counts.
        size: values in a signature.
    """
    least = int(np.flatnonzero(np.arange(size + 1) / size >= threshold)[0])
    survivor, similarity = survivors(sets, bounds, labels, groups, least / (2 * size - least))
    return survivor, np.rint(2 * size * similarity / (1 + similarity)) / size


def verdicts(
    findings: pa.Table,
    keys: Sequence[npt.NDArray[Any]],
    threshold: float,
    *,
    exact: bool,
    closure: bool = False,
    permutations: int = 0,
) -> pa.Table:
    """{part, row, doc_id, duplicate_of, similarity, cluster_size, survivor_source, reason}, a row a member.

    Args:
        findings: candidates of whole components: {part, row, component, doc_id, form, address, source, chars,
            letters, shingles}; `address` 0 where there is none.
        keys: sort keys of the candidates, the most important last: who is to be kept first.
        threshold: least Jaccard similarity of a removed document with its survivor.
        exact: whether documents of one form are copies however short they are.
        closure: whether all of a component go for its first document, without a comparison.
        permutations: values of the signatures that candidates sent instead of shingles; 0: they sent shingles.
    """
    order: I64 = np.lexsort([*keys, findings["component"].to_numpy()])
    found = findings.drop_columns("shingles").take(pa.array(order))
    component, address = found["component"].to_numpy(), found["address"].to_numpy()
    forms = ids(found["form"]).view(np.uint64)
    leaders, copies = collapsed(component, forms[:, 0], forms[:, 1], address)
    _, form = collapsed(forms[:, 0], forms[:, 1])
    shingles, bounds, letters = _sets(findings, order, form, leaders)
    spelled = found["chars"].to_numpy()[leaders] > 0
    labels = np.zeros((len(leaders), 3), np.uint64)
    labels[:, 0] = np.where(spelled & exact, form[leaders] + 1, 0)
    labels[:, 1] = letters
    labels[:, 2] = address[leaders]
    starts = np.flatnonzero(np.append(True, component[leaders][1:] != component[leaders][:-1]))
    groups = np.append(starts, len(leaders)) if len(leaders) else np.zeros(1, np.int64)
    if closure:
        first = np.repeat(groups[:-1], np.diff(groups))
        survivor, similarity = np.where(first == np.arange(len(first)), -1, first), np.ones(len(first))
    elif permutations:
        survivor, similarity = agreeing(shingles, bounds, labels, groups, threshold, permutations)
    else:
        survivor, similarity = survivors(shingles, bounds, labels, groups, threshold)

    alone = survivor < 0
    by = np.where(alone, np.arange(len(leaders)), survivor)  # a leader's copies share its own labels
    shared = (labels == labels[by]) & (labels != 0)
    shared[:, 1] |= alone & (labels[:, 2] == 0)  # where a component has one form, nobody sent its letters
    why = np.select(
        [shared[:, 0], shared[:, 1], shared[:, 2]],
        ["exact", "letters", "url"],
        "linked" if closure else "near",
    )
    kept = leaders[by][copies] if len(leaders) else leaders
    cluster = np.bincount(kept, minlength=len(found))[kept]
    members = np.flatnonzero(cluster > 1)
    removed, kept = (kept != np.arange(len(kept)))[members], kept[members]
    own = copies[members]
    return pa.table(
        {
            "part": found["part"].take(pa.array(members)),
            "row": found["row"].take(pa.array(members)),
            "doc_id": found["doc_id"].take(pa.array(members)),
            "duplicate_of": whole(found["doc_id"]).take(pa.array(kept, mask=~removed)),
            "similarity": pa.array(similarity[own], mask=~removed | np.isin(why[own], ["url", "linked"])),
            "cluster_size": pa.array(cluster[members].astype(np.int32)),
            "survivor_source": whole(found["source"]).take(pa.array(kept, mask=~removed)),
            "reason": pa.array(why[own], pa.string(), mask=~removed),
        }
    )
