"""Quality and speed of the extractors on gold articles.

python tests/bench/pages.py FOLDER    (FOLDER/scrapinghub/*.html.gz, FOLDER/scrapinghub_ground_truth.json)

First, of the words beyond ASCII in the gold articles, how many stand in the page as load decodes it: a wrong
charset loses them all. Then, mean precision, recall and F1 of shingles of four words against `articleBody`; MB of HTML a second, best of
three, in this process, and through the child process as load runs it.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from stages.formats.encodings import decode_page
from stages.formats.extractor import Extractor, _function
from stages.formats.html import declared_charsets, page
from stages.formats.rows import Job
from stages.formats.spec import SourceSpec

WORD = re.compile(r"\w+")


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Runs of four words, counted; a shorter text is one."""
    words = WORD.findall(text)
    return Counter(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3))) if words else Counter()


def scores(text: str, gold: str) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    ours, theirs = shingles(text), shingles(gold)
    common = (ours & theirs).total()
    if not common:
        return (0.0, 0.0, 0.0) if ours or theirs else (1.0, 1.0, 1.0)
    precision, recall = common / ours.total(), common / theirs.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def charsets(pages: dict[str, bytes], gold: dict[str, dict[str, str]]) -> None:
    """Prints which encodings were found, and how many pages and words were misread."""
    found: Counter[str] = Counter()
    words = lost = wrong = 0
    for key, data in pages.items():
        decoded = decode_page(data, declared_charsets(data))
        assert decoded is not None, key
        shown = html.unescape(decoded.text)
        beyond = {word for word in re.findall(r"\S+", gold[key]["articleBody"]) if not word.isascii()}
        missing = sum(word not in shown for word in beyond)
        words, lost, wrong = words + len(beyond), lost + missing, wrong + (2 * missing > len(beyond))
        found[decoded.encoding] += 1
    print(f"{dict(found)}; {wrong} of {len(pages)} pages misread; {words - lost} of {words} words found")


def main() -> None:
    """Prints a line an extractor."""
    folder = Path(sys.argv[1])
    gold = json.loads((folder / "scrapinghub_ground_truth.json").read_text(encoding="utf-8"))
    pages = {
        name: gzip.decompress((folder / "scrapinghub" / f"{name}.html.gz").read_bytes()) for name in gold
    }
    charsets(pages, gold)
    size = sum(map(len, pages.values())) / 1e6
    job = Job(SourceSpec(name="bench", paths=("x",)), 1 << 26, 200)
    for name in ("article", "resiliparse", "trafilatura"):
        inside = _function(name)
        seconds = {"alone": float("inf"), "in load": float("inf")}
        texts: dict[str, str] = {}
        with Extractor(name) as child:
            for _ in range(1 if name == "trafilatura" else 3):
                begin = time.perf_counter()
                for data in pages.values():
                    inside(data.decode("utf-8", "replace"))
                middle = time.perf_counter()
                for key, data in pages.items():
                    texts[key] = page(data, None, 0, job, child).text or ""
                end = time.perf_counter()
                seconds["alone"] = min(seconds["alone"], middle - begin)
                seconds["in load"] = min(seconds["in load"], end - middle)
        mean = [sum(column) / len(gold) for column in zip(*_all(texts, gold), strict=True)]
        speeds = ", ".join(f"{key} {size / value:.1f} MB/s" for key, value in seconds.items())
        print(f"{name:12s} precision {mean[0]:.4f} recall {mean[1]:.4f} F1 {mean[2]:.4f}  {speeds}")


def _all(texts: dict[str, str], gold: dict[str, dict[str, str]]) -> list[tuple[float, float, float]]:
    return [scores(texts[key], gold[key]["articleBody"]) for key in gold]


if __name__ == "__main__":
    main()
