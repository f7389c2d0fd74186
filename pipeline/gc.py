"""Results in the store that no run refers to: listed, and removed on request.

A run needs the files that its record names, the parts of the slices among them, whatever lies beside its rulings
and shards (a rerun looks at it), its documents table with the statistics, and its training. While the newest runs are unfinished, what
was written since the first of them began is kept, too: the next run goes on from there. Notes to tasks (`specs`)
are kept while a run is as old; they are written again when they are needed. To let go of a run's
results, delete its folder under WORK/runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline import runs
from pipeline.lease import lease
from pipeline.store import marker_path, read_marker

ALONE: Final = ("read", "survey", "route")  # steps whose results share a folder with those of other runs
EARLY: Final = 3600.0  # seconds before its run has a folder that a driver may write notes to tasks
REMEMBERED: Final = "inputs.json"  # digests of input files: no run names it, every run uses it


@dataclass(frozen=True)
class Unused:
    """A folder of the store with files that no run refers to."""

    folder: str
    files: tuple[Path, ...]
    size: int


def unused(work: Path) -> list[Unused]:
    """What no run refers to, folder by folder.

    Args:
        work: the folder of results.
    """
    store = work / "store"
    needed, folders = _needed(work)
    since = _unfinished(work)
    oldest = min((float(run.record().get("started", 0.0)) for run in runs.every(work)), default=since)
    found: dict[Path, list[Path]] = {}
    for path in sorted(store.rglob("*")) if store.is_dir() else ():
        if path.is_dir() or path == store / REMEMBERED or path in needed or folders & {*path.parents}:
            continue
        about = path.lstat()
        if path.parent == store / "specs" and about.st_mtime >= oldest - EARLY:
            continue
        if about.st_mtime >= since:
            continue
        found.setdefault(path.parent, []).append(path)
    return [
        Unused(folder.relative_to(work).as_posix(), tuple(files), sum(f.lstat().st_size for f in files))
        for folder, files in found.items()
    ]


def remove(work: Path) -> list[Unused]:
    """Removes what no run refers to, while no other driver works in the folder.

    Markers go first, so that a result that is half removed is one that is not there.

    Raises:
        Locked: another driver holds the lease.
    """
    with lease(work, "gc"):
        found = unused(work)
        for entry in found:
            for path in sorted(entry.files, key=lambda file: file.suffix != ".json"):
                path.unlink(missing_ok=True)
        for folder in sorted({work / entry.folder for entry in found}, key=lambda f: -len(f.parts)):
            while folder != work / "store" and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent  # noqa: PLW2901 - climbs while nothing is left
    return found


def _needed(work: Path) -> tuple[set[Path], set[Path]]:
    """Files that runs need, and folders that they need whole."""
    needed: set[Path] = set()
    folders: set[Path] = set()
    for run in runs.every(work):
        record = run.record()
        for stems in record.get("statistics", {}).values():
            needed |= {path for stem in stems for path in _files(Path(stem))}
        for entry in record.get("stages", ()):
            stems = [Path(stem) for stem in entry["parts"]]
            for step, named in entry["steps"].items():
                stems += [Path(stem) for stem in named]
                if not step.startswith(ALONE):
                    folders |= {Path(stem).parent for stem in named}
            for stem in stems:
                needed |= set(_files(stem))
        for link in ("packed", "train"):
            if (run.path / link).exists():
                folders.add((run.path / link).resolve())
    return needed, {folder.resolve() for folder in folders} | folders


def _files(stem: Path) -> Iterator[Path]:
    """The files of a result and of its sub-results; those of a damaged one as far as they can be told."""
    yield marker_path(stem)
    for suffix in (".parquet", ".arrow"):
        yield stem.with_name(stem.name + suffix)
    marker = read_marker(stem)
    if marker is None:
        return
    body: dict[str, Any] = dict(marker.body)
    named: Iterable[str] = [*body.get("files", {}), *([body["data"]] if body.get("data") else [])]
    yield from (stem.parent / name for name in named)
    for part in body.get("parts", ()):
        yield from _files(stem.parent / part)


def _unfinished(work: Path) -> float:
    """When the first of the newest runs began that are not done; infinity if the newest one is."""
    began = float("inf")
    for run in reversed(runs.every(work)):
        record = run.record()
        if record.get("state") == "done":
            break
        began = float(record.get("started", 0.0))
    return began


def render(found: list[Unused], *, removed: bool) -> str:
    """A line a folder, and the sum."""
    lines = [f"{entry.size / 1e6:10,.1f} MB  {len(entry.files):6,} files  {entry.folder}" for entry in found]
    size, files = sum(entry.size for entry in found), sum(len(entry.files) for entry in found)
    if not found:
        return "nothing to remove: runs refer to all that is stored"
    last = "removed" if removed else "that no run refers to; remove them with --yes"
    return "\n".join([*lines, f"{size / 1e6:10,.1f} MB  {files:6,} files  {last}"])
