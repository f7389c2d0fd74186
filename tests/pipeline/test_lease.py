"""One driver at a time: the second is told who the first is, and a dead one holds nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import Locked
from pipeline.lease import lease

HOLD = """
import sys, time
from pathlib import Path
from pipeline.lease import lease
with lease(Path(sys.argv[1]), "run demo"):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(work: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(work)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_driver_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The message names process and purpose; the exit code is 4."""
    process = _holder(tmp_path)
    try:
        with (
            pytest.raises(Locked, match=rf"process {process.pid} on .* run demo") as caught,
            lease(tmp_path, "x"),
        ):
            pass
        assert caught.value.exit_code == 4
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def test_a_killed_driver_holds_nothing(tmp_path: Path) -> None:
    """After SIGKILL the lease is free at once."""
    process = _holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    began = time.monotonic()
    with lease(tmp_path, "again"):
        assert time.monotonic() - began < 1


def test_the_lease_is_free_after_an_error(tmp_path: Path) -> None:
    """An exception inside lets go of the lease."""
    with pytest.raises(ValueError, match="inside"), lease(tmp_path, "x"):
        raise ValueError("inside")
    with lease(tmp_path, "y"):
        pass
