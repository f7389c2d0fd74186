"""From hits of grams to evidence: regions, which of them convict, and which items they show (RULES 12.3).

Works on arrays of hits sorted by document and first token; what a gram is, and how often the corpus has it,
was decided before. Loops over hits, which are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.benchmarks import Index

Hits = Mapping[str, npt.NDArray[Any]]


def documents(hits: Hits) -> Iterator[tuple[int, int]]:
    """[first, last) hits of each document."""
    places = hits["part"].astype(np.uint64) << np.uint64(32) | hits["row"]
    edges = (
        np.flatnonzero(np.append(True, places[1:] != places[:-1])) if len(places) else np.zeros(0, np.int64)
    )
    return zip(edges.tolist(), [*edges[1:].tolist(), len(places)], strict=True) if len(edges) else iter(())


def regions(hits: Hits, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """[first, last) hits of each region of a document: they share a token, or have none between them."""
    first, reach = start, int(hits["first"][start])
    for k in range(start, stop):
        if hits["first"][k] > reach:
            yield first, k
            first = k
        reach = max(reach, int(hits["first"][k] + hits["tokens"][k]))
    yield first, stop


def covering(
    hits: Hits, grams: npt.NDArray[np.int64], start: int, stop: int, index: Index, share: float
) -> npt.NDArray[np.bool_]:
    """Which hits of a document belong to a place where enough of one benchmark text is found.

    A place ends where more tokens lie between two hits of a text than the text has. Found are the tokens of
    the document that its hits cover there; enough is `share` of those that all grams of the text cover.

    Args:
        hits: sorted hits.
        grams: int64[hits], place of each hit's gram in the index.
        start: first hit of the document.
        stop: end of its hits, exclusive.
        index: the benchmarks.
        share: in [0, 1].

    Returns:
        bool[stop - start].
    """
    of_text: dict[int, list[int]] = {}
    for k in range(start, stop):
        for text in index.texts_of(int(grams[k])).tolist():
            of_text.setdefault(text, []).append(k)
    enough = np.zeros(stop - start, np.bool_)
    for text, own in of_text.items():
        size = int(index.sizes[text])
        place: list[int] = []
        covered = reach = 0
        for k in [*own, -1]:
            first = int(hits["first"][k]) if k >= 0 else 0
            if place and (k < 0 or first - reach > size):
                enough[place] |= covered >= share * size
                place, covered = [], 0
            if k < 0:
                break
            end = first + int(hits["tokens"][k])
            covered += end - max(first, reach) if place else end - first
            reach = max(reach, end) if place else end
            place.append(k - start)
    return enough


def items_of(index: Index, grams: npt.NDArray[np.int64]) -> list[int]:
    """Of each benchmark that holds some of the grams, the item that holds most; the earlier of equals."""
    found = np.concatenate([index.items_of(gram) for gram in grams.tolist()])
    items, counts = np.unique(found, return_counts=True)
    best: dict[int, int] = {}
    for k in np.argsort(-counts, kind="stable").tolist():
        best.setdefault(int(index.benchmark[items[k]]), int(items[k]))
    return [best[number] for number in sorted(best)]
