"""Shards open in the readers that people have: `datasets`, polars and pyarrow, all columns of all rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.packed import Packed
from tests.stages.rounds import shards_of
from tests.stages.test_pack import SOURCES, corpus

READERS = {
    "datasets": (
        "import datasets; found = datasets.load_dataset('arrow', data_files=sys.argv[2:], cache_dir=sys.argv[1],"
        " split='train'); rows = found.to_list()"
    ),
    "polars": (
        "import polars; rows = [row for name in sys.argv[2:] for row in polars.read_ipc(name).to_dicts()]"
    ),
    "polars_scan": (
        "import polars; rows = polars.scan_ipc(sys.argv[2:]).filter(polars.col('segment_lengths').list.len() > 0)"
        ".collect().to_dicts()"
    ),
}
SHOW = "; print(json.dumps(rows, default=bytes.hex))"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several shards, rows of several documents, documents of several rows."""
    return shards_of(corpus([5, 40, 3, 16, 15, 100, 1, 8] * 20), SOURCES, tmp_path_factory.mktemp("shards"))


def shards(packed: Path) -> list[Path]:
    """The files of the training split."""
    return [packed / entry.file for entry in Packed(packed).manifest.splits["train"].shards]


def expected(packed: Path) -> list[dict[str, Any]]:
    """The rows as this project reads them, ids in hex."""
    rows = [row for _, table in Packed(packed).split("train").tables() for row in table.to_pylist()]
    return [{**row, "segment_doc": [doc.hex() for doc in row["segment_doc"]]} for row in rows]


@pytest.mark.parametrize("reader", READERS)
def test_shards_open_as_they_are(packed: Path, tmp_path: Path, reader: str) -> None:
    """The real library, in a process of its own, gives every row."""
    files = [str(path) for path in shards(packed)]
    assert len(files) > 1
    program = f"import sys, json; {READERS[reader]}{SHOW}"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected(packed)


def test_pyarrow_maps_them_without_a_copy(packed: Path) -> None:
    """An IPC file whose tokens are read where they lie."""
    (path, *_) = shards(packed)
    before = pa.total_allocated_bytes()
    with pa.memory_map(str(path)) as mapped:
        table = pa.ipc.open_file(mapped).read_all()
        assert pa.total_allocated_bytes() == before
        assert table.column("input_ids").type == pa.list_(pa.uint16(), 16)
        assert table.num_rows == Packed(packed).manifest.splits["train"].shards[0].rows
