"""A larger corpus with the statistics of a smaller one: replicas under permutation of the vocabulary.

    python -m tests.bench.replicas DOCUMENTS.jsonl[.zst|.gz] COPIES OUT.jsonl

Replica 0 is the corpus; in every other one each word is another word of as many characters and of the same
kind, so that documents are as similar to each other as before and those of different replicas are not. Not a
test.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import orjson

from tests.bench.records import records_of

# Runs of letters and digits; every Han or kana character on its own.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def _kind(word: str) -> tuple[int, bool, bool, int]:
    return len(word), word.isascii(), word.isdecimal(), ord(word[0]) >> 8


def main(documents: Path, copies: int, out: Path) -> None:
    """Writes the replicas one after the other; ids get the replica's number in front."""
    records = records_of(documents)
    vocabulary: dict[str, int] = {}
    pieces: list[tuple[list[str], list[int]]] = []  # what stands between words, and the words
    for record in records:
        text = record["text"]
        own = [vocabulary.setdefault(word, len(vocabulary)) for word in _WORD.findall(text)]
        pieces.append((_WORD.split(text), own))
    words = list(vocabulary)
    kinds: dict[tuple[int, bool, bool, int], list[int]] = {}
    for number, word in enumerate(words):
        kinds.setdefault(_kind(word), []).append(number)
    with out.open("wb") as file:
        for copy in range(copies):
            draw = np.random.default_rng(copy)
            said = list(words)
            for members in kinds.values() if copy else ():
                for number, other in zip(members, draw.permutation(members).tolist(), strict=True):
                    said[number] = words[other]
            for record, (between, own) in zip(records, pieces, strict=True):
                text = between[0] + "".join([said[w] + b for w, b in zip(own, between[1:], strict=True)])
                file.write(orjson.dumps({**record, "id": f"{copy}-{record['id']}", "text": text}) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
