"""exclude drops the documents that lists name, and says which names are nobody's."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from stages.base import StageError
from stages.exclude import Exclude
from tests import harness
from tests.stages.rounds import run_global

IDS = [n.to_bytes(16, "big") for n in range(20)]


def part(*numbers: int) -> pa.Table:
    """Rows with these ids."""
    rows = pa.array(range(len(numbers)), pa.uint32())
    return pa.table({"row": rows, "doc_id": pa.array([IDS[n] for n in numbers], pa.binary(16))})


def listing(folder: Path, content: str) -> Exclude:
    """A stage with one list."""
    path = folder / "drop.txt"
    path.write_text(content, encoding="utf-8")
    return Exclude(lists=(str(path),))


def test_listed_documents_are_dropped_wherever_they_lie(tmp_path: Path) -> None:
    """Hexadecimal lines as `gristmill trace --drop` writes them, JSON objects, comments."""
    stage = listing(
        tmp_path,
        f'{IDS[3].hex()}\n\n# a note\n{{"doc_id": "{IDS[0].hex()}"}}\n{IDS[3].hex()} # twice\n',
    )
    for bounds in ([], [0, 1, 3]):
        said = harness.outs(stage, harness.cut(part(3, 2, 1, 0), bounds), random.Random(1))
        assert [reason for out in said for reason in out.reasons.to_pylist()] == [
            "drop_list",
            None,
            None,
            "drop_list",
        ]


def test_ids_of_nobody_are_counted_and_published(tmp_path: Path) -> None:
    """Sorted, a line each; a list of strangers drops nothing."""
    stage = listing(tmp_path, "".join(f"{IDS[n].hex()}\n" for n in (9, 1, 7)))
    parts = harness.cut(part(0, 1, 2), [2])
    assert harness.artifacts(stage, parts, random.Random(0)) == {
        "not_found.txt": f"{IDS[7].hex()}\n{IDS[9].hex()}\n".encode()
    }
    _, ruling = run_global(stage, [part(0, 1, 2)])
    assert ruling is not None
    assert ruling.schema.metadata == {b"tallies": b'{"listed": 3, "not_found": 2}'}
    assert run_global(stage, [part(4, 5)])[0]["reason"].null_count == 2


@pytest.mark.parametrize(
    "line", ["abc", "00" * 15, "zz" * 16, '{"id": "x"}', '{"doc_id": 7}', "{", "00" * 16 + " x"]
)
def test_a_line_that_names_nothing_is_shown(tmp_path: Path, line: str) -> None:
    """With file and number: a list that is not understood must not pass for an empty one."""
    with pytest.raises(StageError, match=r"drop\.txt, line 2: .* names no document"):
        run_global(listing(tmp_path, f"{IDS[0].hex()}\n{line}\n"), [part(0)])


def test_only_the_content_of_lists_counts() -> None:
    """Not where they lie."""
    assert Exclude(lists=("a",)).identity() == Exclude(lists=("b",)).identity()
    assert Exclude(lists=("a",)).files() == {"lists": ("a",)}


def test_lines_end_with_line_feeds_only(tmp_path: Path) -> None:
    """JSON may hold U+2028 and U+0085 as they are, and a list may come from Windows."""
    stage = listing(
        tmp_path, f'{{"doc_id": "{IDS[0].hex()}", "note": "a\u2028b\u0085c"}}\r\n{IDS[1].hex()}\r\n'
    )
    assert run_global(stage, [part(0, 1, 2)])[0]["reason"].to_pylist() == ["drop_list", "drop_list", None]


def test_a_list_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    """Before any document is looked at."""
    (tmp_path / "drop.txt").write_bytes(b"# caf\xe9\n")
    with pytest.raises(StageError, match=r"drop\.txt is not UTF-8"):
        run_global(Exclude(lists=(str(tmp_path / "drop.txt"),)), [part(0)])
