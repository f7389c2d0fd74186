"""decontaminate: speed of the scan, and every conviction with its evidence, for reading.

    python tests/bench/contamination.py DOCUMENTS... --benchmark NAME=FILE[,question[,answer[,passage[,id]]]] ...
                                        [--labels LABELS] [--action cut] [--keys JSON] [--show N]

DOCUMENTS are JSON lines or Parquet with `text` (and `id`). LABELS are JSON lines with `id` and, where something
was planted, `kind`, `benchmark`, `eval_id`, `char_start`, `char_end`; or just `id` and `q`, the item. Not a test.
"""

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stages.columns import utf8
from stages.decontaminate import Decontaminate
from stages.kernels.ngrams import scan
from stages.kernels.units import normalised
from tests import harness
from tests.bench.records import records_of
from tests.pile import pile, said, scattered


def documents(file: Path) -> list[dict[str, Any]]:
    """Records with an id and a text."""
    if file.suffix == ".parquet":
        rows = pq.read_table(file).to_pylist()
    elif ".json" in file.name:
        rows = records_of(file)
    else:
        rows = [{"text": file.read_text(errors="replace")}]
    return [
        {"id": str(row.get("id", f"{file.name}:{n}")), "text": text}
        for n, row in enumerate(rows)
        if (text := row.get("text") or row.get("content"))
    ]


def benchmark(argument: str) -> dict[str, Any]:
    """A benchmark's specification from the command line."""
    name, _, rest = argument.partition("=")
    path, *fields = rest.split(",")
    names = ("question", "answer", "passage", "id")
    return {"name": name, "paths": [path], **{k: v for k, v in zip(names, fields, strict=False) if v}}


def labelled(found: dict[str, Any], texts: dict[str, str], labels: list[dict[str, Any]], show: int) -> None:
    """How many of the planted items are found, and whether with the labelled span."""
    table: Counter[tuple[str, ...]] = Counter()
    for label in labels:
        hits = found[str(label["id"])] or []
        item = label.get("eval_id", label.get("q"))
        kind = f"{label.get('kind', 'planted')}.{label.get('variant', '')}"
        if item is None:
            table[kind, "convicted" if hits else "clean"] += 1
            continue
        own = [hit for hit in hits if hit["item"] == str(item)]
        span = (label.get("char_start"), label.get("char_end"))
        exact = any((hit["start"], hit["end"]) == span for hit in own)
        text = texts[str(label["id"])]
        outer = any(text[hit["start"] : hit["end"]] == text[slice(*span)].strip() for hit in own)
        verdict = "exact but for white space at the ends" if outer else "item" if own else "nothing"
        verdict = "exact span" if exact else "other item" if hits and not own else verdict
        table[kind, verdict] += 1
        if verdict != "exact span" and "char_start" in label and show > 0:
            show -= 1
            print(f"  {kind} {verdict}: {texts[str(label['id'])][slice(*span)]!r}")
            print(
                *(f"     {texts[str(label['id'])][h['start'] : h['end']]!r}\n" for h in own[:2]),
                sep="",
                end="",
            )
    for key in sorted(table):
        print(*key, table[key])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("documents", nargs="+", type=Path)
    arguments.add_argument("--benchmark", action="append", type=benchmark, required=True)
    arguments.add_argument("--labels", type=Path)
    arguments.add_argument("--action", default="tag")
    arguments.add_argument("--show", type=int, default=0)
    arguments.add_argument("--keys", type=json.loads, default={}, help="further keys of the stage, as JSON")
    given = arguments.parse_args()

    records = [record for file in given.documents for record in documents(file)]
    rows = pile([record["text"] for record in records])
    stage = Decontaminate.model_validate(
        {"benchmarks": given.benchmark, "action": given.action, **given.keys}
    )
    start = time.process_time()
    index = stage._index()
    print(
        f"index: {len(index.table.grams)} grams, {index.weak.sum()} weak, {time.process_time() - start:.1f} s"
    )
    for benchmark_, count in zip(stage.benchmarks, index.counts, strict=True):
        print(f"  {benchmark_.name}: {count}")
    data, offsets = utf8(normalised(rows["text"])[0])
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        scan(data, offsets, index.table)
        best = min(best, time.process_time() - start)
    print(
        f"{len(records)} documents, {len(data) / 1e6:.1f} MB: scan {len(data) / 1e6 / best:.0f} MB/s a core"
    )

    parts = scattered(rows, 3, 1)
    start = time.process_time()
    found = said(stage, parts)
    spent = time.process_time() - start
    print(f"all rounds {spent:.1f} s, {len(data) / 1e6 / spent:.0f} MB/s a core")
    print(harness.artifacts(stage, parts, random.Random(0))["contamination.json"].decode())
    hits = {records[n]["id"]: own["contamination"] for n, own in found.items()}
    texts = {record["id"]: record["text"] for record in records}
    if given.labels:
        labelled(hits, texts, records_of(given.labels), given.show)
    else:
        for number, own in [(k, v) for k, v in hits.items() if v][: given.show]:
            for hit in own:
                print(
                    f"{number} {hit['benchmark']} {hit['item']}: {texts[number][hit['start'] : hit['end']]!r}"
                )
    if given.action == "cut":
        left = [(number, own["text"]) for number, own in found.items() if own["text"]]
        again = said(stage, scattered(pile([text for _, text in left]), 2, 2))
        print(
            f"after the cut: {sum(bool(own['contamination']) for own in again.values())} documents convicted"
        )
