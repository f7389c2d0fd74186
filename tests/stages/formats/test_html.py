"""HTML pages: charsets, main text, and pages that fight back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.formats import extractor
from stages.formats.extractor import Extractor
from stages.formats.html import declared_charsets
from tests.command import HOME

Load = Callable[..., Any]

PROSE = (
    "The mill stood by the river and its wheel turned all day long, grinding the grain of the valley. " * 4
)


def page(body: str, meta: str = "") -> str:
    """A page with navigation around an article."""
    return (
        f"<!doctype html><html><head>{meta}<title>T</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<article><p>{body}</p></article><footer>Imprint</footer></body></html>"
    )


def archived(body: str) -> bytes:
    """A WARC record that holds a page."""
    message = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body.encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {len(message)}\r\n\r\n"
    return head.encode() + message + b"\r\n\r\n"


def test_a_page_is_its_main_text(load_file: Load) -> None:
    """Without navigation and footer."""
    (text,) = load_file("a.html", page(PROSE).encode()).texts
    assert PROSE.strip() in text
    assert "Home" not in text
    assert "Imprint" not in text


@pytest.mark.parametrize(
    ("meta", "encoding"),
    [
        ('<meta charset="gb2312">', "gb18030"),
        ("<meta http-equiv='Content-Type' content='text/html; charset=GBK'>", "gb18030"),
        ('<meta charset="iso-8859-1">', "utf-8"),
        ("", "gb18030"),
        ("", "utf-16"),
        ('<meta charset="utf-8">', "utf-8-sig"),
    ],
)
def test_the_charset_is_what_the_bytes_and_the_page_say(load_file: Load, meta: str, encoding: str) -> None:
    """A declaration that the bytes contradict is not believed."""
    prose = "水车整天在河边转动，把山谷里的粮食磨成面粉。孩子们在岸上看着，听着水声。" * 5
    (text,) = load_file("a.html", page(prose, meta).encode(encoding)).texts
    assert prose in text


def test_charset_declarations_come_in_order_of_trust() -> None:
    """HTTP header, then what the page's beginning says; XML declarations count."""
    data = b'<?xml version="1.0" encoding="euc-jp"?><meta name="x" charset=big5><p>'
    assert declared_charsets(data, "utf-8") == ["utf-8", "euc-jp", "big5"]
    assert declared_charsets(b"<p>charset=utf-8") == []


def test_a_page_without_text_is_an_empty_document(load_file: Load) -> None:
    """To judge it is the business of later stages."""
    found = load_file("a.html", b"<html><body></body></html>")
    assert (found.texts, found.reasons) == ([""], [None])


def test_a_page_that_takes_too_long_costs_itself() -> None:
    """A million nested tags: the child is ended, and the next page gets a new one."""
    with Extractor("article", seconds=1) as child:
        deep = "<div>" * 1_000_000 + "deep"
        assert child.text(deep) is None
        assert PROSE.strip() in (child.text(page(PROSE)) or "")


def test_a_crash_costs_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The child dies without an answer."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "os.write(1, bytes(8))\n"
        "head = sys.stdin.buffer.read(8)\n"
        "body = sys.stdin.buffer.read(int.from_bytes(head, 'little'))\n"
        "os.abort() if body == b'crash' else sys.stdout.buffer.write(head + body)\n"
    )
    monkeypatch.setattr(extractor, "__file__", str(program))
    with Extractor("resiliparse") as child:
        assert child.text("crash") is None
        assert child.text("good") == "good"


def test_a_killed_child_costs_the_page_in_hand(load_file: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel kills when memory runs out: a real SIGKILL to the real child while it parses.

    The archive's pages before and behind are read, and the page itself is a bad record.
    """
    killed: list[int] = []

    class Victim(Extractor):
        def text(self, page: str | bytes) -> str | None:
            if b"<div><div><div>" in (page if isinstance(page, bytes) else page.encode()):
                child = (self._child or self._start()).pid
                threading.Timer(0.3, lambda: (killed.append(child), os.kill(child, signal.SIGKILL))).start()
            return super().text(page)

    monkeypatch.setattr("stages.load.Extractor", Victim)
    bodies = [page(PROSE), "<div>" * 2_000_000 + "deep", page(PROSE)]
    found = load_file("a.warc", b"".join(map(archived, bodies)))
    assert found.reasons == [None, "bad_page", None]
    assert found.texts[0] == found.texts[2] == PROSE.strip()
    assert len(killed) == 1


def test_a_child_that_sleeps_costs_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It uses no CPU time, so the clock ends it."""
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys, time\nsys.path.insert(0, {str(HOME)!r})\n"
        "from stages.formats import extractor\n"
        "extractor.PATIENCE = 1\n"
        "extractor._function = lambda name: lambda page: time.sleep(60) if page == 'sleep' else page\n"
        "extractor.main()\n"
    )
    monkeypatch.setattr(extractor, "__file__", str(program))
    with Extractor("article", seconds=1) as child:
        assert child.text("sleep") is None
        assert child.text("good") == "good"


def test_an_extractor_that_does_not_start_is_no_bad_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A broken installation must not quarantine a corpus."""
    program = tmp_path / "program.py"
    program.write_text("raise SystemExit(1)")
    monkeypatch.setattr(extractor, "__file__", str(program))
    with Extractor("article") as child, pytest.raises(RuntimeError, match="'article' does not start"):
        child.text("page")


def test_a_listing_in_a_figure_is_kept(load_file: Load) -> None:
    """As Jekyll writes code; a figure with a picture is passed over, and an open one changes nothing."""
    figure = "<figure class='highlight'><pre><code>mill = 1\n  print(mill)</code></pre></figure>"
    picture = "<figure><img src='a.png'><figcaption>A picture</figcaption></figure>"
    for odd in ("", "<figure><pre>never closed"):
        (text,) = load_file(
            "a.html", page(f"{PROSE}</p>{figure}{picture}<p>{PROSE}</p>{odd}<p>").encode()
        ).texts
        assert "mill = 1\n  print(mill)" in text
        assert "A picture" not in text


def test_all_extractors_read_pages(load_file: Load) -> None:
    """The recipe chooses."""
    for name in ("article", "resiliparse", "trafilatura"):
        (text,) = load_file("a.html", page(PROSE).encode(), extractor=name).texts
        assert "its wheel turned all day long" in text
