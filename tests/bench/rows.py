"""From documents to rows, timed: ids beside the `tokenizers` library's, packing, routing and writing.

    python -m tests.bench.rows CORPUS TOKENIZER.json

One process; CPU seconds, so that a busy machine does not matter much. Ids are compared on every tenth document.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages import vocabulary
from stages.encoding import Encoder
from stages.kernels.packing import best_fit
from stages.mix import Mix
from stages.pack import Pack
from tests.bench.texts import texts_of

SEQ_LEN = 2048
KERNEL_DOCUMENTS = 1_000_000


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the CPU seconds it took."""
    started = time.process_time()
    result = what()
    return result, time.process_time() - started


def ids(texts: pa.Array, content: bytes) -> pa.LargeListArray:
    """Encodes cold, then warm, beside the library."""
    size = texts.nbytes / 1e6
    encoder = Encoder(content)
    (tokens, counts), cold = timed(lambda: encoder.encode(texts))
    _, warm = timed(lambda: encoder.encode(texts))
    sample = texts.take(pa.array(np.arange(0, len(texts), 10)))
    library = vocabulary.encoder(content)
    slow, seconds = timed(
        lambda: [e.ids for e in library.encode_batch_fast(sample.to_pylist(), add_special_tokens=False)]
    )
    lists = pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]), pa.array(tokens))
    same = sum(one == other for one, other in zip(slow, lists[::10].to_pylist(), strict=True))
    rate = sample.nbytes / 1e6 / seconds
    print(
        f"ids        {size / cold:8.1f} MB/s cold  {size / warm:8.1f} MB/s warm  {len(tokens) / cold / 1e6:.1f} Mtok/s cold"
    )
    print(
        f"tokenizers {rate:8.1f} MB/s       ratio {size / cold / rate:.1f} cold, identical {same}/{len(slow)}"
    )
    return lists


def rows_of(texts: pa.Array, tokens: pa.LargeListArray) -> pa.Table:
    """Documents as pack is handed them."""
    draw = np.random.default_rng(1)
    return pa.table(
        {
            "doc_id": pa.array([draw.bytes(16) for _ in range(len(texts))], pa.binary(16)),
            "source": pa.array(np.where(np.arange(len(texts)) % 3, "web", "books").tolist()),
            "bytes": pc.binary_length(texts),
            "tokens": tokens,
            "token_count": np.diff(np.asarray(tokens.offsets)),
        }
    )


def main(path: Path, tokenizer: Path) -> None:
    """Prints a line a step."""
    texts, content = pa.array(texts_of(path), pa.large_string()), tokenizer.read_bytes()
    rows = rows_of(texts, ids(texts, content))
    stage = Mix(weights={"web": 0.5, "books": 0.5}, tokens=int(sum(rows["token_count"].to_pylist()) * 0.6))
    ruling, seconds = timed(lambda: stage.settle(stage.decide(stage.survey(rows, 0, None), 0), 0))
    print(f"mix        {len(rows) / seconds / 1e6:8.2f} M documents/s surveyed; {ruling.num_rows} groups")
    lengths = (
        np.minimum(np.exp(np.random.default_rng(1).normal(6, 1.2, KERNEL_DOCUMENTS)), SEQ_LEN - 1).astype(
            np.int64
        )
        + 1
    )
    (_, number), seconds = timed(lambda: best_fit(lengths, SEQ_LEN))
    padding = 1 - lengths.sum() / (number * SEQ_LEN)
    print(f"best fit   {len(lengths) / seconds / 1e6:8.2f} M documents/s       padding {padding:.4%}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / vocabulary.FILE).write_bytes(content)
        eos = vocabulary.end_of_text(vocabulary.load(content), None)
        (folder / vocabulary.CONFIG).write_bytes(vocabulary.config(eos))
        pack = Pack(sources=("books", "web"), validation=0).located(
            {label: [folder / label] for label in Pack.uses}
        )
        pack.route(rows.slice(0, 1))
        (routed, _), seconds = timed(lambda: pack.route(rows))
        total = routed["weight"].to_numpy().sum()
        print(f"route      {total / seconds / 1e6:8.1f} Mtok/s")
        for strategy in ("best_fit", "concat"):
            stage_of = pack.model_copy(update={"strategy": strategy})
            entry, seconds = timed(
                lambda stage_of=stage_of: stage_of.write("train-00000", routed, folder / "x.arrow")
            )
            size = (folder / "x.arrow").stat().st_size
            padding = entry["padding"] / (entry["rows"] * SEQ_LEN)
            print(
                f"{strategy:10} {size / seconds / 1e9:8.2f} GB/s written    padding {padding:.4%}, {entry['cut']} documents cut"
            )
    print(f"peak       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:8} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
