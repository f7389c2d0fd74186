"""Packed shards as other trainers want them: Hugging Face `datasets`, Megatron, nanoGPT.

    hf        the same rows and columns, in a folder for `datasets.load_from_disk`
    megatron  a document a sequence, `.bin` and `.idx` of Megatron-LM's indexed dataset
    nanogpt   documents end to end in one `.bin` of uint16, as nanoGPT's and llm.c's loaders map it

The last two have no rows: pieces of a document are joined again, padding is left out, and documents keep the order
in which the shards begin them. It reads packed shards only, and writes no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import RecipeError
from stages.kernels.packing import place
from stages.packed import BATCH_ROWS, SPLITS, Packed, Segments, Split

Format = Literal["hf", "megatron", "nanogpt"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)

_MEGATRON_MAGIC: Final = b"MMIDIDX\x00\x00"
_MEGATRON_TYPES: Final = {
    "uint16": (8, "<u2"),
    "uint32": (4, "<i4"),
}  # it knows no uint32; ids are below 2**31
_AT_ONCE: Final = 8192
"""Documents that are in memory at a time."""


def export(form: str, packed: Path, target: Path) -> list[Path]:
    """Writes the shards in `packed` to the folder `target` in another format; returns the files made.

    Raises:
        RecipeError: an unknown format, a target that holds something, or a vocabulary the format cannot hold.
        PackedError: `packed` is no folder of shards.
    """
    source = Packed(packed)
    if form not in FORMATS:
        raise RecipeError([f"export {form}: no such format; there are {', '.join(FORMATS)}"])
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RecipeError([f"export: {target} is not an empty folder; name a new one"])
    if form == "nanogpt" and source.manifest.dtype != "uint16":
        size = source.manifest.vocab_size
        complaint = (
            f"export nanogpt: its loader reads two bytes a token, and the vocabulary has {size:,} ids; use megatron "
            "or hf, or a tokenizer of at most 65,536"
        )
        raise RecipeError([complaint])
    target.mkdir(parents=True, exist_ok=True)
    writer = {"hf": _hf, "megatron": _megatron, "nanogpt": _nanogpt}[form]
    return writer(source, target)


def documents(split: Split) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
    """The documents of a split, their pieces joined: tokens end to end and lengths, some at a time.

    Pieces of a document lie in one shard. Repeats of a document are documents.
    """
    for _, table in split.tables():
        found = Segments.of(table)
        order, starts = _joined(found)
        ends = np.append(starts[1:], len(order))
        row = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
        before = np.cumsum(found.lengths) - found.lengths
        column = before - before[found.offsets[row]]
        batches = [np.asarray(batch.flatten()) for batch in table.column("input_ids").chunks]
        seq_len = table.schema.field("input_ids").type.list_size
        begin = row % BATCH_ROWS * seq_len + column
        for low in range(0, len(starts), _AT_ONCE):
            high = min(low + _AT_ONCE, len(starts))
            pieces = order[starts[low] : ends[high - 1]]
            lengths = found.lengths[pieces]
            tokens = np.empty(lengths.sum(), batches[0].dtype)
            target = np.cumsum(lengths) - lengths
            of = row[pieces] // BATCH_ROWS
            for batch in np.unique(of):
                mine = of == batch
                place(batches[batch], begin[pieces][mine], lengths[mine], target[mine], tokens)
            yield tokens, np.add.reduceat(lengths, starts[low:high] - starts[low])


def _joined(found: Segments) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Segments so ordered that those of a document follow one another, and where in it each document starts."""
    number = np.arange(len(found.lengths))
    _, document = np.unique(np.ascontiguousarray(found.doc).view("V16").ravel(), return_inverse=True)
    by_start = np.lexsort((number, found.start, document))
    key = np.stack([document[by_start], found.start[by_start]])
    fresh = np.append(True, (np.diff(key) != 0).any(axis=0))[: len(number)]
    nth = np.empty_like(number)  # the n-th piece with this start is of the n-th repeat
    nth[by_start] = number - np.maximum.accumulate(np.where(fresh, number, 0))
    owner = np.lexsort((found.start, nth, document))
    begins = np.flatnonzero(found.start[owner] == 0)
    rank = np.argsort(owner[begins])  # by the place of the first piece
    sizes = np.diff(np.append(begins, len(owner)))
    starts = np.cumsum(sizes[rank]) - sizes[rank]
    order = np.repeat(begins[rank] - starts, sizes[rank]) + number
    return owner[order], starts


def _hf(source: Packed, target: Path) -> list[Path]:
    files = []
    names = [name for name in SPLITS if len(source.split(name))]
    for name in names:
        folder = target / name
        folder.mkdir()
        shards = list(source.split(name).tables())
        written = [folder / f"data-{at:05d}-of-{len(shards):05d}.arrow" for at in range(len(shards))]
        for path, (_, table) in zip(written, shards, strict=True):
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
                stream.write_table(table)
        state: dict[str, Any] = {
            "_data_files": [{"filename": path.name} for path in written],
            "_fingerprint": source.manifest.fingerprint[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": name,
        }
        made = [_write_json(folder / "state.json", state), _write_json(folder / "dataset_info.json", {})]
        files += [*written, *made]
    return [*files, _write_json(target / "dataset_dict.json", {"splits": names})]


def _megatron(source: Packed, target: Path) -> list[Path]:
    code, kind = _MEGATRON_TYPES[source.manifest.dtype]
    files = []
    for name in SPLITS:
        lengths = [np.zeros(0, np.int64)]
        with (target / f"{name}.bin").open("wb") as file:
            for tokens, sizes in documents(source.split(name)):
                file.write(tokens.astype(kind).data)
                lengths.append(sizes)
        sizes = np.concatenate(lengths)
        pointers = (np.cumsum(sizes) - sizes) * np.dtype(kind).itemsize
        with (target / f"{name}.idx").open("wb") as file:
            file.write(_MEGATRON_MAGIC)
            _words(file, "<u8", [1])  # version
            _words(file, "<u1", [code])
            _words(file, "<u8", [len(sizes), len(sizes) + 1])
            _words(file, "<i4", sizes)
            _words(file, "<i8", pointers)
            _words(file, "<i8", np.arange(len(sizes) + 1))  # a sequence a document
        files += [target / f"{name}.bin", target / f"{name}.idx"]
    return files


def _nanogpt(source: Packed, target: Path) -> list[Path]:
    files = []
    for name, path in (("train", target / "train.bin"), ("validation", target / "val.bin")):
        with path.open("wb") as file:
            for tokens, _ in documents(source.split(name)):
                file.write(tokens.astype("<u2").data)
        files.append(path)
    return files


def _words(file: BinaryIO, kind: str, values: Any) -> None:
    file.write(np.asarray(values).astype(kind).tobytes())


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path
