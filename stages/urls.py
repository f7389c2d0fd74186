"""URL rules (RULES 7): documents whose host is listed, or whose URL holds listed strings.

Hosts are compared whole, never by substring: short entries occur inside innocent hosts. The registrable domain
is that of the public suffix list which `publicsuffixlist` carries (private suffixes too: `a.github.io` is
registrable); its version, a date, belongs to the identity of a stage that uses it. A document without URL
meets no rule. Duplicates by URL are another stage's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from stages.attached import Stamped, listed, names, stamped
from stages.base import StageError

__all__ = ["Domains", "Substrings", "Urls"]

_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")


class Domains(BaseModel):
    """Hosts that are not wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: tuple[str, ...] = Field(min_length=1)
    """Files with a host a line; `#` begins a comment line. `www.` and case are ignored."""

    match: Literal["registrable", "host"] = "registrable"
    """Compare the host and its registrable domain with the list, or the host alone."""

    include_subdomains: bool = False
    """A listed host stands for all hosts below it, too."""


class Substrings(BaseModel):
    """Strings that condemn a URL, if enough of them are in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    paths: tuple[str, ...] = Field(min_length=1)
    """Files with a string a line; `#` begins a comment line."""

    min_distinct_hits: Annotated[int, Field(ge=1)] = 1
    """How many different strings of the list must be in the URL: leftmost first, the longest of those, no
    character twice.
    """

    match: Literal["substring", "word"] = "substring"
    """Anywhere, or only without a letter or digit on either side."""

    ignore_chars: str = ""
    """Characters that are deleted from the URL before it is searched."""

    case_sensitive: bool = False
    """Whether capitals differ from small letters."""


class Urls(BaseModel):
    """What is looked for in URLs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    domains: Domains | None = None
    """Hosts that are not wanted (reason `url.domain`)."""

    substrings: tuple[Substrings, ...] = ()
    """Lists of strings; a document that one of them condemns is dropped (reason `url.substring`)."""

    def files(self) -> dict[str, tuple[str, ...]]:
        """Label -> list files."""
        found = {f"url.substrings.{place}": one.paths for place, one in enumerate(self.substrings)}
        return found | ({"url.domains": self.domains.paths} if self.domains else {})

    def identity(self) -> dict[str, Any]:
        """What decides the result but for the files' content."""
        found = self.model_dump(
            mode="json", exclude={"domains": {"paths"}, "substrings": {"__all__": {"paths"}}}
        )
        return found | ({"suffixes": version("publicsuffixlist")} if self.domains else {})

    def measured(
        self, urls: Sequence[str | None], files: Mapping[str, tuple[Path, ...]]
    ) -> dict[str, pa.Array]:
        """`url_domain`: 1 where the host is listed; `url_substring`: lists that condemn the URL. int64."""
        domains = [0] * len(urls)
        if self.domains is not None:
            hosts = _hosts(stamped(files["url.domains"]))
            domains = [int(url is not None and _unwanted(url, hosts, self.domains)) for url in urls]
        lists = [
            _strings(stamped(files[f"url.substrings.{place}"]), one.case_sensitive)
            for place, one in enumerate(self.substrings)
        ]
        condemned = [
            sum(
                url is not None and _distinct(url, strings, one) >= one.min_distinct_hits
                for strings, one in zip(lists, self.substrings, strict=True)
            )
            for url in urls
        ]
        return {"url_domain": pa.array(domains, pa.int64()), "url_substring": pa.array(condemned, pa.int64())}


def host_of(url: str) -> str:
    """The host in small letters, in ASCII (IDNA), without `www.`; empty if there is none."""
    url = url.strip()
    try:
        host = urlsplit(url if _SCHEME.match(url) else f"//{url}").hostname or ""
    except ValueError:  # brackets without an address
        return ""
    host = host.rstrip(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:  # a label too long: no such host, but it can be listed
            return host
    return host.removeprefix("www.")


@cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - read only where domains are compared

    return PublicSuffixList()


def registrable(host: str) -> str:
    """The public suffix of a host and one label more; an address, or a suffix, is itself."""
    if _ADDRESS.fullmatch(host):
        return host
    return _suffixes().privatesuffix(host) or host


@cache
def _hosts(files: Stamped) -> frozenset[str]:
    entries = listed(files, "domain list")
    for entry in entries:
        if not host_of(entry) or "/" in _SCHEME.sub("", entry, count=1).rstrip("/"):
            raise StageError(
                f"clean: {entry!r} in domain list {names(files)} is no host; write example.com, "
                "and put strings that are looked for anywhere in a URL under url: {substrings: ...}"
            )
    return frozenset(map(host_of, entries))


def _unwanted(url: str, hosts: frozenset[str], how: Domains) -> bool:
    host = host_of(url)
    if not host:
        return False
    if host in hosts or (how.match == "registrable" and registrable(host) in hosts):
        return True
    while how.include_subdomains and "." in host:
        host = host.partition(".")[2]
        if host in hosts:
            return True
    return False


Strings = tuple[frozenset[str], tuple[int, ...], frozenset[str]]
"""The strings of a list, their lengths, the greatest first, and their beginnings, as long as the shortest."""


@cache
def _strings(files: Stamped, case_sensitive: bool) -> Strings:
    entries = listed(files, "list of URL strings")
    strings = frozenset(entries if case_sensitive else map(str.lower, entries))
    lengths = tuple(sorted({len(entry) for entry in strings}, reverse=True))
    return strings, lengths, frozenset(entry[: lengths[-1]] for entry in strings)


def _distinct(url: str, strings: Strings, how: Substrings) -> int:
    """How many different strings are in a URL, looked for from the left, the longest first."""
    entries, lengths, heads = strings
    shortest = lengths[-1]
    if not how.case_sensitive:
        url = url.lower()
    if how.ignore_chars:
        url = url.translate(dict.fromkeys(map(ord, how.ignore_chars)))
    found = set()
    at = 0
    while at < len(url):
        for length in lengths if url[at : at + shortest] in heads else ():
            entry = url[at : at + length]
            if entry in entries and (how.match == "substring" or _is_word(url, at, at + len(entry))):
                found.add(entry)
                at += len(entry)
                break
        else:
            at += 1
    return len(found)


def _is_word(text: str, start: int, stop: int) -> bool:
    return not (start and text[start - 1].isalnum()) and not text[stop : stop + 1].isalnum()
