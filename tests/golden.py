"""What every stage writes on the sample, as digests beside the stage's version.

python -m tests.golden           records them in tests/golden.json
python -m tests.golden --check   fails unless what is recorded is what this version writes
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import runs, store
from pipeline.exchange import table_sha256
from stages.naming import stage_class
from tests.command import HOME, gristmill

RECORDED = HOME / "tests" / "golden.json"


def digests(work: Path) -> dict[str, dict[str, Any]]:
    """Stage -> version and digest of its columns (rows in the order of doc_id) or of its shards."""
    newest = runs.find(None, work)
    found: dict[str, dict[str, Any]] = {}
    ids: list[pa.Table] = []
    for entry in newest.record()["stages"]:
        kind = stage_class(entry["stage"])
        tables = [store.read_table(_data(stem)) for stem in entry["parts"]]
        if not ids:
            ids = [table.select(["doc_id"]) for table in tables]
        if tables:
            names = [name for name in tables[0].column_names if name not in {"doc_id", "alive"}]
            parts = [
                table.select(names).append_column("doc_id", own["doc_id"])
                for table, own in zip(tables, ids, strict=True)
            ]
            content = table_sha256(pa.concat_tables(parts).sort_by("doc_id"))
        else:
            content = json.loads((newest.path / "packed" / "manifest.json").read_text())["fingerprint"]
        found[entry["stage"]] = {"version": kind.version, "sha256": content}
    return found


def _data(stem: str) -> Path:
    marker = store.read_marker(Path(stem))
    assert marker is not None
    assert marker.data is not None
    return marker.data


def run(work: Path) -> None:
    """Runs the sample's recipe as far as the shards."""
    recipe = HOME / "sample_data" / "recipe.yaml"
    gristmill("run", recipe, "--work", work, "--until", "pack", "--executor", "serial")


def main() -> int:
    """Records or checks."""
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
        now = digests(Path(folder))
    if "--check" in sys.argv:
        if now != json.loads(RECORDED.read_text()):
            print(
                "tests/golden.json is not what this version writes: run python -m tests.golden",
                file=sys.stderr,
            )
            return 1
        return 0
    RECORDED.write_text(json.dumps(now, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
