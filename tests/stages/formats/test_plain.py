"""Plain text and Markdown."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.formats.plain import front_matter, read_text
from stages.formats.rows import Job
from stages.formats.spec import SourceSpec

Load = Callable[..., Any]


def test_a_text_file_is_one_document(load_file: Load) -> None:
    """Exactly as it is, white space and line ends too."""
    found = load_file("a.txt", b"\n one\r\ntwo \n\n")
    assert [(row["record"], row["text"]) for row in found.rows] == [(0, "\n one\r\ntwo \n\n")]


def test_a_separator_makes_pieces(load_file: Load) -> None:
    """Blank pieces make no record but count."""
    found = load_file("a.txt", b"one\n<|end|>\n \n<|end|>two<|end|>", separator="<|end|>")
    assert [(row["record"], row["text"], row["offset"]) for row in found.rows] == [
        (0, "one\n", 0),
        (2, "two", 21),
    ]


@given(
    st.lists(st.text("ab<", max_size=8), max_size=8),
    st.integers(1, 7),
    st.sampled_from(["<>", "<|end|>", "\n\n"]),
)
def test_pieces_are_those_of_split_whatever_the_blocks(parts: list[str], block: int, mark: str) -> None:
    """The separator may lie across blocks; pieces beyond the limit are too long."""
    whole = mark.join(parts).encode()
    job = Job(SourceSpec(name="s", paths=("x",), separator=mark), 5, 200)
    found = list(read_text((whole[i : i + block] for i in range(0, len(whole), block)), job))
    expected = [
        (number, None if len(piece) > 5 else piece)
        for number, piece in enumerate(whole.decode().split(mark))
        if piece.strip()
    ]
    assert [(record.number, record.text) for record in found] == expected


def test_a_text_beyond_the_limit_is_quarantined(load_file: Load) -> None:
    """Only its beginning is ever held."""
    assert load_file("a.txt", b"x" * 100, stage={"max_record_bytes": 99}).reasons == ["too_long"]
    assert load_file("a.txt", b"x" * 99, stage={"max_record_bytes": 99}).reasons == [None]


def test_an_empty_file_makes_no_row(load_file: Load) -> None:
    """It is counted."""
    found = load_file("a.txt", b"")
    assert (found.rows, found.tallies["empty_files"]) == ([], 1)


def test_a_legacy_encoding_is_detected_and_counted(load_file: Load) -> None:
    """The tallies say which encodings a source holds."""
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    found = load_file("a.txt", text.encode("cp932"))
    assert found.texts == [text]
    assert found.tallies["encoding.cp932"] == 1


def test_bytes_that_are_no_text_are_quarantined(load_file: Load) -> None:
    """Named as text, but full of control characters."""
    assert load_file("a.txt", bytes(range(256)) * 4).reasons == ["bad_encoding"]
    assert load_file("a.txt", b"caf\xe9", encoding="utf-8").reasons == ["bad_encoding"]


@pytest.mark.parametrize(
    ("page", "text", "front"),
    [
        ("---\ntitle: A\nid: 7\n---\n\n# H\n", "# H\n", {"title": "A", "id": "7"}),
        ("---\r\nurl: 'http://x'\r\n---\r\ntext", "text", {"url": "http://x"}),
        ('+++\ntitle = "A"\n+++\nbody', "body", {"title": "A"}),
        ("---\ntags:\n  - a\nid: x\n---\nbody", "body", {"id": "x"}),
        ("---\nid: x\n---", "", {"id": "x"}),
        ("# no front matter\n---\nid: x\n---\n", None, {}),
        ("---\nid: x\nnever closed\n", None, {}),
        ("---\n\nA rule, then prose.\n\n---\nmore", None, {}),
        ("----\nid: x\n----\n", None, {}),
        ("", None, {}),
    ],
)
def test_front_matter_is_metadata(page: str, text: str | None, front: dict[str, str]) -> None:
    """It leaves the text (None: nothing leaves) and its scalars are found."""
    assert front_matter(page) == (page if text is None else text, front)


def test_markdown_takes_id_and_url_from_its_front_matter(load_file: Load) -> None:
    """Under the names that the source gives."""
    found = load_file("a.md", b"---\nslug: s1\nlink: http://x\n---\nbody\n", id="slug", url="link")
    assert [(row["text"], row["orig_id"], row["url"]) for row in found.rows] == [("body\n", "s1", "http://x")]


def test_front_matter_is_read_in_linear_time() -> None:
    """A line of blanks once took a minute."""
    begun = process_time()
    front_matter("---\ntitle: x" + " " * 200_000 + "y\n---\nbody")
    assert process_time() - begun < 1
