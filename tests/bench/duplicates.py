"""dedup on a corpus with known pairs: recall and precision by similarity, speed, memory.

    python tests/bench/duplicates.py DOCUMENTS.jsonl[.zst|.gz] PAIRS.jsonl[.gz] [--threshold T] [--parts N]

DOCUMENTS have `id` and `text`; PAIRS have `a`, `b` and a Jaccard similarity `jaccard5`. Every document that is
dropped is compared with its survivor again, from the texts, by the plain reference of match tokens. Not a test.
"""

import argparse
import resource
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stages.columns import utf8
from stages.dedup import Dedup
from stages.kernels.comparison import exact_keys
from stages.kernels.minhash import band_keys, shingle_sets
from stages.kernels.units import normalised
from tests.bench.records import records_of
from tests.kernels.scanning import tokens
from tests.pile import pile, said, scattered


def timed(name: str, texts: pa.Array, work: Any) -> None:
    """Prints the best of three, in MB of text a second of one core."""
    size = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    print(f"{name:24} {size / best:8.0f} MB/s a core")


def shingles(text: str, n: int) -> set[tuple[str, ...]]:
    """By the plain reference."""
    words = [token for token, _, _ in tokens(text)]
    return {tuple(words[k : k + n]) for k in range(len(words) - n + 1)}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("documents", type=Path)
    arguments.add_argument("pairs", type=Path, nargs="?")
    arguments.add_argument("--threshold", type=float, default=0.75)
    arguments.add_argument("--parts", type=int, default=3)
    given = arguments.parse_args()

    records = records_of(given.documents)
    texts = [record["text"] for record in records]
    rows = pile(texts)
    stage = Dedup(threshold=given.threshold)
    said(stage, scattered(rows.slice(0, 50), 1, 0))  # compiles the kernels
    data, offsets = utf8(normalised(rows["text"])[0])
    bands, per_band = stage.banding
    timed("normalised", rows["text"], lambda: normalised(rows["text"]))
    timed("comparison form", rows["text"], lambda: exact_keys(data, offsets))
    timed("signatures, band keys", rows["text"], lambda: band_keys(data, offsets, 5, bands, per_band, 0))
    timed("shingle sets", rows["text"], lambda: shingle_sets(data, offsets, 5))

    start = time.process_time()
    found = said(stage, scattered(rows, given.parts, 1))
    spent = time.process_time() - start
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB: all rounds {spent:.1f} s, {size / spent:.0f} MB/s a core")
    print(
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB with the corpus in memory"
    )
    print(Counter(own["reason"] for own in found.values()))

    below = 0
    for number, own in found.items():
        if own["reason"] is None:
            continue
        survivor = int.from_bytes(own["duplicate_of"], "big")
        assert found[survivor]["reason"] is None
        if own["reason"] == "near":
            one, other = (shingles(texts[k], stage.ngram) for k in (number, survivor))
            value = len(one & other) / len(one | other)
            assert abs(value - own["similarity"]) < 1e-12
            below += value < given.threshold
        elif own["reason"] == "letters":
            spelled = ["".join(t for t, _, _ in tokens(texts[k])) for k in (number, survivor)]
            assert spelled[0] == spelled[1]
            one, other = (shingles(texts[k], stage.ngram) for k in (number, survivor))
            below += len(one & other) / max(1, len(one | other)) < given.threshold
        else:
            forms = [unicodedata.normalize("NFC", texts[k]).split() for k in (number, survivor)]
            assert forms[0] == forms[1]
    print(f"dropped with a survivor below the threshold: {below}")

    if given.pairs:
        number_of = {str(record["id"]): n for n, record in enumerate(records)}
        table: dict[float, list[int]] = {}
        missed = []
        for pair in records_of(given.pairs):
            a, b = number_of[str(pair["a"])], number_of[str(pair["b"])]
            value = pair.get("jaccard5", pair.get("jaccard", 0.0))
            lost = bool(found[a]["reason"] or found[b]["reason"])
            table.setdefault(min(int(value * 20 + 1e-9), 19) / 20, []).append(lost)
            if value >= 0.8 and not lost:
                missed.append(pair)
        for low in sorted(table):
            print(
                f"J >= {low:.2f}: {len(table[low]):6} pairs, {sum(table[low]) / len(table[low]):.4f} lose one side"
            )
        high = [lost for low, own in table.items() if low >= 0.8 for lost in own]
        print(
            f"J >= 0.80: {len(high)} pairs, {sum(high) / max(1, len(high)):.4f} lose one side; missed {missed[:5]}"
        )
        scripts = [
            own for own in number_of if any("\u3040" <= c <= "\u9fff" for c in texts[number_of[own]][:200])
        ]
        cjk = set(scripts)
        own = [
            bool(found[number_of[str(p["a"])]]["reason"] or found[number_of[str(p["b"])]]["reason"])
            for p in records_of(given.pairs)
            if p.get("jaccard5", 0) >= 0.8 and str(p["a"]) in cjk
        ]
        print(f"J >= 0.80 in Han or kana: {len(own)} pairs, {sum(own) / max(1, len(own)):.4f} lose one side")
