"""Files as blocks: compression, damage, bombs, what is not a file; and which format a file is in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.formats.spec import SourceSpec, format_of, kind_of_name
from stages.formats.streams import BLOCK, Damage, NotRegularError, blocks, open_regular, zstd

Load = Callable[..., Any]

PACKERS = [gzip.compress, zstd.compress, bz2.compress, lzma.compress]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PACKERS), st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_members_are_joined(pack: Callable[[bytes], bytes], members: list[bytes]) -> None:
    """Any number of them, empty ones too."""
    packed = io.BytesIO(b"".join(map(pack, members)))
    assert b"".join(block for block in blocks(packed, 200) if isinstance(block, bytes)) == b"".join(members)


def test_padding_and_skippable_frames_are_no_damage() -> None:
    """Files on tape are padded with zeros; Zstandard allows frames of metadata."""
    padded = io.BytesIO(gzip.compress(b"a") + bytes(1000) + gzip.compress(b"b") + bytes(70_000))
    assert list(blocks(padded, 200)) == [b"ab"]
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0meta"
    framed = io.BytesIO(skippable + zstd.compress(b"a") + skippable + zstd.compress(b"b"))
    assert list(blocks(framed, 200)) == [b"ab"]


@pytest.mark.parametrize("pack", PACKERS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_damage_never_raises_and_what_follows_is_found(pack: Callable[[bytes], bytes], seed: int) -> None:
    """One flipped byte in the middle member; the last member is always delivered."""
    rng = random.Random(seed)
    members = [pack(rng.randbytes(3000)), bytearray(pack(rng.randbytes(3000))), pack(b"the end")]
    middle = members[1]
    assert isinstance(middle, bytearray)
    middle[rng.randrange(20, len(middle))] ^= 1 << rng.randrange(8)
    found = list(blocks(io.BytesIO(b"".join(members)), 200))
    assert b"".join(block for block in found if isinstance(block, bytes)).endswith(b"the end")


@pytest.mark.parametrize("pack", PACKERS)
def test_a_cut_stream_ends_with_truncated(pack: Callable[[bytes], bytes]) -> None:
    """Behind everything that could be read."""
    packed = pack(random.Random(1).randbytes(500_000))
    *_, last = blocks(io.BytesIO(packed[: len(packed) * 2 // 3]), 200)
    assert isinstance(last, Damage)
    assert last.reason == "truncated"


@pytest.mark.parametrize("pack", PACKERS)
def test_bytes_between_members_cost_themselves(pack: Callable[[bytes], bytes]) -> None:
    """As a member that was cut by a full disk and appended to leaves them."""
    found = list(blocks(io.BytesIO(pack(b"one") + b"not a member" * 3 + pack(b"two")), 200))
    assert [block for block in found if isinstance(block, bytes)] == [b"one", b"two"]
    assert [block.reason for block in found if isinstance(block, Damage)] == ["unreadable"]


def test_bytes_behind_the_last_member_are_damage() -> None:
    """They would be lost in silence otherwise."""
    first, second = blocks(io.BytesIO(gzip.compress(b"a") + b"garbage"), 200)
    assert first == b"a"
    assert isinstance(second, Damage)
    assert second.reason == "unreadable"


@pytest.mark.parametrize("pack", PACKERS)
def test_blocks_are_bounded(pack: Callable[[bytes], bytes]) -> None:
    """However little input they come from."""
    sizes = [len(block) for block in blocks(io.BytesIO(pack(bytes(5 * BLOCK))), 10**6)]
    assert sizes == [BLOCK] * 5


def test_a_bomb_is_given_up_in_bounded_memory(load_file: Load, tmp_path: Path) -> None:
    """A gigabyte out of a megabyte: what came before it in the file is kept."""
    packed = gzip.compress(bytes(1 << 20)) * 1000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = load_file("a.jsonl.gz", gzip.compress(b'{"text": "good"}\n') + packed)
    assert found.reasons == [None, "bomb"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """Opening a FIFO would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(NotRegularError):
            open_regular(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.JSONL.GZ", ("jsonl", True)),
        ("b.json", ("jsonl", False)),
        ("CC.warc.wet.gz", ("warc", True)),
        ("x.tar.gz", (None, True)),
        ("README", (None, False)),
        ("data.gz/file", (None, False)),
        ("gz", (None, False)),
    ],
)
def test_names_tell_format_and_compression(name: str, expected: tuple[str | None, bool]) -> None:
    """By their last extensions, in any case."""
    assert kind_of_name(name) == expected


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("data", b'{"text": 1}', "jsonl"),
        ("data", b"<!DOCTYPE html><p>", "html"),
        ("data", b"WARC/1.0\r\n", "warc"),
        ("data", b"plain words", "txt"),
        ("data", b"\x89PNG\r\n\x1a\n\0\0", None),
        ("a.txt", b"WARC/1.1\r\nWARC-Type", "warc"),
        ("a.txt", b"WARC is a format", "txt"),
        ("a.txt", b'{"text": 1}', "txt"),
        ("a.jsonl", b"PAR1", "parquet"),
    ],
)
def test_first_bytes_tell_what_names_do_not(name: str, head: bytes, expected: str | None) -> None:
    """Unmistakable bytes win over the name, a mere likeness does not."""
    assert format_of(SourceSpec(name="s", paths=("x",)), name, head) == expected
    assert format_of(SourceSpec(name="s", paths=("x",), format="csv"), name, head) == "csv"


def test_a_file_of_unknown_format_is_a_bad_record(load_file: Load) -> None:
    """Nothing vanishes in silence."""
    assert load_file("picture.xyz", b"\x89PNG\r\n\x1a\n\0\0").reasons == ["unknown_format"]


def test_a_name_that_promises_compression_is_not_believed(load_file: Load) -> None:
    """Downloads are often unpacked without being renamed; noise is noise."""
    assert load_file("a.jsonl.gz", b'{"text": "a"}\n').texts == ["a"]
    assert load_file("b.jsonl.gz", b"\0\1\2\3" * 9).reasons == ["unreadable"]
    assert load_file("c.jsonl", gzip.compress(b'{"text": "a"}\n')).texts == ["a"]
    assert load_file("d.txt", gzip.compress(gzip.compress(b"twice"))).reasons == ["bad_encoding"]
