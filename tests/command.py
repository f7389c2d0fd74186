"""Runs the `gristmill` command as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]
HOME = Path(__file__).parent.parent


def gristmill(
    *arguments: str | Path, expect: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The finished command; its exit code must be `expect` (None: any)."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **surroundings(**environment),
    )
    said = f"\n{done.stdout}\n{done.stderr}"
    assert expect is None or done.returncode == expect, said
    return done


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    """The command, running, in a session of its own so that its workers can be killed with it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **surroundings(**environment),
    )


def surroundings(**environment: str) -> dict[str, Any]:
    """Environment and folder for a process that shall find this checkout's packages."""
    path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(HOME)]).strip(os.pathsep)
    return {"env": {**os.environ, "PYTHONPATH": path, **environment}, "cwd": Path.cwd()}
