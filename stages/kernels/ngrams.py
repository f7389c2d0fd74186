"""n-grams of match tokens: which windows of a text are in an index of grams, of whatever lengths.

The hash of a gram is `finish` of the polynomial over its tokens' hashes (`units`), salted with its length.
Sums over all prefixes of a text give any window's hash in two operations, so grams of many lengths cost one
look at each place: every gram is filed under its head, the first few tokens; a bitmap turns away nearly all
places, and only under a known head are the lengths tried that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from stages.kernels.lengths import LONGEST, Rules
from stages.kernels.units import characters, finish, hashes, spans

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

_BASE: Final = np.uint64(0xA24BAED4963EE407)


@nb.njit(cache=True, nogil=True)
def _powers() -> U64:
    powers = np.ones(LONGEST + 1, np.uint64)
    for k in range(LONGEST):
        powers[k + 1] = powers[k] * _BASE
    return powers


@nb.njit(cache=True, nogil=True)
def _prefixes(tokens: U64, count: int, out: U64) -> None:
    out[0] = 0
    for k in range(count):
        out[k + 1] = out[k] * _BASE + tokens[k]


@nb.njit(cache=True, nogil=True)
def _window(prefixes: U64, at: int, length: int, powers: U64) -> np.uint64:
    value: np.uint64 = prefixes[at + length] - prefixes[at] * powers[length]
    return value


@nb.njit(cache=True, nogil=True)
def _gram(prefixes: U64, at: int, length: int, powers: U64) -> np.uint64:
    value: np.uint64 = finish(_window(prefixes, at, length, powers) ^ nb.uint64(length))
    return value


@nb.njit(cache=True, nogil=True)
def _slot(keys: U64, key: np.uint64) -> int:
    """Where a key is, or belongs, in an open-addressed table with a power of two of slots; 0 is free."""
    slot: int = nb.int64(key & nb.uint64(len(keys) - 1))
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@dataclass(frozen=True)
class Table:
    """Grams to look for.

    Attributes:
        grams: uint64[], sorted, unique.
        slots, places: the grams as an open-addressed table, and where each is in `grams`.
        heads, lengths: open-addressed heads, and as bits the lengths (less one) of the grams under each.
        bits: bitmap over the upper bits of the heads' windows.
        head: tokens in a head.
    """

    grams: U64
    slots: U64
    places: I32
    heads: U64
    lengths: U64
    bits: U64
    head: int

    def find(self, grams: U64) -> I32:
        """Places in `grams` of grams that are there."""
        out = np.empty(len(grams), np.int32)
        _find(grams, self.slots, self.places, out)
        return out


@nb.njit(cache=True, nogil=True)
def _grams_of(
    data: U8,
    offsets: I64,
    seams: I64,
    table: U32,
    n: int,
    short: int,
    n_cjk: int,
    short_cjk: int,
    head: int,
    grams: U64,
    windows: U64,
    lengths: I32,
    owners: I32,
    starts: I32,
    distinct: I32,
    tokens_of: I32,
    ignored: U64,
) -> int:
    powers = _powers()
    longest = nb.int64(0)
    for text in range(len(seams)):
        longest = max(longest, offsets[text + 1] - offsets[text])
    tokens = np.empty(longest + 1, np.uint64)
    prefixes = np.empty(longest + 2, np.uint64)
    letters = np.empty(3 * longest + 8, np.uint8)
    found = 0
    for text in range(len(seams)):
        start, stop, seam = offsets[text], offsets[text + 1], 0
        if seams[text] > 0:
            seam, _, _ = hashes(data, start, start + seams[text], table, tokens, letters)
        count, alone, _ = hashes(data, start, stop, table, tokens, letters)
        tokens_of[text] = count
        _prefixes(tokens, count, prefixes)
        length, least = (n_cjk, short_cjk) if alone * 2 > count else (n, short)
        if count < least:
            continue
        length = min(length, count)
        first, last = 0, count - length
        if seams[text] >= 0:
            first, last = max(0, seam - length + 1), min(seam - 1, count - length)
        for at in range(first, last + 1):
            grams[found] = _gram(prefixes, at, length, powers)
            windows[found] = _window(prefixes, at, head, powers)
            lengths[found] = length
            owners[found] = text
            starts[found] = at
            different = 0
            for k in range(at, at + length):
                new = ignored[_slot(ignored, tokens[k])] == 0
                for earlier in range(at, k):
                    if tokens[earlier] == tokens[k]:
                        new = False
                        break
                different += new
            distinct[found] = different
            found += 1
    return found


@cache
def _numbers() -> U64:
    """The hashes of the tokens "0" to "9999", as an open-addressed table: uint64[32768]."""
    data = np.frombuffer(" ".join(map(str, range(10_000))).encode(), np.uint8)
    tokens = np.empty(len(data) + 1, np.uint64)
    count, _, _ = hashes(data, 0, len(data), characters(), tokens, np.empty(3 * len(data) + 8, np.uint8))
    slots = np.zeros(1 << 15, np.uint64)
    _file(tokens[:count], slots, np.empty(len(slots), np.int32))
    return slots


@dataclass(frozen=True)
class Grams:
    """The grams of some texts.

    Attributes:
        grams: uint64[found], hashes; repetitions are possible.
        windows: uint64[found], of their heads.
        lengths: int32[found], tokens.
        owners: int32[found], the text of each.
        starts: int32[found], its first token there.
        distinct: int32[found], different tokens in it; numbers do not count.
        tokens: int32[texts], tokens of each text.
    """

    grams: U64
    windows: U64
    lengths: I32
    owners: I32
    starts: I32
    distinct: I32
    tokens: I32


def grams_of(data: U8, offsets: I64, seams: I64, rules: Rules) -> Grams:
    """The grams of NFC texts, as the rules have it.

    Args:
        data: uint8[], UTF-8.
        offsets: int64[texts + 1].
        seams: int64[texts]; where two texts were joined, the bytes of the first, and only grams that reach
            across are taken; -1 elsewhere.
        rules: what is taken.
    """
    room = int(offsets[-1] - offsets[0]) + 1
    grams, windows = np.empty(room, np.uint64), np.empty(room, np.uint64)
    lengths, owners, starts, distinct = (np.empty(room, np.int32) for _ in range(4))
    tokens = np.zeros(len(seams), np.int32)
    sizes = (rules.n, rules.short, rules.n_cjk, rules.short_cjk, rules.head)
    columns = (grams, windows, lengths, owners, starts, distinct)
    found = _grams_of(data, offsets, seams, characters(), *sizes, *columns, tokens, _numbers())
    return Grams(
        grams[:found],
        windows[:found],
        lengths[:found],
        owners[:found],
        starts[:found],
        distinct[:found],
        tokens,
    )


@nb.njit(cache=True, nogil=True)
def _file(grams: U64, slots: U64, places: I32) -> None:
    for k in range(len(grams)):
        slot = _slot(slots, grams[k])
        slots[slot] = grams[k]
        places[slot] = k


@nb.njit(cache=True, nogil=True)
def _file_heads(windows: U64, lengths: I32, heads: U64, masks: U64, bits: U64, shift: int) -> None:
    for k in range(len(windows)):
        key = finish(windows[k])
        slot = _slot(heads, key)
        heads[slot] = key
        masks[slot] |= nb.uint64(1) << nb.uint64(lengths[k] - 1)
        bit = windows[k] >> nb.uint64(shift)
        bits[bit >> nb.uint64(6)] |= nb.uint64(1) << (bit & nb.uint64(63))


@nb.njit(cache=True, nogil=True)
def _find(grams: U64, slots: U64, places: I32, out: I32) -> None:
    for k in range(len(grams)):
        out[k] = places[_slot(slots, grams[k])]


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct values, sorted (`np.unique` of NumPy 2.3 hashes them first, which takes ten times as long)."""
    found = np.sort(values)
    if len(found):
        found = found[np.append(True, found[1:] != found[:-1])]
    return found


def table_of(found: Grams, head: int) -> Table:
    """The grams, filed."""
    grams = distinct(found.grams)
    size = 1 << max(6, (4 * len(grams) // 3).bit_length())  # three quarters full at most
    slots, places = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    _file(grams, slots, places)
    heads, masks = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    bits = np.zeros(size // 4, np.uint64)  # 16 bits a slot, 21 and more a gram
    _file_heads(found.windows, found.lengths, heads, masks, bits, 64 - (size * 16).bit_length() + 1)
    return Table(grams, slots, places, heads, masks, bits, head)


@nb.njit(cache=True, nogil=True)
def _scan(
    data: U8,
    offsets: I64,
    characters_: U32,
    slots: U64,
    places: I32,
    heads: U64,
    masks: U64,
    bits: U64,
    shift: int,
    head: int,
    out: I64,
) -> int:
    powers = _powers()
    longest = nb.int64(0)
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    tokens = np.empty(longest + 1, np.uint64)
    prefixes = np.empty(longest + 2, np.uint64)
    letters = np.empty(3 * longest + 8, np.uint8)
    found = 0
    for row in range(len(offsets) - 1):
        count, _, _ = hashes(data, offsets[row], offsets[row + 1], characters_, tokens, letters)
        _prefixes(tokens, count, prefixes)
        for at in range(count - head + 1):
            window = _window(prefixes, at, head, powers)
            bit = window >> nb.uint64(shift)
            if not (bits[bit >> nb.uint64(6)] >> (bit & nb.uint64(63))) & nb.uint64(1):
                continue
            slot = _slot(heads, finish(window))
            lengths = masks[slot]
            length = head
            lengths >>= nb.uint64(head - 1)
            while lengths and at + length <= count:
                if lengths & nb.uint64(1):
                    gram = _slot(slots, _gram(prefixes, at, length, powers))
                    if slots[gram] != 0:
                        if found < len(out):
                            out[found, 0], out[found, 1] = row, at
                            out[found, 2], out[found, 3] = length, places[gram]
                        found += 1
                lengths >>= nb.uint64(1)
                length += 1
    return found


def scan(data: U8, offsets: I64, table: Table) -> I64:
    """All windows of NFC texts that the table knows.

    Returns:
        int64[found, 4]: row of the text, first token, tokens, place in `table.grams`; ordered by the first
        two.
    """
    shift = 64 - (len(table.bits) * 64).bit_length() + 1
    out = np.empty((4096, 4), np.int64)
    while True:
        found = _scan(
            data,
            offsets,
            characters(),
            table.slots,
            table.places,
            table.heads,
            table.lengths,
            table.bits,
            shift,
            table.head,
            out,
        )
        if found <= len(out):
            return out[:found]
        out = np.empty((found, 4), np.int64)


def spans_of(data: U8, start: int, stop: int) -> I64:
    """[start, end) in characters of each match token of one NFC text: int64[tokens, 2]."""
    out = np.empty((stop - start, 2), np.int64)
    return out[: spans(data, start, stop, characters(), out)]
