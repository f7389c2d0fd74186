"""A million documents through pack, as tasks do it: speed, padding and the memory of one process.

    python -m tests.bench.shuffle FOLDER [DOCUMENTS]

Lengths are log-normal (median 400 tokens, mean 830), in parts of 10,000 documents; FOLDER takes some 6 GB and is
emptied again. CPU seconds. Memory is what the process holds itself; pages of mapped files, which the system takes
back at need, are shown apart.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import exchange
from stages import vocabulary
from stages.pack import Pack
from stages.packed import Packed
from stages.training import Training, train

PART = 10_000
SEQ_LEN = 2048


class Memory:
    """The most that the process held since `reset`, in MB: its own, and mapped files."""

    def __init__(self) -> None:
        self.own = self.mapped = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            fields = dict(
                line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
            )
            self.own = max(self.own, int(fields["RssAnon"].split()[0]) >> 10)
            self.mapped = max(self.mapped, int(fields["RssFile"].split()[0]) >> 10)
            time.sleep(0.02)

    def reset(self) -> None:
        """Begins anew."""
        self.own = self.mapped = 0


def part(number: int) -> pa.Table:
    """Documents of one part as pack is handed them."""
    draw = np.random.default_rng(number)
    lengths = np.maximum(np.exp(draw.normal(6, 1.2, PART)), 1).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = draw.integers(1, 30_000, offsets[-1], dtype=np.uint32)
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), PART, [None, pa.py_buffer(draw.bytes(16 * PART))]
    )
    return pa.table(
        {
            "doc_id": ids,
            "source": pa.array(np.where(np.arange(PART) % 3, "web", "books").tolist()),
            "bytes": lengths * 4,
            "tokens": pa.LargeListArray.from_arrays(offsets, pa.array(tokens)),
        }
    )


def main(folder: Path, documents: int) -> None:
    """Prints a line a step."""
    folder.mkdir(parents=True)
    content = train(Training(vocab_size=300), vocabulary.EOS, ["ab ab ab ab"])
    (folder / vocabulary.FILE).write_bytes(content)
    (folder / vocabulary.CONFIG).write_bytes(vocabulary.config(vocabulary.EOS))
    vocabulary.described = lambda *_: (32_000, 0)  # type: ignore[assignment]
    pack = Pack(sources=("books", "web"), validation=0.005, seq_len=SEQ_LEN, seed=1).located(
        {label: [folder / label] for label in Pack.uses}
    )
    pack.route(part(0).slice(0, 10))
    memory, seconds, sent, weights, tokens = Memory(), 0.0, [], {}, 0
    for number in range(documents // PART):
        rows = part(number)
        started = time.process_time()
        routed, tallies = pack.route(rows)
        marker = exchange.send(folder / f"part-{number}", routed, {}, weighed=True)
        seconds += time.process_time() - started
        tokens += tallies["tokens"]
        sent.append({"path": str(marker.data), "part": number, "slices": marker["slices"]})
        for bucket, weight in marker["weights"].items():
            weights[int(bucket)] = weights.get(int(bucket), 0) + weight
    print(f"route  {tokens / seconds / 1e6:8.1f} Mtok/s, {documents / seconds / 1e6:.2f} M documents/s")
    print(f"       own {memory.own} MB, mapped {memory.mapped} MB", flush=True)
    memory.reset()
    collecting = writing = 0.0
    entries: list[dict[str, Any]] = []
    packed = folder / "packed"
    packed.mkdir()
    for name, buckets in pack.groups(weights).items():
        started = time.process_time()
        group = exchange.receive(sent, *buckets).drop_columns("part")
        collected = time.process_time()
        entries.append(dict(pack.write(name, group, packed / f"{name}.arrow")))
        collecting += collected - started
        writing += time.process_time() - collected
    pack.manifest(entries, packed)
    size = sum(path.stat().st_size for path in packed.glob("*.arrow"))
    padding = sum(e["padding"] for e in entries) / sum(e["rows"] for e in entries) / SEQ_LEN
    print(
        f"write  {size / writing / 1e9:8.2f} GB/s in {len(entries)} shards, collecting buckets {collecting:.1f} s"
    )
    print(f"       own {memory.own} MB, mapped {memory.mapped} MB; padding {padding:.4%}")
    print(f"       {sum(e['cut'] for e in entries)} documents cut, longest kept whole: {SEQ_LEN - 1} tokens")
    started = time.process_time()
    problems = Packed(packed).verify()
    print(f"verify {size / (time.process_time() - started) / 1e9:8.2f} GB/s, problems: {problems}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
