"""Kernels: arrays in, arrays out, compiled by Numba. They know neither Arrow tables nor stages.

Each kernel stands beside a slow reference or a library in its test, which is its specification.

Numba keeps compiled kernels beside their sources and compiles one anew when its own file changes, but not when
a kernel of another file that it calls does. So whatever is older than the newest source is removed here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_stale"]


def forget_stale(folder: Path) -> None:
    """Removes compiled kernels of a folder that are older than its newest source.

    What may not be removed stays: an installation that nobody may write to has its compiled kernels elsewhere,
    and gets all of its sources at once.
    """
    newest = max(
        (entry.stat().st_mtime_ns for entry in os.scandir(folder) if entry.name.endswith(".py")), default=0
    )
    with suppress(OSError):
        for entry in os.scandir(folder / "__pycache__"):
            if entry.name.endswith((".nbi", ".nbc")) and entry.stat().st_mtime_ns < newest:
                Path(entry).unlink()


forget_stale(Path(__file__).parent)
