"""Regular files, decompressed in blocks of bounded size; damage is reported and passed over.

gzip, Zstandard, bzip2 and xz are told apart by their first bytes, whatever the name says. All four are
sequences of members (RFC 1952 §2.2, RFC 8878 §3): behind a broken member, or bytes of none, reading resumes
at the next one that starts plausibly. Does not know lines, records or formats.
"""

from __future__ import annotations

import bz2
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK: Final = 1 << 20
"""Bytes of one block, decompressed."""

_RAW: Final = 1 << 16
SLACK: Final = 64 << 20
"""Bytes that a stream may always deliver before its ratio is looked at."""


class Damage(NamedTuple):
    """A place where a stream is broken: what follows does not continue what came before."""

    reason: str
    detail: str
    offset: int
    """Byte in the file as stored."""


Block = bytes | Damage


class NotRegularError(OSError):
    """The path names a directory, FIFO, socket or device."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of its three siblings."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = BLOCK) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Codec(NamedTuple):
    start: re.Pattern[bytes]
    new: Callable[[], _Decoder]


_CODECS: Final[tuple[_Codec, ...]] = (
    _Codec(re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL), _Gzip),
    _Codec(re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL), zstd.ZstdDecompressor),
    _Codec(
        re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)", re.DOTALL),
        bz2.BZ2Decompressor,
    ),
    _Codec(re.compile(rb"\xfd7zXZ\x00", re.DOTALL), lambda: lzma.LZMADecompressor(memlimit=512 << 20)),
)
_ERRORS: Final = (zlib.error, zstd.ZstdError, lzma.LZMAError, OSError, ValueError, EOFError)


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a regular file without waiting on anything else.

    Raises:
        NotRegularError: a FIFO, socket, device or directory lies there.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def compressed(head: bytes) -> bool:
    """Whether these first bytes begin a compressed stream that `blocks` undoes."""
    return any(codec.start.match(head) for codec in _CODECS)


def blocks(file: BinaryIO, max_ratio: int) -> Iterator[Block]:
    """The content of a file from where it stands, decompressed, in blocks of at most `BLOCK` bytes.

    Args:
        file: a file at its beginning.
        max_ratio: a stream that delivers more than this many bytes for each one read, beyond 64 MiB, is
            given up as a bomb.

    Yields:
        Blocks, and `Damage` (`truncated`, `unreadable`, `bomb`) where the stream breaks.
    """
    head = file.read(16)
    file.seek(0)
    for codec in _CODECS:
        if codec.start.match(head):
            yield from _even(_members(file, codec, max_ratio))
            return
    while block := file.read(BLOCK):
        yield block


def _even(stream: Iterator[Block]) -> Iterator[Block]:
    """Blocks of exactly `BLOCK` bytes up to the end or damage, however a library hands them out."""
    held: list[bytes] = []
    size = 0
    for block in stream:
        if isinstance(block, Damage):
            if size:
                yield b"".join(held)
            yield block
            held, size = [], 0
            continue
        held.append(block)
        size += len(block)
        if size >= BLOCK:
            whole = b"".join(held)
            yield whole[:BLOCK]
            held, size = [whole[BLOCK:]], size - BLOCK
    if size:
        yield b"".join(held)


def _members(file: BinaryIO, codec: _Codec, max_ratio: int) -> Iterator[Block]:
    """The members of a compressed file, one after another."""
    raw = _Raw(file)
    delivered = 0
    while raw.at_member(codec.start) or (yield from _strays(raw, codec.start)):
        begin = raw.offset
        decoder = codec.new()
        try:
            while not decoder.eof:
                chunk = raw.take() if decoder.needs_input else b""
                if decoder.needs_input and not chunk:
                    yield Damage("truncated", "the file ends inside a compressed member", raw.offset)
                    return
                if block := decoder.decompress(chunk, BLOCK):
                    delivered += len(block)
                    yield block
                if delivered > SLACK + max_ratio * raw.offset:
                    yield Damage("bomb", f"{delivered} bytes out of {raw.offset}", begin)
                    return
        except _ERRORS as error:
            yield Damage("unreadable", f"broken compressed member: {error}", begin)
            raw.back_to(begin + 1)
            if not raw.seek_member(codec.start):
                return
            continue
        raw.give_back(decoder.unused_data)


def _strays(raw: _Raw, start: re.Pattern[bytes]) -> Generator[Block, None, bool]:
    """Reports bytes that belong to no member and passes them over; whether a member follows."""
    if not raw.rest():
        return False
    yield Damage("unreadable", "bytes that belong to no compressed member", raw.offset)
    return raw.seek_member(start)


class _Raw:
    """A file with one block of look-ahead; `offset` is the next byte to take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = b""
        self.offset = 0

    def _fill(self) -> bool:
        more = self._file.read(_RAW)
        self._ahead += more
        return bool(more)

    def take(self) -> bytes:
        """The next block, empty at the end of the file."""
        if not self._ahead:
            self._fill()
        block, self._ahead = self._ahead, b""
        self.offset += len(block)
        return block

    def give_back(self, data: bytes) -> None:
        """Undoes the taking of the last bytes."""
        self._ahead = data + self._ahead
        self.offset -= len(data)

    def back_to(self, offset: int) -> None:
        """Next comes the byte at `offset` again."""
        self._file.seek(offset)
        self._ahead = b""
        self.offset = offset

    def at_member(self, start: re.Pattern[bytes]) -> bool:
        """Whether a member begins here, after zero padding (gzip, xz)."""
        while True:
            if len(self._ahead) < 16:
                self._fill()
            trimmed = self._ahead.lstrip(b"\0")
            self.offset += len(self._ahead) - len(trimmed)
            self._ahead = trimmed
            if len(trimmed) >= 16 or not self._fill():
                return start.match(self._ahead) is not None

    def seek_member(self, start: re.Pattern[bytes]) -> bool:
        """Moves to the next place that looks like the beginning of a member."""
        while True:
            found = start.search(self._ahead)
            if found:
                self.offset += found.start()
                self._ahead = self._ahead[found.start() :]
                return True
            keep = self._ahead[-16:]
            self.offset += len(self._ahead) - len(keep)
            self._ahead = keep
            if not self._fill():
                return False

    def rest(self) -> bool:
        """Whether anything is left."""
        return bool(self._ahead) or self._fill()
