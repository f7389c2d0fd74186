"""A small corpus for tests, made from a seed: prose-like text in three files and formats.

Known inside: exact copies, near copies across files, one contaminated document, one bad record. Nothing here
comes from anywhere; the words are made of syllables.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ren",
    "ta",
    "su",
    "vi",
    "den",
    "or",
    "pal",
    "ne",
    "to",
    "shi",
    "gra",
    "bel",
    "un",
    "fer",
    "ist",
    "mo",
    "na",
    "ple",
    "qui",
    "rod",
    "sa",
    "tem",
]
DOCUMENTS = 120
QUESTION = (
    "How many copper kettles does the tinker mend on the second day when he mends nine on the first and "
    "four fewer than twice as many on the next"
)


def words(draw: random.Random, count: int) -> list[str]:
    """Made-up words, Zipf-like: short ones are frequent."""
    ranks = [int(draw.paretovariate(0.9)) % 4000 for _ in range(count)]
    return ["".join(random.Random(rank).choices(SYLLABLES, k=1 + rank % 3)) for rank in ranks]


def document(draw: random.Random) -> str:
    """Some sentences in some paragraphs."""
    paragraphs = []
    for _ in range(draw.randint(1, 4)):
        sentences = [
            " ".join(words(draw, draw.randint(6, 18))).capitalize() + "." for _ in range(draw.randint(2, 6))
        ]
        paragraphs.append(" ".join(sentences))
    return "\n\n".join(paragraphs)


def edited(draw: random.Random, text: str) -> str:
    """A near copy: about one word in sixty replaced."""
    parts = text.split(" ")
    for place in draw.sample(range(len(parts)), max(1, len(parts) // 60)):
        parts[place] = "replaced"
    return " ".join(parts)


def long_ones(texts: list[str]) -> list[int]:
    """Five documents long enough that a near copy is near: one word changed spoils up to five shingles."""
    return [n for n in range(30, DOCUMENTS) if len(texts[n].split()) >= 120 and n not in {70, 71}][:5]


def records(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Source -> records `{id, text}`; ids tell what is planted."""
    draw = random.Random(seed)
    texts = [document(draw) for _ in range(DOCUMENTS)]
    rows = [{"id": f"plain-{n}", "text": text} for n, text in enumerate(texts)]
    rows += [{"id": f"copy-of-{n}", "text": texts[n]} for n in range(0, 30, 3)]
    rows += [{"id": f"near-{n}", "text": edited(draw, texts[n])} for n in long_ones(texts)]
    rows.append({"id": "contaminated", "text": f"{texts[70]}\n\n{QUESTION.upper()}?\n\n{texts[71]}"})
    draw.shuffle(rows)
    third = len(rows) // 3
    return {"books": rows[:third], "web": rows[third : 2 * third], "forum": rows[2 * third :]}


def write(folder: Path, seed: int = 0) -> Path:
    """Writes the corpus, its benchmark and a recipe that uses every stage; returns the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    found = records(seed)
    lines = [json.dumps(row) for row in found["books"]]
    lines.insert(5, '{"id": "bad", "text": ')
    (folder / "books.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "web.jsonl.gz").write_bytes(
        gzip.compress("".join(json.dumps(row) + "\n" for row in found["web"]).encode(), mtime=0)
    )
    pq.write_table(pa.Table.from_pylist(found["forum"]), folder / "forum.parquet", row_group_size=20)
    (folder / "riddles.jsonl").write_text(
        json.dumps({"id": "r1", "question": QUESTION, "answer": "14"}) + "\n"
    )
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


RECIPE = """\
name: small
seed: 3
load:
  sources:
    - {name: books, paths: [books.jsonl]}
    - {name: web, paths: [web.jsonl.gz]}
    - {name: forum, paths: [forum.parquet]}
  part_bytes: 20000
  max_quarantine: 0.05
clean:
langid:
dedup: {threshold: 0.75}
decontaminate:
  benchmarks: [{name: riddles, paths: [riddles.jsonl], question: question, answer: answer}]
mix: {temperature: 0.7, tokens: 30000, max_epochs: 4}
tokenize: {train: {kind: bpe, vocab_size: 600}}
pack: {seq_len: 64, validation: 0.1}
"""
