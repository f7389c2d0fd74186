"""Files that a recipe attaches to a stage: lists, models, benchmarks. Read once a worker, as long as they stay as they are.

What stands in them is the business of the stage; that their content decides its key, the pipeline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.base import StageError

__all__ = ["Stamped", "listed", "names", "stamped"]

Stamped = tuple[tuple[Path, int, int], ...]
"""Files with their sizes and times of change (ns): a worker lives longer than the content of a list."""


def stamped(paths: Sequence[Path]) -> Stamped:
    """The files with what tells that their content is another; zeros for one that opening will not find."""
    found = ((path, path.stat() if path.exists() else None) for path in paths)
    return tuple((path, stat.st_size, stat.st_mtime_ns) if stat else (path, 0, 0) for path, stat in found)


def listed(files: Stamped, what: str) -> list[str]:
    """The lines of list files, stripped, without blank ones and comments.

    Raises:
        StageError: a file is not UTF-8, or all are empty.
    """
    found = []
    for path, _, _ in files:
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise StageError(f"clean: {what} {path} is not UTF-8 ({error}); convert it") from error
        lines = (line.strip() for line in content.split("\n"))
        found += [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise StageError(f"clean: {what} {names(files)} holds no words; give one a line")
    return found


def names(files: Stamped) -> str:
    """Their paths, for messages."""
    return ", ".join(str(path) for path, _, _ in files)
