"""A reading room for runs: their reports, documents by fate, routes and quarantine, in a browser on this machine.

    /                              the runs
    /run?run=ID                    funnel, fates, and where to go on
    /report?run=ID                 its report.html
    /documents?run=ID&fate=&reason=&page=
    /explain?run=ID&doc=
    /quarantine?run=ID

Reads only. Listens on the loopback address unless told otherwise, and then answers only requests that name this
machine, so that no page of another site can read it (DNS rebinding). What a user types is compared with the runs
that are there and with columns of tables; no path is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import pyarrow.compute as pc

from pipeline import documents, explain, runs
from pipeline.errors import GristmillError, InfrastructureFailed
from pipeline.report import environment
from pipeline.runs import Run
from pipeline.stored import Stored, read_columns

__all__ = ["Room", "serve"]

PORT: Final = 8765
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
SHOWN: Final = 100  # documents a page
QUARANTINED: Final = 1000  # records that are listed
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_COLUMNS: Final = [
    "doc_id",
    "orig_id",
    "source",
    "file",
    "record",
    "fate",
    "reason",
    "lang",
    "chars",
    "tokens",
]

Asked = Mapping[str, str]


def serve(work: Path, host: str = "127.0.0.1", port: int = PORT) -> Room:
    """A server, listening, that shows a folder of results; `serve_forever` answers.

    Raises:
        InfrastructureFailed: the address cannot be listened on.
    """
    try:
        return Room(work, host, port)
    except OSError as error:
        raise InfrastructureFailed(f"serve: cannot listen on {host}:{port}: {error}; try --port 0") from error


class Room(ThreadingHTTPServer):
    """The server.

    Attributes:
        work: the folder of results that it shows.
        hosts: names that requests may call it by; None: any.
    """

    daemon_threads = True

    def __init__(self, work: Path, host: str, port: int) -> None:
        self.work = work
        self.hosts = LOOPBACK if host in LOOPBACK else None
        super().__init__((host, port), _Reader)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"

    def run(self, asked: Asked) -> Run:
        """The run that a request names among those that are there."""
        return next((run for run in runs.every(self.work) if run.id == asked.get("run")), None) or _missing()


class _NotThereError(Exception):
    """What was asked for does not exist."""


def _missing() -> Run:
    raise _NotThereError


def _nothing(_: Room, __: Asked) -> bytes:
    raise _NotThereError


class _Reader(BaseHTTPRequestHandler):
    """One request."""

    server: Room
    server_version = "gristmill"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Answers a page."""
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if self.server.hosts is not None and name not in self.server.hosts:
            self._answer(
                HTTPStatus.MISDIRECTED_REQUEST, _page("message", says="this is not the machine you asked for")
            )
            return
        parts = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query, max_num_fields=20).items()}
        page = self.pages.get(parts.path, _nothing)
        try:
            self._answer(HTTPStatus.OK, page(self.server, asked))
        except (_NotThereError, FileNotFoundError):
            self._answer(HTTPStatus.NOT_FOUND, _page("message", says="there is nothing here"))
        except GristmillError as error:
            self._answer(HTTPStatus.NOT_FOUND, _page("message", says=str(error)))

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _answer(self, status: HTTPStatus, page: bytes) -> None:
        self.send_response(status)
        for key, value in {**HEADERS, "Content-Type": "text/html; charset=utf-8"}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Says nothing: what people look at is their business."""

    pages: ClassVar[Mapping[str, Callable[[Room, Asked], bytes]]] = {}


def _page(name: str, **shown: Any) -> bytes:
    template = environment("en").get_template("serve.html")
    return template.render(page=name, link=_link, **shown).encode("utf-8", "replace")


def _link(where: str, **asked: Any) -> str:
    return f"/{where}?" + urlencode({key: value for key, value in asked.items() if value not in {None, ""}})


def _runs(room: Room, _: Asked) -> bytes:
    found = [(run, run.record()) for run in reversed(runs.every(room.work))]
    return _page("runs", runs=found, work=str(room.work))


def _run(room: Room, asked: Asked) -> bytes:
    run = room.run(asked)
    record = run.record()
    return _page("run", run=run, record=record, reported=(run.path / "report.html").is_file())


def _report(room: Room, asked: Asked) -> bytes:
    return (room.run(asked).path / "report.html").read_bytes()


def _documents(room: Room, asked: Asked) -> bytes:
    run, number = room.run(asked), max(0, int(asked["page"]) if asked.get("page", "").isdecimal() else 0)
    chosen = {key: asked[key] for key in ("fate", "reason", "source") if asked.get(key)}
    rows = list(islice(_rows(Stored(run), chosen), number * SHOWN, (number + 1) * SHOWN + 1))
    return _page(
        "documents", run=run, rows=rows[:SHOWN], more=len(rows) > SHOWN, number=number, chosen=chosen
    )


def _rows(stored: Stored, chosen: Asked) -> Iterator[dict[str, Any]]:
    """The documents whose columns have the chosen values, part after part."""
    for path in stored.files:
        table = read_columns(path, _COLUMNS)
        for name, value in chosen.items():
            table = table.filter(pc.equal(table.column(name), value))
        yield from table.to_pylist()


def _explain(room: Room, asked: Asked) -> bytes:
    run = room.run(asked)
    found = explain.explain(run, asked.get("doc", ""))
    return _page("explain", run=run, found=found, told=explain.render(found))


def _quarantine(room: Room, asked: Asked) -> bytes:
    run = room.run(asked)
    rows = documents.quarantined(run)
    return _page("quarantine", run=run, rows=rows[:QUARANTINED], total=len(rows))


_Reader.pages = {
    "/": _runs, "/run": _run, "/report": _report, "/documents": _documents, "/explain": _explain,
    "/quarantine": _quarantine,
}  # fmt: skip
