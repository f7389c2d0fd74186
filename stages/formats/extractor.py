"""The child process in which pages are parsed, and the parent's end of it.

Run as a script it reads pages from standard input and writes text to standard output; imported, it offers
`Extractor`, which keeps such a child. A page that makes native code crash, loop or take too much memory ends
the child, which costs that page: the next page gets a new child. Pages are UTF-8, framed by 8-byte lengths.

Time is the child's own CPU time, so that a busy machine changes no result; only a child that sleeps for ever is
ended by the clock.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

SECONDS: Final = 10
"""CPU seconds that a page may take."""

PATIENCE: Final = 60
"""Seconds on the clock for each CPU second that a page may take."""

MEMORY: Final = 3 << 30
"""Bytes of address space that the child may take."""

# glibc keeps what a page took for the next: a page fault for every 4 kB of every page is an eighth of the time.
_KEPT: Final = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}
_LENGTH: Final = struct.Struct("<q")
_FAILED: Final = -1


class Extractor:
    """Turns pages into text in a child process; use it as a context.

    Args:
        name: `article`, `resiliparse` or `trafilatura`.
        seconds: CPU seconds that a page may take.
    """

    def __init__(self, name: str, seconds: int = SECONDS) -> None:
        self._arguments = [name, str(seconds)]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def text(self, page: str | bytes) -> str | None:
        """Main text of a page (bytes: UTF-8); None if it cannot be had."""
        child = self._child or self._start()
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the extractor has no pipes")
        data = page.encode("utf-8", "replace") if isinstance(page, str) else page
        try:
            rest = memoryview(_LENGTH.pack(len(data)) + data)
            while rest:  # in one piece, where the pipe takes it: each piece would wake the child
                rest = rest[os.write(child.stdin.fileno(), rest) :]
        except BrokenPipeError:
            self.close()
            return None
        answer = _receive(child.stdout)
        if answer is None:
            self.close()
            return None
        return answer[1].decode() if answer[0] else None

    def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child:
            child.kill()
            child.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__)), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_KEPT, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.DEVNULL,
        )
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe and hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: fewer switches between the two processes
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        if self._child.stdout is None or _receive(self._child.stdout) is None:
            self.close()
            raise RuntimeError(
                f"the extractor {self._arguments[0]!r} does not start; see what "
                f"`{sys.executable} -P {__file__} {' '.join(self._arguments)}` says"
            )
        return self._child


def _receive(stream: IO[bytes]) -> tuple[bool, bytes] | None:
    """One frame: whether it holds an answer, and the bytes; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    if size == _FAILED:
        return False, b""
    data = stream.read(size)
    return (True, data) if len(data) == size else None


def _function(name: str) -> Callable[[str], str]:
    if name == "trafilatura":
        from trafilatura import extract  # noqa: PLC0415 - optional, slow to import

        return lambda page: extract(page, favor_precision=True) or ""
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415 - the parent needs none of it

    main = partial(extract_plain_text, main_content=True, alt_texts=False, comments=False, post_meta=False)
    if name == "resiliparse":
        return partial(main, links=False)
    from stages.formats.article import article, listings_freed  # noqa: PLC0415 - likewise

    return lambda page: article(main(listings_freed(page), links=True, preserve_formatting="minimal_html"))


def main() -> None:
    """Answers pages until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    extract, seconds = _function(sys.argv[1]), float(sys.argv[2])
    out = sys.stdout.buffer
    out.write(_LENGTH.pack(0))  # ready
    out.flush()
    while (frame := _receive(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # not caught: SIGPROF ends the process, as does SIGALRM
        signal.setitimer(signal.ITIMER_REAL, seconds * PATIENCE)
        try:
            data = extract(frame[1].decode()).encode("utf-8", "replace")
        except Exception:  # noqa: BLE001 - whatever a page does to the extractor costs this page
            out.write(_LENGTH.pack(_FAILED))
        else:
            out.write(_LENGTH.pack(len(data)) + data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        out.flush()


if __name__ == "__main__":
    main()
