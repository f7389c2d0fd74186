"""Language identification: accuracy on labelled sentences, and documents a second at 500 and 1000 characters.

python tests/bench/langid.py langid/lingua_sentences.jsonl.zst [documents.jsonl.zst]
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from stages.formats.benchmark import records
from stages.langid import Langid
from tests.bench.texts import texts_of

MAIN = ("de", "en", "es", "fr", "hi", "ja", "ko", "pt", "ru", "tr", "uk", "zh")

if __name__ == "__main__":
    records = [record for record in records(Path(sys.argv[1])) if record["unit"] == "sentence"]
    part = pa.table({"text": pa.array([record["text"] for record in records], pa.large_string())})
    found = Langid().apply(part).columns["lang"].to_pylist()
    right: dict[str, list[bool]] = defaultdict(list)
    for record, label in zip(records, found, strict=True):
        right[record["lang"]].append(label == record["lang"])
    shares = {name: sum(hits) / len(hits) for name, hits in right.items()}
    mean = sum(shares[name] for name in MAIN) / len(MAIN)
    print(
        f"{mean:.4f} on {len(MAIN)} main languages; {sum(shares.values()) / len(shares):.4f} on {len(shares)}"
    )
    print(json.dumps({name: round(shares[name], 3) for name in MAIN}))
    if len(sys.argv) > 2:
        part = pa.table({"text": pa.array(texts_of(Path(sys.argv[2])), pa.large_string())})
        for characters in (500, 1000):
            stage = Langid(characters=characters)
            begun = time.process_time()
            stage.apply(part)
            print(f"{characters} characters: {len(part) / (time.process_time() - begun):.0f} documents/s")
