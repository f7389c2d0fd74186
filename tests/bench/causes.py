"""Runs a recipe over planted documents and asks `explain` for the cause of each: python -m tests.bench.causes FOLDER WORK.

FOLDER holds planted/docs.jsonl.zst, planted/labels.jsonl.gz (`id`, `kind`, and `of`, `jaccard5`, `benchmark`,
`eval_id`) and eval/. Says, kind by kind, how many have the labelled cause; of duplicates, whether survivor and
similarity are right. Not a test.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline import recipe as recipes
from pipeline.explain import explain
from pipeline.progress import Watcher
from pipeline.run import Choice, run
from pipeline.runs import Run

# kind -> the fates that state its cause: "kept" where nothing is wrong with it. Of documents that are alike any may
# be the kept one, so duplicates are judged by the exact similarity of all pairs.
CAUSES = {
    "exact_dup": {"dedup"}, "normalised_dup": {"dedup"}, "near_dup": {"dedup"}, "contaminated": {"decontaminate"},
    "not_contaminated_short_mention": {"kept"}, "junk": {"clean"}, "clean": {"kept"}, "pii": {"kept"},
    "encoding_damage": {"kept"}, "mixed_language": {"kept"},
}  # fmt: skip
THRESHOLD = 0.75  # of dedup
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


def main() -> None:
    """Runs and asks."""
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    free, strict = ran(folder, work, "[]"), ran(folder, work, "[gopher]")
    with gzip.open(folder / "planted" / "labels.jsonl.gz", "rt") as file:
        labels: dict[str, dict[str, Any]] = {label["id"]: label for label in map(json.loads, file)}
    alike: dict[str, dict[str, float]] = {}
    with gzip.open(folder / "planted" / "all_pairs_jaccard.jsonl.gz", "rt") as file:
        for pair in map(json.loads, file):
            alike.setdefault(pair["a"], {})[pair["b"]] = pair["jaccard5"]
            alike.setdefault(pair["b"], {})[pair["a"]] = pair["jaccard5"]
    told = {
        name: explain(strict if label["kind"] == "junk" else free, name) for name, label in labels.items()
    }
    right: Counter[str] = Counter()
    wrong: Counter[tuple[str, str, str]] = Counter()
    pairs: Counter[str] = Counter()
    for name, label in labels.items():
        kind = label["kind"]
        found = told[name]
        good = found["fate"] in CAUSES[kind]
        close = {other: value for other, value in alike.get(name, {}).items() if value >= THRESHOLD}
        if found["fate"] == "dedup":
            other = found["duplicate"]
            good = other["orig_id"] in close and other["fate"] != "dedup"
            pairs["survivor kept and as close as asked" if good else "survivor wrong"] += 1
            if good:
                same = abs(other["similarity"] - close[other["orig_id"]]) < 0.02
                pairs["similarity right" if same else "similarity wrong"] += 1
        elif kind.endswith("_dup"):  # the kept one of its cluster, or not close to any other
            good = not any(told.get(other, {}).get("fate") == "kept" for other in close)
        if kind == "contaminated" and found["fate"] == "decontaminate":
            items = {(hit["benchmark"], str(hit["item"])) for hit in found["evidence"]}
            pairs[
                "evidence names the item"
                if any(label["benchmark"].startswith(b) for b, _ in items)
                else "evidence otherwise"
            ] += 1
        right[kind] += good
        if not good:
            wrong[kind, label.get("variant", ""), f"{found['fate']}: {found['reason']}"] += 1
    for kind in CAUSES:
        print(f"{kind:32} {right[kind]:4} of {sum(label['kind'] == kind for label in labels.values())}")
    for (kind, variant, fate), count in wrong.most_common(30):
        print(f"  {kind} {variant}: {count} {fate}")
    print(dict(pairs))


if __name__ == "__main__":
    main()
