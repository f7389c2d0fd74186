"""Arrow IPC, files and streams, record batch by record batch.

A file is a stream with a magic number in front and an index behind (Arrow columnar format, "IPC File
Format"), so both are read by walking their messages: the index is not needed, and a file that was cut off
keeps its whole batches. Only the headers of messages are parsed here, as flatbuffers; batches are decoded
by pyarrow, from a stream spliced of schema, dictionaries and the batches at hand.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stages.formats import columnar
from stages.formats.columnar import ERRORS
from stages.formats.rows import Good, Job, Record, failed
from stages.formats.streams import Damage

_MAGIC: Final = b"ARROW1\0\0"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # MessageHeader of Message.fbs
_CONTINUES: Final = 0xFFFFFFFF
_END: Final = struct.pack("<II", _CONTINUES, 0)
_HEADER_BYTES: Final = 64 << 20  # of a message's metadata: a schema of a million columns


class Message(NamedTuple):
    """A message of a stream.

    Attributes:
        kind: schema, dictionary or batch.
        start, stop: its bytes in the file.
        rows: of a batch, or entries of a dictionary.
        packed: bytes of its buffers in the file.
        unpacked: bytes that they claim to hold when decompressed.
    """

    kind: int
    start: int
    stop: int
    rows: int = 0
    packed: int = 0
    unpacked: int = 0


def messages(file: BinaryIO) -> tuple[list[Message], Damage | None]:
    """The messages of a file or stream, in order, up to its end or to where it breaks."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    at = 8 if file.read(8) == _MAGIC else 0
    found: list[Message] = []
    while at < size:
        file.seek(at)
        first, second = struct.unpack("<II", file.read(8).ljust(8, b"\0"))
        front, length = (8, second) if first == _CONTINUES else (4, first)  # before 0.15: no continuation
        if length == 0:
            return found, None
        if length > _HEADER_BYTES or at + front + length > size:
            reason = "truncated" if length <= _HEADER_BYTES else "unreadable"
            return found, Damage(reason, "the file ends inside the header of a message", at)
        file.seek(at + front)
        try:
            message = _parsed(file, file.read(length), at, at + front + length, size)
        except (struct.error, IndexError, OverflowError) as error:
            return found, Damage("unreadable", f"no Arrow message: {error}", at)
        if message.stop > size:
            return found, Damage("truncated", "the file ends inside a message", at)
        found.append(message)
        at = message.stop
    return found, None


def _parsed(file: BinaryIO, header: bytes, start: int, body: int, size: int) -> Message:
    """What a message's header says (Message.fbs): slots 1 type, 2 header, 3 length of the body."""
    root = _int(header, 0, "I")
    kind = _int(header, _slot(header, root, 1), "B")
    length = _int(header, _slot(header, root, 3), "q") if _slot(header, root, 3) else 0
    if length < 0 or kind not in {_SCHEMA, _DICTIONARY, _BATCH}:
        raise IndexError(f"type {kind}, {length} bytes")
    if kind == _SCHEMA or body + length > size:
        return Message(kind, start, body + length)
    batch = _follow(header, _slot(header, root, 2))
    if kind == _DICTIONARY:  # an id, and a batch of one column
        batch = _follow(header, _slot(header, batch, 1))
    rows = _int(header, _slot(header, batch, 0), "q") if _slot(header, batch, 0) else 0
    if rows < 0:
        raise IndexError(f"{rows} rows")
    unpacked = length
    if _slot(header, batch, 3):  # compressed: each buffer begins with what it holds, -1 if it is as it is
        vector = _follow(header, _slot(header, batch, 2))
        unpacked = 0
        for place in range(_int(header, vector, "I")):
            offset, packed = struct.unpack_from("<qq", header, vector + 4 + 16 * place)
            if not 0 <= offset <= offset + packed <= length:
                raise IndexError(f"a buffer at {offset} of {length}")
            if packed > 8:
                file.seek(body + offset)
                (claimed,) = struct.unpack("<q", file.read(8))
                unpacked += packed if claimed < 0 else claimed
    return Message(kind, start, body + length, rows, length, unpacked)


def _int(header: bytes, at: int, code: str) -> int:
    value: int = struct.unpack_from(f"<{code}", header, at)[0]
    return value


def _follow(header: bytes, at: int) -> int:
    return at + _int(header, at, "I")


def _slot(header: bytes, table: int, slot: int) -> int:
    """Where a table's field lies; 0 if it is absent."""
    fields = table - _int(header, table, "i")
    if 4 + 2 * slot >= _int(header, fields, "H"):
        return 0
    offset = _int(header, fields + 4 + 2 * slot, "H")
    return table + offset if offset else 0


def batch_rows(file: BinaryIO) -> list[tuple[int, int]]:
    """Rows and bytes of each record batch."""
    return [(one.rows, one.unpacked) for one in messages(file)[0] if one.kind == _BATCH]


def read_arrow(file: BinaryIO, job: Job, start: int, stop: int, first: int) -> Iterator[Record | Good]:
    """The rows of record batches [start, stop); `first` is the number of the first row of them.

    What breaks behind the last whole message is told once, by the range that reads to the end.
    """
    found, damage = messages(file)
    batches = [one for one in found if one.kind == _BATCH]
    total = sum(one.rows for one in batches)
    number = first
    if found and found[0].kind == _SCHEMA:
        reader = _Reader(file, found, job)
        for message in batches[start : None if stop < 0 else stop]:
            yield from _batch(reader, message, number, job, total)
            number += message.rows
    elif damage is None:
        damage = Damage("unreadable", "no schema in front: not Arrow IPC", 0)
    if damage and stop < 0:
        yield failed(number, damage.reason, damage.detail, damage.offset)


def _batch(reader: _Reader, message: Message, first: int, job: Job, total: int) -> Iterator[Record | Good]:
    """The rows of one record batch, as long as they stay within its budget."""
    limit = columnar.allowed(job, message.packed, message.rows, total)
    if message.unpacked > limit or reader.bombs(message):
        detail = f"{message.unpacked} bytes out of {message.packed}, or a dictionary like that"
        yield failed(first, "bomb", detail, message.start)
        return
    try:
        if missing := columnar.no_text(job, reader.names()):
            yield from columnar.lost(first, message.rows, "no_text", missing, limit)
            return
        batch = reader.read(message)
        for column in batch.columns:
            _check(column)
    except ERRORS as error:
        reader.close()
        yield from columnar.lost(first, message.rows, "unreadable", str(error), limit)
        return
    yield from columnar.records(batch, first, job, limit)


class _Reader:
    """Decodes record batches in their order, each dictionary once."""

    def __init__(self, file: BinaryIO, found: Sequence[Message], job: Job) -> None:
        self._file, self._job, self._schema = file, job, found[0]
        self._dictionaries = [one for one in found if one.kind == _DICTIONARY]
        self._bombs = [
            one for one in self._dictionaries if one.unpacked > columnar.allowed(job, one.packed, 1, 1)
        ]
        self._stream = _Spliced(file, [])
        self._reader: pa.ipc.RecordBatchStreamReader | None = None
        self._at = 0

    def names(self) -> list[str]:
        """The columns."""
        names: list[str] = pa.ipc.open_stream(_Spliced(self._file, [self._schema])).schema.names
        return names

    def bombs(self, message: Message) -> bool:
        """Whether a dictionary in front of a batch claims more than it may hold."""
        return any(one.start < message.start for one in self._bombs)

    def read(self, message: Message) -> pa.RecordBatch:
        """A batch, with the columns that are wanted."""
        if self._reader is None:
            names = self.names()
            chosen = [names.index(name) for name in columnar.wanted(self._job, names)]
            self._stream, self._at = _Spliced(self._file, [self._schema]), 0
            self._reader = pa.ipc.open_stream(
                self._stream, options=pa.ipc.IpcReadOptions(included_fields=chosen)
            )
        new = [one for one in self._dictionaries if self._at <= one.start < message.start]
        self._stream.add([*new, message])
        self._at = message.stop
        return self._reader.read_next_batch()

    def close(self) -> None:
        """Forgets what was read: the next batch begins anew, dictionaries first."""
        self._reader = None


_RAW: Final = (
    (pa.types.is_string, pa.binary()),
    (pa.types.is_large_string, pa.large_binary()),
    (pa.types.is_string_view, pa.binary_view()),
)


def _check(column: pa.Array) -> None:
    """Looks at every offset and code before anything follows them; strings may be no UTF-8, row by row.

    Raises:
        pa.ArrowInvalid, ValueError, KeyError: buffers are too short or point outside of themselves; names are no text.
    """
    column.validate()
    kind = column.type
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            _check(column.field(kind.field(index).name))
    elif pa.types.is_dictionary(kind):
        _check(column.dictionary)
        least, most = pc.min_max(column.indices).values()
        if least.is_valid and not 0 <= least.as_py() <= most.as_py() < len(column.dictionary):
            raise pa.ArrowInvalid(f"codes {least} to {most} of a dictionary of {len(column.dictionary)}")
    else:
        raw = next((raw for test, raw in _RAW if test(kind)), None)
        (column.view(raw) if raw else column).validate(full=True)


class _Spliced(io.RawIOBase):
    """A stream of these messages of a file, and no others."""

    def __init__(self, file: BinaryIO, parts: Sequence[Message]) -> None:
        self._file = file
        self._left: list[tuple[int, int]] = []
        self._end = io.BytesIO(_END)
        self.add(parts)

    def add(self, parts: Sequence[Message]) -> None:
        """What comes next."""
        self._left += [(part.start, part.stop) for part in parts]

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """The next bytes."""
        if not self._left:
            return self._end.readinto(buffer)
        start, stop = self._left[0]
        self._file.seek(start)
        data = self._file.read(min(len(buffer), stop - start))
        buffer[: len(data)] = data
        self._left[0] = (start + len(data), stop)
        if start + len(data) == stop or not data:
            self._left.pop(0)
        return len(data)
