"""The whole of a recipe on a real corpus, from process start to report: wall seconds, memory, and a row a stage.

    python -m tests.bench.end_to_end CORPUS BENCHMARKS.jsonl TOKENIZER.json [--part-bytes N] [--until STAGE] [--runs N]

The recipe: clean with every metric and the presets gopher and fineweb, langid, dedup, decontaminate, mix, given
tokenizer, best-fit packing at 2,048, two workers. One run warms compiled kernels and the page cache, then each run
starts from nothing in a folder of its own. Memory is the sum of the proportional set sizes of all processes, four
times a second, so that pages which two processes share count once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from tests.command import COMMAND, surroundings


def recipe(corpus: Path, benchmarks: Path, tokenizer: Path, part_bytes: int) -> str:
    """The recipe as JSON, which is YAML."""
    sources = [{"name": "corpus", "paths": [str(corpus.resolve())]}]
    items = [{"name": "benchmarks", "paths": [str(benchmarks.resolve())], "question": "text"}]
    return json.dumps(
        {
            "name": "end-to-end",
            "load": {"sources": sources, "part_bytes": part_bytes},
            "clean": {"presets": ["gopher", "fineweb"]},
            "langid": {},
            "dedup": {},
            "decontaminate": {"benchmarks": items},
            "mix": {},
            "tokenize": {"file": str(tokenizer.resolve())},
            "pack": {"seq_len": 2048},
        }
    )


class Family:
    """A process and all its children: what they hold now, and what each used so far.

    Attributes:
        used: process id -> CPU seconds.
        held: process id -> the most bytes that it held, pages shared with others included.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.used: dict[int, float] = {}
        self.held: dict[int, int] = {}

    def look(self) -> int:
        """Bytes held, shared pages counted once; notes what each process used."""
        total = 0
        try:
            family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0
        for process in family:
            try:
                lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
                times = process.cpu_times()
                held = process.memory_info().rss
            except (OSError, psutil.Error):  # it ended meanwhile
                continue
            self.used[process.pid] = times.user + times.system
            self.held[process.pid] = max(held, self.held.get(process.pid, 0))
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total


def run(written: Path, work: Path, until: list[str]) -> tuple[float, float, int, int]:
    """Wall and CPU seconds, the most memory of all processes together and of one, of one run from nothing."""
    begun = time.perf_counter()
    command = [*COMMAND, "run", str(written), "--work", str(work), "--executor", "local:2", *until]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **surroundings()
    )
    family, peak = Family(process.pid), 0
    while process.poll() is None:
        peak = max(peak, family.look())
        time.sleep(0.25)
    wall = time.perf_counter() - begun
    if process.returncode:
        sys.exit(f"the run ended with {process.returncode}; run it by hand: {' '.join(command)}")
    return wall, sum(family.used.values()), peak, max(family.held.values())


def stages(work: Path, begun: float) -> list[tuple[str, float, float, int, int]]:
    """Stage, wall seconds since process start when it was committed, worker seconds, largest process in MB, alive."""
    (folder,) = (work / "runs").iterdir()
    found = json.loads((folder / "run.json").read_bytes())
    events = map(json.loads, (folder / "journal.jsonl").read_text().splitlines())
    done = {event["stage"]: event["time"] - begun for event in events if event["event"] == "stage"}
    return [
        (one["stage"], done[one["stage"]], one["seconds"], one["peak_mb"], one["alive"])
        for one in found["stages"]
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--part-bytes", type=int, default=32 << 20)
    parser.add_argument("--until")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    until = ["--until", given.until] if given.until else []
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "recipe.yaml"
        written.write_text(recipe(given.corpus, given.benchmarks, given.tokenizer, given.part_bytes))
        results = []
        for turn in range(given.runs + 1):
            work = Path(folder) / f"work{turn}"
            begun = time.time()
            results.append(run(written, work, until))
            if turn < given.runs:
                shutil.rmtree(work)
        print("stage          committed after   worker seconds   largest process    alive   (last run)")
        for name, after, seconds, peak_mb, alive in stages(Path(folder) / f"work{given.runs}", begun):
            print(f"{name:<14} {after:13.2f} s {seconds:14.2f} s {peak_mb:14d} MB {alive:8d}")
    warm = results[1:]
    print(f"cold {results[0][0]:.1f} s; warm, medians of {len(warm)}: {median(one[0] for one in warm):.1f} s wall, "
          f"{median(one[1] for one in warm):.1f} s CPU, {max(one[2] for one in warm) / 1e9:.2f} GB")  # fmt: skip
