"""Bytes to text: byte order marks, declared encodings, and detection where nothing is declared.

Detection is by evidence, in this order: byte order mark; valid UTF-8; UTF-16 by its control bytes; the East
Asian encodings by how many of their characters are everyday ones (GB 2312, Big5, KS X 1001 and JIS X 0208
each put those into their first level); single-byte encodings by resiliparse; cp1252. Labels mean what the
WHATWG Encoding Standard says (`gb2312` is GB18030, `iso-8859-1` is cp1252).
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from resiliparse.parse.encoding import detect_encoding

from stages.formats.streams import Block

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_LABELS: Final = {
    label: name
    for name, labels in {
        "gb18030": "gb2312 gbk x-gbk gb_2312-80 chinese",
        "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms932",
        "cp949": "euc-kr euckr ks_c_5601-1987 korean",
        "big5hkscs": "big5 big5-hkscs x-x-big5",
        "cp1252": "iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 us-ascii ascii",
        "cp1254": "iso-8859-9 latin5",
        "cp874": "tis-620 iso-8859-11 iso8859-11",
        "utf-8": "utf8 unicode",
        "utf-16-le": "utf-16",
    }.items()
    for label in labels.split()
}
_NO_CHARSETS: Final = frozenset(
    {
        "charmap",
        "idna",
        "mbcs",
        "oem",
        "punycode",
        "raw-unicode-escape",
        "undefined",
        "unicode-escape",
        "utf-7",
    }
)
"""Text codecs of Python's that no document is written in; UTF-7 is one that only attacks are."""
_SAMPLE: Final = 1 << 17
_CONTROLS: Final = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_LATIN2: Final = re.compile(rb"[a-z][\xb1\xb6\xbc]|[\xb1\xb6\xbc][a-z]")
"""ą ś ź of ISO 8859-2 inside words; the same bytes are signs in cp1250."""
_SINGLE_BYTE: Final = re.compile(r"(cp12|cp8|windows-|iso-?8859|koi8|mac|tis|latin)")


class Decoded(NamedTuple):
    """Text and how it was read."""

    text: str
    encoding: str
    replaced: int = 0
    """Invalid sequences that became U+FFFD."""


def codec(label: str) -> str | None:
    """Python's name of the codec that an encoding label means; None if it means nothing."""
    name = _LABELS.get(label.strip().strip("'\"").lower(), label.strip().strip("'\"").lower())
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if found.name in _NO_CHARSETS or not found._is_text_encoding:  # noqa: SLF001 - hex, zip and rot13 are codecs
        return None
    return found.name


def decode(data: bytes, encoding: str | None = None) -> Decoded | None:
    """Text in the given encoding, strictly, or in the one that the bytes speak for; None if there is none.

    Args:
        data: a whole text.
        encoding: what the recipe says; None to detect.
    """
    for mark, marked in _BOMS:
        if data.startswith(mark) and (encoding is None or _family(encoding) == _family(marked)):
            return _strict(data[len(mark) :], marked)
    if encoding:
        return _strict(data, codec(encoding) or encoding)
    found = _utf8(data) or _utf16(data) or _mostly_utf8(data)
    if found:
        return found
    if len(data.translate(None, _CONTROLS)) < 0.98 * len(data):
        return None  # no text has this many control characters
    return _strict(data, detect_legacy(data)) or _strict(data, "cp1252")


def _family(label: str) -> str | None:
    """The encoding whatever its byte order, which a mark decides: `utf-16` of `utf-16-be`."""
    name = codec(label)
    return name.removesuffix("-le").removesuffix("-be") if name else None


def plainly_utf8(data: bytes) -> bool:
    """Whether `decode_page` would find nothing but these very bytes: valid UTF-8 that hints at no other reading.

    Arrow validates five times as fast as Python decodes.
    """
    if data.startswith(tuple(mark for mark, _ in _BOMS)) or b"\0" in data or b"\x1b" in data:
        return False
    ends = pa.py_buffer(np.array([0, len(data)]))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def decode_page(data: bytes, declared: list[str]) -> Decoded | None:
    """Text of an HTML page, in the first declared encoding that fits, else as `decode` finds.

    Bytes that are UTF-8 are UTF-8 whatever the page claims: nothing else looks like it by chance.
    """
    for mark, marked in _BOMS:
        if data.startswith(mark):
            return _lenient(data[len(mark) :], marked)
    found = _utf8(data) or _mostly_utf8(data)
    if found:
        return found
    for label in declared:
        name = codec(label)
        if name and not name.startswith("utf"):
            found = _lenient(data, name)
            if found.replaced * 50 <= sum(byte > 127 for byte in data[:_SAMPLE]):
                return found
    return decode(data) or (_lenient(data, codec(declared[0]) or "cp1252") if declared else None)


ESCAPED: Final = re.compile("[\udc80-\udcff]")
"""A byte that is in no encoding, in the output of `transcoded` read with `surrogateescape`."""


def stream_encoding(first: bytes, encoding: str | None) -> str:
    """The encoding of a stream of lines from its first block; `utf-16` and `utf-32` where a mark says so."""
    for mark, name in _BOMS[1:5]:
        if first.startswith(mark):
            return _family(name) or name
    if encoding:
        return codec(encoding) or "utf-8"
    found = decode(first[: first.rfind(b"\n") + 1 or None])
    return found.encoding if found else "utf-8"


def transcoded(first: bytes, rest: Iterator[Block], encoding: str) -> Iterator[Block]:
    """A stream as UTF-8, byte by byte where it is UTF-8 already; bytes that are no text stay as they are."""
    if encoding == "utf-8":
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from rest
        return
    decoder = codecs.getincrementaldecoder(encoding)(
        "replace" if encoding.startswith("utf") else "surrogateescape"
    )
    for block in chain([first], rest):
        if isinstance(block, bytes):
            yield decoder.decode(block).encode("utf-8", "surrogateescape")
        else:
            decoder.reset()
            yield block
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


def _strict(data: bytes, name: str) -> Decoded | None:
    try:
        return Decoded(data.decode(name), name)
    except (UnicodeDecodeError, LookupError):
        return None


def _lenient(data: bytes, name: str) -> Decoded:
    text = data.decode(name, "replace")
    return Decoded(text, name, text.count("\ufffd"))


def _utf8(data: bytes) -> Decoded | None:
    """Valid UTF-8, unless its zero bytes say UTF-16 or its escapes say ISO-2022-JP."""
    found = _strict(data, "utf-8")
    if found is None or (b"\0" in data and _utf16(data)):
        return None
    if b"\x1b" in data and found.text.isascii() and b"\x1b$" in data:
        return _strict(data, "iso2022_jp_ext") or found
    return found


def _mostly_utf8(data: bytes) -> Decoded | None:
    """UTF-8 with a broken sequence among ten good ones at most (a cut page, a pasted byte)."""
    found = _lenient(data, "utf-8")
    good = len(found.text) - len(found.text.encode("ascii", "ignore")) - found.replaced
    return found if found.replaced * 10 <= good else None


def _utf16(data: bytes) -> Decoded | None:
    """UTF-16 without a mark: one byte in fifty or more is a control byte, and the characters make sense."""
    sample = data[: _SAMPLE & ~1]
    if len(data) < 4 or len(data) % 2 or len(sample.translate(None, _CONTROLS)) > 0.98 * len(sample):
        return None
    best: Decoded | None = None
    most = 0.9
    for name in ("utf-16-le", "utf-16-be"):
        found = _strict(data, name)
        if found:
            text = found.text[:_SAMPLE]
            share = len(_EVERYDAY.findall(text)) / len(text)
            if share > most:
                best, most = found, share
    return best


_EVERYDAY: Final = re.compile(
    "[\t\n\r -~\u00a0-\u017f\u0370-\u052f\u0590-\u06ff\u0900-\u0dff\u0e00-\u0e7f\u2010-\u2027\u3000-\u30ff"
    "\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e]"
)
_PUNCTUATION: Final = (
    "\u2010-\u2027\u3001-\u3011\u3014-\u3017\uff01-\uff0f\uff1a-\uff20\uff5b-\uff5e\u3000\u00b7"
)
_POINT: Final = re.compile(f"[{_PUNCTUATION}]")
_LETTERS: Final = "\u3041-\u30fc\u3400-\u9fff\uac00-\ud7a3"
_LONE: Final = re.compile(f"(?<![{_LETTERS}{_PUNCTUATION}])[{_LETTERS}](?![{_LETTERS}{_PUNCTUATION}])")


class _Level(NamedTuple):
    """The rows of an encoding that hold its everyday characters: first and last lead and trail bytes."""

    codec: str
    lead: tuple[int, int]
    trail: tuple[int, int]
    kana: bool = False


_LEVELS: Final = (
    _Level("cp949", (0xB0, 0xC8), (0xA1, 0xFE)),
    _Level("euc_jp", (0xB0, 0xCF), (0xA1, 0xFE), kana=True),
    _Level("cp932", (0x88, 0x98), (0x40, 0xFC), kana=True),
    _Level("gb18030", (0xB0, 0xD7), (0xA1, 0xFE)),
    _Level("big5hkscs", (0xA4, 0xC6), (0x40, 0xFE)),
)
"""On a tie the first wins: Hangul lies inside the everyday rows of GB 2312, the reverse does not hold."""


@cache
def _everyday(level: _Level) -> frozenset[str]:
    """The everyday characters of an encoding."""
    pairs = (
        bytes((lead, trail)).decode(level.codec, "ignore")
        for lead in range(level.lead[0], level.lead[1] + 1)
        for trail in range(level.trail[0], level.trail[1] + 1)
    )
    found = {pair for pair in pairs if len(pair) == 1 and ord(pair) > 127}
    if level.kana:
        found |= {chr(code) for code in (*range(0x3041, 0x3097), *range(0x30A1, 0x30FD))}
    if level.codec == "gb18030":  # it also holds the traditional forms, outside of GB 2312
        found |= _everyday(_LEVELS[-1])
    return frozenset(found)


def detect_legacy(data: bytes) -> str:
    """The likeliest encoding of a text that is neither UTF-8 nor UTF-16.

    An East Asian encoding must decode the sample without error, and nine in ten of its characters
    beyond ASCII must be everyday letters (not alone between Latin ones) or punctuation.
    """
    sample = data[:_SAMPLE]
    best, most = "", 0.9
    for level in _LEVELS:
        try:
            text = codecs.getincrementaldecoder(level.codec)().decode(sample, final=len(sample) == len(data))
        except UnicodeDecodeError:
            continue
        share = _share(text, level)
        if share > most:
            best, most = level.codec, share
    if best:
        return best
    guess = codec(detect_encoding(sample) or "") or ""
    if guess == "cp1250" and _LATIN2.search(sample) and not re.search(rb"[\x80-\x9f]", sample):
        return "iso8859-2"
    return guess if _SINGLE_BYTE.match(guess) else "cp1252"


def _share(text: str, level: _Level) -> float:
    beyond = Counter(re.sub("[\x00-\x7f]+", "", text))
    total = beyond.total()
    letters = _everyday(level)
    good = sum(count for one, count in beyond.items() if one in letters or _POINT.match(one))
    return (good - len(_LONE.findall(text))) / total if total else 0.0
