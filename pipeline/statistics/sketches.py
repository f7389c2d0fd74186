"""Distinct values, about: words by source, addresses. HyperLogLog registers as text, and what they say.

`kernels/distinct` fills registers, datasketch estimates from them (HyperLogLog++: Heule, Nunkesser and Hall 2013).
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.candidates import addresses
from stages.columns import utf8

ERROR: Final = 0.0081
"""Standard error of an estimate, relative: 1.04 / sqrt(2^14)."""

Registers = npt.NDArray[np.uint8]


def distinct(table: pa.Table, read: pa.Table, texts: pa.Array) -> dict[str, Any]:
    """Registers of the words of kept documents by source, and of the addresses of all documents.

    Args:
        table: all rows, with `url`.
        read: the rows whose texts are known, with `source` and `fate`.
        texts: their texts.
    """
    from stages.kernels import distinct as kernel  # noqa: PLC0415 - Numba: only tasks pay for it
    from stages.kernels.units import normalised  # noqa: PLC0415

    found: dict[str, Any] = {"words": {}}
    kept = pc.equal(read.column("fate"), "kept").combine_chunks()
    sources = read.column("source").filter(kept).combine_chunks().dictionary_encode()
    if len(sources):
        data, offsets = utf8(normalised(texts.filter(kept))[0])
        names = sources.dictionary.to_pylist()
        groups = sources.indices.to_numpy().astype(np.int64)
        registers = kernel.words(data, offsets, groups, len(names))
        found["words"] = {name: written(own) for name, own in zip(names, registers, strict=True)}
    urls = table.column("url").drop_null()
    if len(urls):
        found["addresses"] = written(kernel.values(addresses(urls)[:, 0]))
    return found


def unite(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merges nested registers into others."""
    for name, value in more.items():
        if isinstance(value, dict):
            unite(into.setdefault(name, {}), value)
        else:
            into[name] = written(np.maximum(read(into[name]), read(value))) if name in into else value


def estimate(*registers: str) -> int:
    """How many values there are in all of these together."""
    from datasketch import HyperLogLogPlusPlus  # noqa: PLC0415 - imports scipy

    found = np.max([read(one) for one in registers], axis=0).astype(np.int8)
    return round(float(HyperLogLogPlusPlus(reg=found).count()))


def written(registers: Registers) -> str:
    """Registers as text, for JSON."""
    return b64encode(zlib.compress(registers.tobytes(), 1)).decode("ascii")


def read(text: str) -> Registers:
    """The inverse of `written`."""
    return np.frombuffer(zlib.decompress(b64decode(text)), np.uint8)
