"""Makes the sample corpus: `python sample_data/make.py [FOLDER]` writes the records and their labels.

The texts are the pieces in `pieces/`, written for this purpose; `plants.py` decides what is planted in
which, `writing.py` knows the formats. Everything is drawn from one seed, so that every run writes the same.
Compressed bytes may differ between versions of zlib, zstd and Arrow; what they hold does not.
"""

from __future__ import annotations

import codecs
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import writing
from plants import SOURCES, Doc, plan

SEED = 20240501
CHARSETS = {"en": "utf-8", "de": "windows-1252", "es": "iso-8859-1", "fr": "windows-1252", "zh": "gb18030"}
CHARSETS |= {"ja": "shift_jis"}
"""What old files in these languages are often written in."""


class Corpus:
    """A folder of files in the making, and the labels of their records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: list[dict[str, Any]] = []

    def write(self, name: str, data: bytes) -> None:
        """Writes a file of the corpus."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def place(self, doc: Doc, name: str, record: int, orig_id: str | None = None) -> None:
        """Notes where a document was written."""
        doc.file, doc.record, doc.orig_id = f"corpus/{name}", record, orig_id

    def odd(self, source: str, name: str, record: int, kind: str, fate: str, **notes: Any) -> None:
        """Labels a record that is no document."""
        at = f"corpus/{name}#{record}"
        where = {"source": source, "file": f"corpus/{name}", "record": record}
        self.labels.append({"at": at, **where, "kind": kind, "fate": fate, **notes})


def label(doc: Doc) -> dict[str, Any]:
    """What the tests, and anyone who is curious, may know about a document."""
    found: dict[str, Any] = {"at": f"{doc.file}#{doc.record}", "source": doc.source, "file": doc.file}
    found |= {"record": doc.record, "kind": doc.kind, "fate": doc.fate, "lang": doc.lang}
    found |= {"orig_id": doc.orig_id} if doc.orig_id else {}
    found |= {"piece": doc.piece} if doc.piece else {}
    found |= {"partners": [f"{one.file}#{one.record}" for one in doc.partners]} if doc.partners else {}
    return found | doc.notes


def heading(doc: Doc) -> str:
    """A title for formats that want one."""
    name = doc.piece.partition("/")[2].partition("#")[0]
    return doc.title or name.replace("-", " ").capitalize() or "Untitled"


def body(doc: Doc) -> str:
    """The text without the heading that it opens with."""
    return doc.text.removeprefix(f"{doc.title}\n\n") if doc.title else doc.text


def library(corpus: Corpus, docs: list[Doc]) -> None:
    """Parquet in row groups of 16, with one row that has no text."""
    name = "library.parquet"
    schema = pa.schema(
        [("key", pa.string()), ("content", pa.string()), ("year", pa.int16()), ("link", pa.string())]
    )
    rows: list[dict[str, Any]] = []
    for number, doc in enumerate(docs):
        if number == 40:
            corpus.odd("library", name, len(rows), "null_text", "quarantined", reason="no_text")
            rows.append({"key": "lib-null", "content": None, "year": 1987, "link": None})
        corpus.place(doc, name, len(rows), f"lib-{number:03d}")
        link = f"https://library.example/item/{number}"
        rows.append({"key": doc.orig_id, "content": doc.text, "year": 1950 + number % 70, "link": link})
    corpus.write(name, writing.parquet(rows, schema, 16))


def news(corpus: Corpus, docs: list[Doc]) -> None:
    """JSON Lines in one zstd frame; the text lies inside an object."""
    lines = []
    for number, doc in enumerate(docs):
        corpus.place(doc, "news.jsonl.zst", number, f"n{number:04d}")
        article = {"headline": heading(doc), "body": doc.text}
        url = f"https://gazette.example/{number:04d}"
        lines.append(writing.json_line({"id": doc.orig_id, "url": url, "article": article}))
    corpus.write("news.jsonl.zst", writing.zstd(b"".join(lines)))


def forum(corpus: Corpus, docs: list[Doc]) -> None:
    """JSON Lines in many gzip members, as logs are that were appended to; ids are numbers."""
    lines = []
    for number, doc in enumerate(docs):
        post = 4000 + 3 * number
        corpus.place(doc, "forum.jsonl.gz", number, str(post))
        lines.append(writing.json_line({"post": post, "thread": number // 4, "body": doc.text}))
    members = [b"".join(lines[start : start + 12]) for start in range(0, len(lines), 12)]
    corpus.write("forum.jsonl.gz", b"".join(map(writing.gzip_member, members)))


def notes(corpus: Corpus, docs: list[Doc]) -> None:
    """Markdown, one document a file, with front matter that carries id and address."""
    for number, doc in enumerate(docs):
        name = f"notes/note-{number:02d}.md"
        corpus.place(doc, name, 0, f"note-{number:02d}")
        fields = {"id": f"note-{number:02d}", "url": f"https://notes.example/{number}", "lang": doc.lang}
        text = doc.text
        if doc.title and text.startswith(f"{doc.title}\n\n"):
            text = f"# {text}"
        corpus.write(name, writing.front_matter(fields, text).encode())


def letters(corpus: Corpus, docs: list[Doc]) -> None:
    """Plain text, a document a file, in encodings and with line ends of their time; one file is empty."""
    notepad = next(doc for doc in docs if doc.lang == "en")
    for number, doc in enumerate(docs):
        name = f"letters/letter-{number:02d}.txt"
        corpus.place(doc, name, 0)
        charset = "utf-16" if doc is notepad else CHARSETS.get(doc.lang, "utf-8")
        doc.notes["charset"] = charset
        if charset == "utf-8":
            corpus.write(name, f"{doc.text}\n".encode())
            continue
        mark, codec = (codecs.BOM_UTF16_LE, "utf-16-le") if charset == "utf-16" else (b"", charset)
        corpus.write(name, mark + doc.text.replace("\n", "\r\n").encode(codec))
    corpus.write("letters/letter-lost.txt", b"")
    corpus.odd("letters", "letters/letter-lost.txt", 0, "empty_file", "no_row")


def code(corpus: Corpus, docs: list[Doc]) -> None:
    """Plain JSON Lines, with a blank line at the end of the file."""
    lines = []
    for number, doc in enumerate(docs):
        corpus.place(doc, "code.jsonl", number, doc.title)
        lines.append(writing.json_line({"id": doc.title, "text": doc.text}))
    corpus.write("code.jsonl", b"".join(lines) + b"\n")
    corpus.odd("code", "code.jsonl", len(lines), "blank_line", "no_row")


def _page(doc: Doc, number: int) -> bytes:
    """A document as a page of one of the sites; notes on the label what extraction must keep and lose."""
    site = doc.notes.setdefault("site", writing.SITES[number % len(writing.SITES)])
    damaged = doc.kind in {"spam", "other_language"}
    charset = doc.notes.setdefault("charset", "utf-8" if damaged else CHARSETS.get(doc.lang, "utf-8"))
    if doc.kind == "good":
        doc.notes["contains"] = body(doc).split("\n")[-1][-40:]
    return writing.page(site, doc.lang, heading(doc), body(doc), charset)


def web(corpus: Corpus, docs: list[Doc]) -> None:
    """HTML files with menus, banners, scripts and footers around the text; one is nothing but that."""
    for number, doc in enumerate(docs):
        name = f"web/page-{number:02d}.html"
        corpus.place(doc, name, 0)
        corpus.write(name, _page(doc, number))


def crawl(corpus: Corpus, docs: list[Doc]) -> None:
    """A WARC as crawlers write it: requests, responses, redirects, images, a revisit."""
    name = "crawl.warc.gz"
    records: list[bytes] = []

    def add(kind: str, uri: str, content_type: str, block: bytes) -> int:
        records.append(writing.warc_record(len(records), kind, uri, content_type, block))
        return len(records) - 1

    def skipped(what: str, kind: str, uri: str, content_type: str, block: bytes) -> None:
        corpus.odd("crawl", name, add(kind, uri, content_type, block), what, "no_row")

    response = "application/http; msgtype=response"
    skipped(
        "warcinfo", "warcinfo", "", "application/warc-fields", b"software: sample/1.0\r\nformat: WARC/1.1\r\n"
    )
    for number, doc in enumerate(docs):
        uri = f"http://pages.example/{number}.html"
        if number % 3 == 0:
            request = f"GET /{number}.html HTTP/1.1\r\nHost: pages.example\r\nUser-Agent: sample\r\n\r\n"
            skipped("request", "request", uri, "application/http; msgtype=request", request.encode())
        data, extra = _page(doc, number), []
        if number == 4:
            data, extra = writing.chunked(data, 500), ["Transfer-Encoding: chunked"]
        if number == 8:
            data, extra = writing.gzip_member(data), ["Content-Encoding: gzip"]
        media = "text/html" if number % 2 else f"text/html; charset={doc.notes['charset']}"
        record = add("response", uri, response, writing.http(data, media, headers=extra))
        corpus.place(doc, name, record, writing.record_id(record))
    pixel = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
    home = "http://pages.example"
    gone = b"<html><body><h1>404</h1><p>There is nothing here, not even this page.</p></body></html>"
    skipped("image", "response", f"{home}/dot.png", response, writing.http(pixel, "image/png"))
    skipped(
        "not_html", "response", f"{home}/robots.txt", response, writing.http(b"User-agent: *\n", "text/plain")
    )
    skipped("error_page", "response", f"{home}/x", response, writing.http(gone, "text/html", "404 Not Found"))
    moved = writing.http(b"", "text/html", "301 Moved Permanently", [f"Location: {home}/0.html"])
    skipped("redirect", "response", f"{home}/old", response, moved)
    skipped("revisit", "revisit", f"{home}/0.html", response, b"HTTP/1.1 304 Not Modified\r\n\r\n")
    skipped("metadata", "metadata", f"{home}/0.html", "application/warc-fields", b"fetchTimeMs: 12\r\n")
    corpus.write(name, b"".join(records))


def damaged(corpus: Corpus, docs: list[Doc]) -> None:
    """Two files of good records and bad ones: lines that are no records, and an archive cut off."""
    name = "damaged/broken.jsonl"
    lines: list[bytes] = []
    waiting = list(docs)
    bad: list[tuple[str, str, bytes]] = [
        ("half_a_line", "bad_json", b'{"id": "half", "text": "The line ends before the sen\n'),
        (
            "no_text",
            "no_text",
            writing.json_line({"id": "mute", "title": "A title, and nothing to go with it"}),
        ),
        ("null_text", "no_text", writing.json_line({"id": "null", "text": None})),
        ("number_for_text", "bad_type", writing.json_line({"id": "number", "text": 42})),
        ("list_for_text", "bad_type", writing.json_line({"id": "list", "text": ["one", "two"]})),
        ("not_an_object", "bad_type", writing.json_line(["a", "list", "of", "words"])),
        ("two_in_a_line", "bad_json", b'{"id": "a", "text": "one"} {"id": "b", "text": "two"}\n'),
        ("invalid_utf8", "bad_encoding", b'{"id": "bytes", "text": "caf\xe9 \xff\xfe and \x80 more"}\n'),
        ("deep_json", "deep_json", b'{"id": "deep", "text": ' + b"[" * 5000 + b"]" * 5000 + b"}\n"),
        ("not_json", "bad_json", b"<html><body>Service unavailable</body></html>\n"),
    ]
    for kind, reason, line in bad:
        doc = waiting.pop()
        corpus.place(doc, name, len(lines), f"d{len(lines)}")
        lines.append(writing.json_line({"id": doc.orig_id, "text": doc.text}))
        corpus.odd("damaged", name, len(lines), kind, "quarantined", reason=reason)
        lines.append(line)
    corpus.odd("damaged", name, len(lines), "blank_line", "no_row")
    lines.append(b"   \n")
    doc = next(one for one in waiting if one.kind == "good")
    waiting.remove(doc)
    doc.notes["repaired"] = "a NUL, half a surrogate pair and a Windows line end"
    corpus.place(doc, name, len(lines), "d-odd")
    escaped = json.dumps({"id": "d-odd", "text": f"{doc.text}\x00\ud83d"}).encode()
    lines.append(escaped + b"\r\n")
    corpus.write(name, b"".join(lines))

    name = "damaged/cut-off.jsonl.gz"
    lines = []
    for doc in waiting:
        corpus.place(doc, name, len(lines), f"c{len(lines)}")
        lines.append(writing.json_line({"id": doc.orig_id, "text": doc.text}))
    half = len(lines) // 2
    first, second = writing.gzip_member(b"".join(lines[:half])), b"".join(lines[half:])
    unfinished = second + b'{"id": "cut", "text": "This record was still being written when the disk'
    whole = writing.stored_member(unfinished + b' was full."}\n' * 50)
    corpus.write(name, first + whole[: len(unfinished) + 15])
    corpus.odd("damaged", name, len(lines), "cut_off", "quarantined", reason="truncated")


def make(folder: Path) -> None:
    """Writes the corpus into `folder`, in place of one that was made before."""
    corpus, documents = Corpus(folder), plan(SEED)
    if folder.exists():
        if not (folder / "labels.jsonl").exists():
            sys.exit(f"{folder} is there, but is no corpus made by this program: name a folder that is new")
        shutil.rmtree(folder)
    for write in (library, news, forum, notes, letters, code, web, crawl, damaged):
        write(corpus, [doc for doc in documents if doc.source == write.__name__])
    labels = corpus.labels + [label(doc) for doc in documents]
    labels.sort(key=lambda one: (SOURCES.index(one["source"]), one["file"], one["record"]))
    corpus.write("labels.jsonl", b"".join(map(writing.json_line, labels)))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "corpus")
