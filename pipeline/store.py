"""The store: content-addressed results of tasks, each a data file and a marker.

    WORK/store/<stage>/<key>/<name>.parquet|.arrow     columns, findings, rulings
    WORK/store/<stage>/<key>/<name>.json               marker: sha256, rows, ledger, tallies; created last

A data file is written beside, fsynced and renamed; then its marker is linked into place unless one is there
(first writer wins, so a late task of a dead driver does no harm). A result whose marker or data does not
verify is never used: it is set aside and made again. The store knows no stages and no plans.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keys import canonical, digest

State = Literal["fresh", "missing", "corrupt"]

_CHUNK: Final = 1 << 22
_serial = itertools.count()


@dataclass(frozen=True)
class Marker:
    """What is known of one result.

    Attributes:
        path: the marker's file; results are named after it.
        body: the JSON object: `data`, `sha256`, `bytes`, `rows` and what the task had to say.
    """

    path: Path
    body: Mapping[str, Any]

    @property
    def data(self) -> Path | None:
        """The data file, if the result has one."""
        name = self.body.get("data")
        return self.path.parent / name if name else None

    @property
    def sha256(self) -> str:
        """Digest of the data file, or of the marker's own content when there is none."""
        return str(self.body.get("sha256") or self.body["check"])

    def __getitem__(self, key: str) -> Any:
        return self.body[key]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            state.update(block)
    return state.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    """A name in the same folder that no other process or host uses."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{next(_serial)}.tmp")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`; on success the file is fsynced and renamed to `path`, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_named(path: Path) -> Iterator[Path]:
    """Like `writing`, for a writer that records the file's name: the same name, in a hidden folder beside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as hidden:
        beside = Path(hidden) / path.name
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.rename(path)
        sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and machines, atomically."""
    with writing(path) as beside:
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        beside.write_bytes(text.encode("utf-8", "surrogatepass"))  # as `keys.canonical` does


def write_table(path: Path, table: pa.Table, *, parquet: bool) -> None:
    """Writes columns as Parquet (zstd), or as an Arrow IPC file of one record batch, to be memory-mapped."""
    if parquet:
        pq.write_table(
            table,
            path,
            compression="zstd",
            compression_level=1,
            use_dictionary=[f.name for f in table.schema if pa.types.is_string(f.type)],
            write_statistics=False,
            row_group_size=max(1, table.num_rows),
        )
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads columns of a data file; Arrow IPC is memory-mapped, Parquet decoded on this thread."""
    if path.suffix == ".parquet":
        return pq.ParquetFile(path, memory_map=True).read(columns=columns, use_threads=False)
    table = pa.ipc.open_file(pa.memory_map(str(path), "rb")).read_all()
    return table.select(columns) if columns is not None else table


def columns_of(path: Path) -> list[str]:
    """The names of a data file's columns."""
    if path.suffix == ".parquet":
        names: list[str] = pq.read_schema(path, memory_map=True).names
    else:
        names = pa.ipc.open_file(pa.memory_map(str(path), "rb")).schema.names
    return names


def publish(stem: Path, table: pa.Table, body: Mapping[str, Any], *, parquet: bool) -> Marker:
    """Publishes a table under `stem`, then its marker.

    Returns the marker that counts: this one, or that of whoever was first.
    """
    state, found = inspect(stem)
    if state == "fresh" and found is not None:
        return found
    path = stem.with_name(stem.name + (".parquet" if parquet else ".arrow"))
    with writing(path) as beside:
        write_table(beside, table, parquet=parquet)
        content = {"data": path.name, "sha256": file_sha256(beside), "bytes": beside.stat().st_size}
    return mark(stem, {**body, **content})


def mark(stem: Path, content: Mapping[str, Any]) -> Marker:
    """Puts a marker in place unless there is one, and returns the one that is there."""
    path = marker_path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**content, "check": digest(content)}
    temporary = _beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(canonical(content))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    found = read_marker(stem)
    return found if found is not None else Marker(path, content)


def marker_path(stem: Path) -> Path:
    """Where the marker of a result lies."""
    return stem.with_name(stem.name + ".json")


def read_marker(stem: Path) -> Marker | None:
    """The marker of a result; None if it is not there or is not what it was when it was written."""
    path = marker_path(stem)
    try:
        body = json.loads(path.read_bytes())
        check = body.pop("check")
        if check != digest(body):
            return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return Marker(path, {**body, "check": check})


def inspect(stem: Path) -> tuple[State, Marker | None]:
    """Whether a result may be used: its marker, data, further files and sub-results are read and compared."""
    if not marker_path(stem).exists():
        return "missing", None
    marker = read_marker(stem)
    if marker is None:
        return "corrupt", None
    named = dict(marker.body.get("files", {}))
    if marker.data is not None:
        named[marker["data"]] = [marker["bytes"], marker["sha256"]]
    for name, (size, sha256) in named.items():
        path = stem.parent / name
        try:
            if path.stat().st_size != size or file_sha256(path) != sha256:
                return "corrupt", None
        except OSError:
            return "corrupt", None
    if any(inspect(stem.parent / name)[0] != "fresh" for name in marker.body.get("parts", ())):
        return "corrupt", None
    return "fresh", marker


def discard(stem: Path) -> None:
    """Removes the markers of a result and of its sub-results that do not verify; they will be made again."""
    marker = read_marker(stem)
    for name in marker.body.get("parts", ()) if marker is not None else ():
        if inspect(stem.parent / name)[0] == "corrupt":
            discard(stem.parent / name)
    marker_path(stem).unlink(missing_ok=True)


def artifacts(markers: Iterable[Marker]) -> dict[str, tuple[Path, str]]:
    """Artifact name -> path and sha256, from the markers that they lie beside."""
    return {
        name.partition(".")[2]: (marker.path.parent / name, sha256)
        for marker in markers
        for name, (_, sha256) in marker.body.get("files", {}).items()
    }
