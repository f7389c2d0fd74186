"""One driver at a time in a folder of results.

The lease is a file lock, which the operating system lets go of when its holder dies, however it dies, and a
note beside it that says who holds it. Workers take no lease: what they publish is put-if-absent.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import InfrastructureFailed, Locked


@contextmanager
def lease(work: Path, purpose: str) -> Iterator[None]:
    """Holds the lease of a folder of results.

    Args:
        work: the folder; made if it is not there.
        purpose: what the note says the holder is doing.

    Raises:
        Locked: another driver holds it; the message names its host, process and purpose.
        InfrastructureFailed: the folder cannot be made or locked.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle = os.open(work / "lease", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InfrastructureFailed(f"cannot work in {work}: {error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(
                f"{work} is in use: {_holder(handle)}. Wait for it, stop it, or choose another folder with --work."
            ) from error
        note = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": purpose,
        }
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(note).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return "by a driver that has just started"
    return f"process {note['pid']} on {note['host']} is at {note['purpose']} since {note['since']}"
