"""Which files belong to a source, what they are called, and the digests that name their content.

Nothing is opened but regular files inside the source's root: what leads out of it, FIFOs and devices are
found and refused with a reason, so that they appear in quarantine instead of vanishing.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from stages.base import InputFile
from stages.formats.spec import SourceSpec, kind_of_name
from stages.formats.streams import BLOCK, open_regular

REFUSED: Final = frozenset({"outside_root", "not_regular"})
"""Values of `InputFile.sha256` for paths that were found but must not be opened."""


class NoFilesError(ValueError):
    """A pattern of a source matches nothing; `place` is its position among the source's paths."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


class Found(NamedTuple):
    """A file of a source."""

    name: str
    path: Path
    refused: str | None = None
    """Why it must not be opened (`outside_root`, `not_regular`)."""


def discover(spec: SourceSpec, base: Path) -> list[Found]:
    """The files of a source, sorted by name, each once.

    A name is the path relative to `root`; without a `root`, relative to `base` where the pattern lies
    inside it, else to the directory that all such patterns share. So adding a pattern renames nothing
    within `base`. A file must lie inside `root`, else inside its own pattern's directory, after links
    are followed. Hidden files are left out unless a pattern names them.

    Args:
        spec: the source.
        base: directory that patterns are relative to (the recipe's).

    Raises:
        NoFilesError: a pattern matches nothing; the message names it.
    """
    base = Path(os.path.abspath(base))  # noqa: PTH100 - resolve() would follow links
    patterns = [os.path.normpath(base / pattern) for pattern in spec.paths]
    fixed = [_fixed(pattern) for pattern in patterns]
    root = Path(os.path.normpath(base / spec.root)) if spec.root else None
    outer = [str(start) for start in fixed if not start.is_relative_to(base)]
    common = Path(os.path.commonpath(outer)) if outer else base
    files: dict[str, Found] = {}
    for pattern, written, start in zip(patterns, spec.paths, fixed, strict=True):
        inside = root or start
        prefix = root or (base if start.is_relative_to(base) else common)
        before = len(files)
        known = False
        for path in _matches(pattern):
            known = True
            name = Path(os.path.relpath(path, prefix)).as_posix()
            files.setdefault(name, Found(name, path, _refusal(path, inside)))
        if not known and len(files) == before:
            raise NoFilesError(
                f"source {spec.name!r}: nothing matches {written!r} (looked at {pattern}); "
                "paths are relative to the recipe, directories are searched for known extensions",
                spec.paths.index(written),
            )
    return [files[name] for name in sorted(files)]


def _fixed(pattern: str) -> Path:
    """The directory in front of the first wildcard, or of the file."""
    path = Path(pattern)
    if not glob.has_magic(pattern):
        return path if path.is_dir() else path.parent
    parts: list[str] = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def _matches(pattern: str) -> Iterator[Path]:
    """Paths that a pattern names; a directory stands for the files of known formats below it."""
    for match in sorted(_glob(pattern)) if glob.has_magic(pattern) else [pattern]:
        path = Path(match)
        if path.is_dir():
            if not glob.has_magic(pattern) or not path.is_symlink():
                yield from _walk(path)
        elif os.path.lexists(path):
            yield path


def _glob(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob would take hidden files


def _walk(folder: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and kind_of_name(name).format:
                yield Path(directory, name)


def _refusal(path: Path, inside: Path) -> str | None:
    """Why a path must not be opened; None if it may."""
    try:
        if not path.resolve().is_relative_to(inside.resolve()):
            return "outside_root"
        return None if stat.S_ISREG(path.stat().st_mode) else "not_regular"
    except (OSError, RuntimeError):  # links in a circle are a RuntimeError before Python 3.13
        return "not_regular"


def examine(found: Found, source: str, step: int) -> InputFile:
    """A file with its size, digest and line counts; refused paths carry their reason for a digest."""
    path = str(found.path)
    if found.refused:
        return InputFile(source, path, found.name, 0, found.refused)
    sha256, size, lines = digest(found.path, step)
    return InputFile(source, path, found.name, size, sha256, lines)


def digest(path: Path, step: int) -> tuple[str, int, tuple[int, ...]]:
    """SHA-256, size, and the line feeds before each multiple of `step` in the file, in one pass.

    Raises:
        OSError: the file cannot be read.
    """
    state = hashlib.sha256()
    counts: list[int] = []
    total = size = 0
    with open_regular(path) as file:
        while block := file.read(min(BLOCK, step - size % step)):
            if size % step == 0:
                counts.append(total)
            state.update(block)
            total += block.count(b"\n")
            size += len(block)
    return state.hexdigest(), size, tuple(counts)
