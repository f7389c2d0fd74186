"""The dedup stage from committed text columns to committed reasons: wall, CPU, memory of all processes.

    python -m tests.bench.dedup_stage DOCUMENTS.jsonl WORK [--workers N] [--set KEY=VALUE]...

The documents are loaded first (reused when WORK has them); then `dedup` runs on N Dask workers in a process of
its own, whose tree is watched: proportional set size, summed, every 50 ms. The seconds are those of the stage
alone, with workers already there; their start is said apart. Not a test.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

_STEP = 0.05  # seconds between two looks


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def memory(pid: int) -> tuple[float, float]:
    """(Proportional set size, its anonymous part) of a process in MB; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return int(sizes.get("Pss", 0)) / 1024, int(sizes.get("Pss_Anon", 0)) / 1024


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def inside(recipe: Path, work: Path, where: str, settings: list[str]) -> None:
    """Walks the recipe here; prints JSON: seconds to start workers, of the stage, CPU, and of each step."""
    from pipeline import recipe as recipes
    from pipeline.executors import executor
    from pipeline.flow import Flow

    begun = time.perf_counter()
    with executor(where) as workers:
        ready = time.perf_counter()
        marks: list[tuple[str, float]] = []

        def watch(stage: str, step: str, done: int, total: int) -> None:
            if not done:
                marks.append((f"{stage} {step}", time.perf_counter()))
                print(json.dumps({"at": f"{stage} {step}", "tasks": total}), flush=True)

        walk = Flow(recipes.read(recipe, settings, work), work, lambda: workers, watch).walk()
        loaded = next(walk)
        size = sum(own["bytes"] for part in loaded.parts for own in part["ledger"].values())
        start = time.perf_counter()
        done = next(walk, None)
        stop = time.perf_counter()
        marks.append(("end", stop))
        steps = {
            name: round(after - at, 2)
            for (name, at), (_, after) in pairwise(marks)
            if name.startswith("dedup")
        }
        peaks = [part.body.get("peak_mb", 0) for part in done.parts] if done else []
        dropped: dict[str, int] = {}
        for part in done.parts if done else []:
            for own in part["ledger"].values():
                for reason, count in own["dropped"].items():
                    dropped[reason] = dropped.get(reason, 0) + count
        found = {"started": ready - begun, "seconds": stop - start, "bytes": size, "steps": steps}
        print(json.dumps({**found, "worker peaks": sorted(peaks)[-3:], "dropped": dropped}), flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("documents", type=Path)
    arguments.add_argument("work", type=Path)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments.add_argument("--inside", default="", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    where = f"local:{given.workers}" if given.workers else "serial"
    recipe = given.work / "recipe.yaml"
    if given.inside:
        inside(recipe, given.work, given.inside, given.set)
        sys.exit()
    given.work.mkdir(parents=True, exist_ok=True)
    source = f"{{name: bench, paths: ['{given.documents.resolve()}']}}"
    load = f"name: bench\nload: {{sources: [{source}]}}\n"
    command = [sys.executable, "-m", "tests.bench.dedup_stage", str(given.documents), str(given.work)]
    command += ["--inside", where, *(f"--set={setting}" for setting in given.set)]
    recipe.write_text(load)
    subprocess.run([c for c in command if not c.startswith("--set=")], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(given.work / "store" / "dedup", ignore_errors=True)
    recipe.write_text(f"{load}dedup: {{max_drop: 1.0}}\n")
    said = given.work / "said.jsonl"
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=file)
    peak, anonymous, used, before, by_step, step = 0.0, 0.0, 0.0, 0.0, {}, "start"
    while process.poll() is None:
        lines = [json.loads(line) for line in said.read_text().splitlines()]
        step = next((line["at"] for line in reversed(lines) if "at" in line), step)
        sizes = [memory(pid) for pid in tree(process.pid)]
        used = max(used, sum(cpu(pid) for pid in tree(process.pid)))
        before = used if step == "start" else before
        total, anon = sum(a for a, _ in sizes), sum(b for _, b in sizes)
        peak, anonymous = max(peak, total), max(anonymous, anon)
        if total > by_step.get(step, (0.0,))[0]:
            by_step[step] = (total, anon, [round(a) for a, _ in sizes])
        time.sleep(_STEP)
    answer = json.loads(said.read_text().splitlines()[-1])
    size = answer["bytes"] / 1e6
    print(
        f"load {os.getloadavg()[0]:.1f}; {size:.0f} MB; {answer['seconds']:.2f} s wall, {size / answer['seconds']:.0f} MB/s"
    )
    print(f"{used - before:.1f} CPU s of all processes, {size / (used - before):.0f} MB/s a core")
    print(
        f"workers started in {answer['started']:.1f} s; peak {peak:.0f} MB, {anonymous:.0f} MB of it not files"
    )
    print(f"largest workers {answer['worker peaks']}; dropped {answer['dropped']}")
    for name, (total, anon, sizes) in by_step.items():
        print(
            f"  {name:16} {answer['steps'].get(name, 0):6.2f} s  {total:6.0f} MB ({anon:.0f} anonymous)  {sizes}"
        )
