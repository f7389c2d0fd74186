"""Holds `plan --estimate` to real runs: python -m tests.bench.estimates RECIPE.yaml [--trials 3].

By turns, so that both meet the same machine: an estimate, then a run of the recipe from nothing (without training)
with as many workers as there are processors, after one run that warms compiled kernels and the page cache. Says
estimate over truth for wall seconds, CPU seconds, the largest process, disk and tokens. Bar: within 30 %.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from pipeline import recipe as recipes
from tests.bench.end_to_end import run
from tests.command import gristmill


def estimated(recipe: Path, work: Path) -> tuple[dict[str, float], dict[str, str], float]:
    """The estimate's totals, what it says of each stage, and the seconds it took itself."""
    begun = time.perf_counter()
    found = json.loads(gristmill("plan", recipe, "--estimate", "--json", "--work", work).stdout)
    found = found.get("estimate", found)
    total = {name: found["total"][name] for name in ("wall_seconds", "seconds", "peak_mb", "disk", "tokens")}
    return (
        total,
        {row["stage"]: f"{row['seconds']:.1f} s, {row['peak_mb']} MB" for row in found["stages"]},
        time.perf_counter() - begun,
    )


def truth(recipe: Path, work: Path) -> tuple[dict[str, float], dict[str, str]]:
    """The same of a run from nothing."""
    last = recipes.read(recipe).stages[-1].word()
    wall, cpu, _, largest = run(recipe, work, ["--until", last])
    (folder,) = (work / "runs").iterdir()
    record = json.loads((folder / "run.json").read_bytes())
    report = json.loads((folder / "report.json").read_bytes())
    total = {
        "wall_seconds": wall,
        "seconds": cpu,
        "peak_mb": largest / 1e6,
        "disk": sum(f.lstat().st_size for f in work.rglob("*") if f.is_file() and f.stat().st_nlink == 1)
        + sum(f.stat().st_size for f in folder.glob("documents/*")),
        "tokens": report["packing"].get("tokens") or report["tokens"]["kept"],
    }
    workers = {
        stage["stage"]: f"{stage['seconds']:.1f} s, {stage['peak_mb']} MB" for stage in record["stages"]
    }
    return total, workers


def main() -> None:
    """A line a trial, then the medians and the stages of the last trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--trials", type=int, default=3)
    given = parser.parse_args()
    ratios: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        truth(given.recipe, Path(scratch) / "warm")
        for trial in range(given.trials):
            work = Path(scratch) / f"work{trial}"
            said, said_of, took = estimated(given.recipe, work)
            shutil.rmtree(work, ignore_errors=True)
            real, real_of = truth(given.recipe, work)
            shutil.rmtree(work)
            ratios.append({name: said[name] / real[name] for name in real})
            pairs = "  ".join(f"{name} {said[name]:,.0f}/{real[name]:,.0f}" for name in real)
            print(f"{pairs}  (estimate took {took:.1f} s)", flush=True)
    for name in ratios[0]:
        some = [ratio[name] - 1 for ratio in ratios]
        print(f"{name:<13} {median(some):+.0%}  ({', '.join(f'{one:+.0%}' for one in some)})")
    print("stage           estimated             workers of the run")
    for stage, text in said_of.items():
        print(f"{stage:<14}  {text:<20}  {real_of.get(stage, '')}")


if __name__ == "__main__":
    main()
