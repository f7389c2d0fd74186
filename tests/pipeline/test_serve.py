"""A real server shows runs for reading, to this machine only, and nothing else."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote, urlencode

import pytest

from pipeline.runs import Run
from pipeline.serve import Room, serve
from pipeline.stored import Stored
from tests.pipeline.conftest import Pair


@pytest.fixture(scope="module")
def room(pair: Pair) -> Iterator[Room]:
    """A server over the pair of runs, on a port of its own."""
    with serve(pair.first.work, port=0) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(
    room: Room, where: str, host: str | None = None, method: str = "GET"
) -> tuple[int, str, dict[str, str]]:
    """Status, page and headers of a request."""
    port = room.server_address[1]
    line = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    try:
        line.request(method, where, headers={"Host": host or f"127.0.0.1:{port}"})
        answer = line.getresponse()
        return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        line.close()


def page(room: Room, name: str, **asked: str) -> str:
    """A page that is there."""
    status, body, _ = get(room, f"/{name}?{urlencode(asked)}")
    assert status == 200, body
    return body


def test_runs_are_listed_with_what_they_kept(room: Room, pair: Pair) -> None:
    """Both of them, newest first, with a link to the report."""
    listed = re.findall(r'href="/run\?run=([^"]+)"', page(room, ""))
    assert listed == [pair.second.id, pair.first.id]
    assert f"/report?run={pair.first.id}" in page(room, "")


def test_the_report_is_the_file(room: Room, pair: Pair) -> None:
    """Byte for byte."""
    assert page(room, "report", run=pair.first.id) == (pair.first.path / "report.html").read_text()


def test_documents_are_chosen_by_fate_and_reason(room: Room, pair: Pair) -> None:
    """As many rows as the documents table has, each with a link to its route."""
    table = Stored(pair.first).documents(["fate", "reason", "doc_id"]).to_pylist()
    for fate, reason in (("kept", ""), ("dedup", "exact"), ("quarantined", "")):
        mine = [r["doc_id"] for r in table if r["fate"] == fate and (not reason or r["reason"] == reason)]
        body = page(room, "documents", run=pair.first.id, fate=fate, reason=reason)
        assert re.findall(r"doc=([0-9a-f]{32})", body) == mine[:100]
        assert ("more</a>" in body) == (len(mine) > 100)


def test_a_documents_route_is_told(room: Room, pair: Pair) -> None:
    """By doc_id or by the id in the data; an unknown one is an answer, too."""
    assert "riddles, item r1" in unescape(page(room, "explain", run=pair.first.id, doc="contaminated"))
    status, body, _ = get(room, f"/explain?run={pair.first.id}&doc=nobody")
    assert (status, "no document" in body) == (404, True)


def test_quarantine_shows_what_could_not_be_read(room: Room, pair: Pair) -> None:
    """Where it lies, and why."""
    assert "records could not be read" in page(room, "quarantine", run=pair.first.id)


def test_corpus_text_cannot_act(nasty: Run) -> None:
    """Markup of documents is shown, not obeyed."""
    with serve(nasty.work, port=0) as room:
        threading.Thread(target=room.serve_forever, daemon=True).start()
        body = page(room, "explain", run=nasty.id, doc="script-0")
        room.shutdown()
    assert "<script" not in body
    assert "&lt;script&gt;alert(1)" in body


@pytest.mark.parametrize(
    "where",
    [
        "/../../etc/passwd", "/report?run=../../../etc", "/report?run=" + quote("/etc/passwd"), "/nothing", "//etc/passwd",
        "/run?run=%00", "/report", "/documents?run=" + quote("../runs"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_not_there(room: Room, where: str) -> None:
    """No path is made of what a user types."""
    status, body, _ = get(room, where)
    assert status == 404
    assert "root:" not in body


def test_other_sites_cannot_read_it(room: Room) -> None:
    """A request that calls this machine by another name is refused; nothing may be loaded or framed."""
    status, body, _ = get(room, "/", host="evil.example")
    assert (status, "run=" in body) == (421, False)
    status, _, headers = get(room, "/", host="localhost")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_is_for_reading(room: Room, method: str) -> None:
    """There is nothing else that it can do; HEAD answers without a page."""
    assert get(room, "/", method=method)[0] == 501
    assert get(room, "/", method="HEAD")[:2] == (200, "")


def test_it_listens_on_this_machine_only(room: Room) -> None:
    """By default."""
    assert room.url.startswith("http://127.0.0.1:")
