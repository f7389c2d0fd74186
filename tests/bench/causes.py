"""Runs a recipe over planted documents and asks `explain` for the cause of each: python -m tests.bench.causes FOLDER WORK.

FOLDER holds planted/docs.jsonl.zst, planted/labels.jsonl.gz (`id`, `kind`, and `of`, `jaccard5`, `benchmark`,
`eval_id`), planted/all_pairs_jaccard.jsonl.gz and eval/. Every answer is checked without the pipeline: survivors
and similarities by shingles written out slowly, evidence by looking for the grams in the benchmark's file. Says
kind by kind how many have the labelled cause, why the others have not, and which nothing explains. Not a test.

Why an answer may be right and the label not met:

    label's units   the table counts punctuation of Chinese texts, underscores, or text that is not normalised
    below .75       no kept document is as similar: the one that the label names is itself dropped as a copy, or
                    shingles of this definition say less
    bands           similar enough, but no band of the signatures is shared (expected of 1 - (1 - s**8)**14)
    a copy          of another planted document, which is kept in its place: either may be
    no gram left    the edits left no run of n tokens of the item
    holds an item   the text, labelled clean, has a run of n tokens of a benchmark
    not judged      what the rules of the presets do not look at, and other presets do
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from pipeline import recipe as recipes
from pipeline.explain import explain
from pipeline.progress import Watcher
from pipeline.run import Choice, run
from pipeline.runs import Run
from sample_data.edits import overlap, shingles

# kind -> the fates that state its cause: "kept" where nothing is wrong with it.
CAUSES = {
    "exact_dup": {"dedup"}, "normalised_dup": {"dedup"}, "near_dup": {"dedup"}, "contaminated": {"decontaminate"},
    "not_contaminated_short_mention": {"kept"}, "junk": {"clean"}, "clean": {"kept"}, "pii": {"kept"},
    "encoding_damage": {"kept"}, "mixed_language": {"kept"},
}  # fmt: skip
THRESHOLD = 0.75  # of dedup
CLOSE = 0.02  # of two similarities that are the same
RECIPE = """
load: {{sources: [{{name: planted, paths: [{0}/planted/docs.jsonl.zst]}}]}}
clean: {{presets: {1}, max_drop: 1.0}}
langid: {{}}
dedup: {{max_drop: 1.0}}
decontaminate:
  max_drop: 1.0
  benchmarks:
"""
EVALS = {"gsm8k": ("gsm8k_test.jsonl", "question"), "mmlu": ("mmlu.jsonl.gz", "question"),
         "cmmlu": ("cmmlu.jsonl.gz", "question"), "arc_easy": ("arc_easy.jsonl.gz", "query"),
         "arc_challenge": ("arc_challenge.jsonl.gz", "query"), "humaneval": ("humaneval.jsonl.gz", "prompt"),
         "svamp": ("svamp.jsonl.gz", "query"), "math": ("math_test.jsonl.gz", "query"),
         "lambada": ("lambada_test.jsonl.gz", "text")}  # fmt: skip


def question(path: Path, wanted: str) -> str:
    """The field of a benchmark's first item that holds its question."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    item = json.loads(content.split(b"\n")[0])
    return next(name for name in (wanted, "question", "Question", "query", "context", "text") if name in item)


def ran(folder: Path, work: Path, presets: str) -> Run:
    """The planted documents under some presets of clean; the rules would drop good documents, too."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"recipe-{presets.strip('[]') or 'none'}.yaml"
    lines = [
        f"    - {{name: {name}, paths: [{folder}/eval/{file}], question: {question(folder / 'eval' / file, field)}}}\n"
        for name, (file, field) in EVALS.items()
    ]
    path.write_text(RECIPE.format(folder, presets) + "".join(lines))
    with Watcher(machine=True) as watcher:
        return run(recipes.read(path, (), work), Choice(), "serial", watcher)[0]


class Checked:
    """Labels, texts and answers, and what can be said of them without the pipeline."""

    def __init__(
        self, folder: Path, told: dict[str, dict[str, Any]], strict: dict[str, dict[str, Any]]
    ) -> None:
        self.folder, self.told, self.strict = folder, told, strict
        self.labels = {label["id"]: label for label in lines(folder / "planted" / "labels.jsonl.gz")}
        self.texts = {row["id"]: row["text"] for row in lines(folder / "planted" / "docs.jsonl.zst")}
        self.shingles = {name: shingles(text) for name, text in self.texts.items()}
        self.alike: dict[str, dict[str, float]] = {name: {} for name in self.labels}
        for pair in lines(folder / "planted" / "all_pairs_jaccard.jsonl.gz"):
            self.alike[pair["a"]][pair["b"]] = self.alike[pair["b"]][pair["a"]] = pair["jaccard5"]
        self.named = Counter(
            found["duplicate"]["orig_id"] for found in told.values() if found["fate"] == "dedup"
        )

    def similarity(self, one: str, other: str) -> float:
        """By shingles; 0 where a text is too short for any."""
        a, b = self.shingles[one], self.shingles[other]
        return overlap(a, b) if a | b else 0.0

    def why(self, name: str) -> str:
        """`as labelled`, why not, or `WRONG` with what is."""
        label, found = self.labels[name], self.told[name]
        kind, fate = label["kind"], found["fate"]
        if kind == "junk":
            dropped = self.strict[name]["fate"] == "clean"
            return "as labelled" if dropped else f"not judged ({label['variant']})"
        if fate == "dedup":
            return self._dropped_as_copy(name)
        if kind.endswith("_dup"):
            return self._kept_copy(name) if fate in {"kept", "decontaminate"} else f"WRONG: {fate}"
        if fate == "decontaminate":
            held = all(self.held(hit["matched"], hit["benchmark"]) for hit in found["evidence"])
            if not held:
                return "WRONG: no gram of the item is in the text"
            right = {hit["benchmark"] for hit in found["evidence"]} & {
                label.get("benchmark", "").removesuffix("_test")
            }
            return "as labelled" if right else "holds an item"
        if kind == "contaminated":
            benchmark = label["benchmark"].removesuffix("_test")
            return (
                "WRONG: a gram is left"
                if self.held(self.texts[name], benchmark)
                else f"no gram left ({label['variant']})"
            )
        return "as labelled" if fate in CAUSES[kind] else f"WRONG: {fate}"

    def _dropped_as_copy(self, name: str) -> str:
        found, label = self.told[name]["duplicate"], self.labels[name]
        other = found["orig_id"]
        if found["fate"] == "dedup":
            return "WRONG: the survivor is dropped"
        reason = self.told[name]["reason"]
        mine = {
            "near": self.similarity(name, other),
            "letters": float(letters(self.texts[name]) == letters(self.texts[other])),
            "exact": float(form(self.texts[name]) == form(self.texts[other])),
        }[reason]
        if abs(mine - found["similarity"]) >= CLOSE or mine < THRESHOLD:
            return f"WRONG: {reason}, {found['similarity']:.4f} is {mine:.4f}"
        if abs(self.alike[name].get(other, 0.0) - found["similarity"]) >= CLOSE:
            return f"label's units ({reason})"
        return "as labelled" if label["kind"].endswith("_dup") else "a copy"

    def _kept_copy(self, name: str) -> str:
        if self.named[name]:
            return "as labelled"  # of documents that are alike any may be the kept one
        near = {
            other: self.similarity(name, other)
            for other in self.alike[name]
            if self.told[other]["fate"] != "dedup"
        }
        best = max(near.values(), default=0.0)
        if best < THRESHOLD:
            return "as labelled" if self.labels[name].get("jaccard5", 1.0) < THRESHOLD else "below .75"
        return f"bands (at {best:.3f})"

    def held(self, text: str, benchmark: str) -> bool:
        """Whether a text has 13 tokens (20 of single characters) of an item in a row, or a shorter part whole."""
        words = tokens(text)
        grams = {n: {tuple(words[k : k + n]) for k in range(len(words) - n + 1)} for n in range(8, 21)}
        for part in parts(self.folder / "eval" / EVALS[benchmark][0]):
            for marks in (
                r"(?!)",
                r"[^\w\s]",
                "[，。、；：？！]",
            ):  # noise takes punctuation out and joins words
                own = tokens(re.sub(marks, "", part))
                single = sum(len(word) == 1 and ord(word) > 0x2E80 for word in own) > len(own) / 2
                long, short = (20, 12) if single else (13, 8)
                n = min(long, len(own))
                if n >= short and any(tuple(own[k : k + n]) in grams[n] for k in range(len(own) - n + 1)):
                    return True
        return False


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, compressed or not."""
    with path.open("rb") as file:
        raw: Any = {
            ".gz": gzip.GzipFile,
            ".zst": lambda fileobj: zstandard.ZstdDecompressor().stream_reader(fileobj),
        }.get(path.suffix, lambda fileobj: fileobj)(fileobj=file)
        yield from map(json.loads, io.TextIOWrapper(raw, encoding="utf-8"))


def parts(path: Path) -> Iterator[str]:
    """Every text of a benchmark's items; question and answer are parts of their own."""
    for item in lines(path):
        for value in item.values():
            yield from (
                one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
            )


def tokens(text: str) -> list[str]:
    """Words without case and apostrophes, and single CJK characters (RULES 12.1)."""
    plain = unicodedata.normalize("NFC", re.sub("['’ʼ]", "", text)).lower()
    return re.findall(
        r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|(?:(?![\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])[^\W_])+",
        plain,
    )


def form(text: str) -> str:
    """The comparison form: NFC, white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def letters(text: str) -> str:
    """What is left without case, punctuation and spacing."""
    return "".join(tokens(text))


def main() -> None:
    """Runs, asks, and says what explains the answers."""
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    free, strict = ran(folder, work, "[]"), ran(folder, work, "[gopher]")
    labels = {label["id"]: label["kind"] for label in lines(folder / "planted" / "labels.jsonl.gz")}
    checked = Checked(
        folder,
        {name: explain(free, name) for name in labels},
        {name: explain(strict, name) for name, kind in labels.items() if kind == "junk"},
    )
    causes: dict[str, Counter[str]] = {kind: Counter() for kind in CAUSES}
    for name, kind in labels.items():
        why = checked.why(name)
        causes[kind][why] += 1
        if why.startswith("WRONG"):
            print(f"{name}: {kind}: {why}")
    for kind, found in causes.items():
        rest = ", ".join(f"{count} {why}" for why, count in found.most_common() if why != "as labelled")
        print(
            f"{kind:32} {found['as labelled']:4} of {found.total():4} as labelled"
            + (f"; {rest}" if rest else "")
        )
    dropped = [found for found in checked.told.values() if found["fate"] == "dedup"]
    wrong = sum(count for found in causes.values() for why, count in found.items() if why.startswith("WRONG"))
    print(f"{len(dropped)} copies dropped; answers that nothing explains: {wrong}")


if __name__ == "__main__":
    main()
