"""Personal identifiers in text: found, counted, and replaced by fixed tokens.

E-mail and IP addresses (RULES 8.2, 8.3), payment cards, Chinese identity numbers, telephone numbers.

Grammars are our own and ASCII at their edges, so that addresses glued to Chinese text are found. Check digits
(Luhn; ISO 7064 MOD 11-2) and, for identity numbers, the date of birth keep other numbers out. Three points go
beyond RULES 8: a quad that the text itself calls a version, a release or a section, or that is part of a file's
name or a requirement, is no address; an IPv6 address may end a sentence; and "@2x.png" ends the name of an
image. Matched strings never leave this module.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.columns import from_utf8, utf8
from stages.kernels.candidates import candidates
from stages.repair import replaced

TOKENS: Final = {"email": "<EMAIL>", "ip": "<IP>", "cn_id": "<ID>", "card": "<CARD>", "phone": "<PHONE>"}

_ATOM: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-")
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_QUAD: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(
    rf"(?:(?:{_LABEL}\.)+[A-Za-z]{{2,63}}|{_QUAD}|\[{_QUAD}\])(?![A-Za-z0-9-])(?!\.[A-Za-z0-9])"
)
_IPV4: Final = re.compile(rf"(?<![0-9])(?<![0-9]\.){_QUAD}(?![0-9])(?!\.[0-9])")
_VERSION: Final = re.compile(
    r"(?:(?<![A-Za-z])(?:v|ver|versions?|rel|releases?|build|rev|revision|firmware|kernel|sec|sect|sections?|clause|chapter"
    r"|appendix|figure|table)[.:]?[ \t]?|版本号?[:： ]?|第|§[ \t]?|[A-Za-z]/|[A-Za-z]-|[=<>~!]=[ \t]?|\^)\Z",
    re.IGNORECASE,
)
_RELEASE: Final = re.compile(
    r"(?:[-.+_]?(?:alpha|beta|rc|dev|post|final|snapshot|ga|sp)[0-9]*"
    r"|\.(?:tar|t?gz|zip|whl|jar|war|exe|dll|so|deb|rpm|msi|apk|dmg|pdf))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_FILE_NAMES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".css", ".js", ".html", ".php")
"""Ends of names after "@" that are no top-level domains: images for screens of twice the density, packages."""
_IPV6: Final = re.compile(
    r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{2,36}(?![0-9A-Za-z_:])(?!\.[0-9A-Za-z])"
)
_CN_ID: Final = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_CARD: Final = re.compile(
    r"(?<![0-9A-Za-z_])(?:(?<![0-9][ -])[2-6](?:[ -]?[0-9]){11,18}(?![ -]?[0-9])"
    # In a row of numbers only what is written as cards are: in one piece, in fours, or 4-6-4 and 4-6-5.
    r"|[2-6][0-9]{11,18}|[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}"
    r")(?![0-9A-Za-z_])"
)
_ISSUERS: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|35[0-9]{14,17}|6(?:011|2[0-9]{2}|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}"
    r"|(?:5018|5020|5038|56[0-9]{2}|57[0-9]{2}|58[0-9]{2}|6304|6759|676[0-9]|604[0-9])[0-9]{8,15}"
)
_PHONE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][ .-])(?:"
    r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{1,5}(?:[ .-]?[0-9]{2,5}){1,4}"  # international
    r"|\([0-9]{2,4}\)[ .-]?[0-9]{3,4}[ .-]?[0-9]{3,4}"  # area code in brackets
    r"|(?:(?:00)?1[.-])?[2-9][0-9]{2}([.-])[2-9][0-9]{2}\1[0-9]{4}"  # North America
    r"|1[3-9][0-9]{9}|1[3-9][0-9]([ -])[0-9]{4}\2[0-9]{4}"  # China, mobile
    r"|0[0-9]{2,3}-[2-9][0-9]{6,7}"  # China, fixed
    r")(?:x[0-9]{1,5})?(?![0-9A-Za-z])(?![.-][0-9])"
)
_FEWEST_DIGITS: Final = 7
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def luhn(digits: str) -> bool:
    """Whether a number's last digit is the check digit of ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits), 1)]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def is_cn_id(number: str) -> bool:
    """Whether 18 characters are a resident identity number of the PRC (GB 11643): date and check digit."""
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    try:
        born = date(year, month, day)
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return born.year >= 1850 and "10X98765432"[total % 11] == number[17].upper()


def _emails(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        start = at
        # Back over atoms joined by single full stops.
        while start and (
            text[start - 1] in _ATOM
            or (text[start - 1] == "." and text[start] in _ATOM and start > 1 and text[start - 2] in _ATOM)
        ):
            start -= 1
        domain = _DOMAIN.match(text, at + 1)
        if start < at and domain and not domain.group().lower().endswith(_FILE_NAMES):
            yield start, domain.end()
        at = text.find("@", at + 1)


def _ips(text: str, *, private: bool) -> Iterator[tuple[int, int]]:
    for found in _IPV4.finditer(text):
        public = ipaddress.IPv4Address(found.group()).is_global
        called = _VERSION.search(text, max(0, found.start() - 12), found.start())
        if (private or public) and not called and not _RELEASE.match(text, found.end()):
            yield found.span()
    for found in _IPV6.finditer(text):
        spelled = found.group()
        hexadecimal = sum(character != ":" for character in spelled)
        if hexadecimal < 3 or not any(character.isdecimal() for character in spelled):
            continue
        try:
            address = ipaddress.IPv6Address(spelled)
        except ValueError:
            continue
        if private or (address.is_global and not address.is_reserved):  # times of day fall in ::/8
            yield found.span()


def _numbers(text: str) -> Iterator[tuple[str, int, int]]:
    for found in _CN_ID.finditer(text):
        if is_cn_id(found.group()):
            yield "cn_id", *found.span()
    for found in _CARD.finditer(text):
        digits = found.group().replace(" ", "").replace("-", "")
        if _ISSUERS.fullmatch(digits) and luhn(digits):
            yield "card", *found.span()
    for found in _PHONE.finditer(text):
        if sum(character.isdecimal() for character in found.group()) >= _FEWEST_DIGITS:
            yield "phone", *found.span()


def spans(text: str, *, private: bool = False) -> list[tuple[str, int, int]]:
    """Kind, start and end of every identifier, none inside another, in order.

    Args:
        text: one line, or more.
        private: also addresses that are not globally reachable.
    """
    found: list[tuple[str, int, int]] = []
    taken = bytearray(len(text))
    for kind, start, stop in (
        *(("email", *span) for span in _emails(text)),
        *(("ip", *span) for span in _ips(text, private=private)),
        *_numbers(text),
    ):
        if not any(taken[start:stop]):
            found.append((kind, start, stop))
            taken[start:stop] = b"\1" * (stop - start)
    return sorted(found, key=lambda span: span[1])


def masked(
    column: pa.Array, kinds: Sequence[str], *, private: bool, replace: bool
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Texts with every identifier replaced by its kind's token, if so wanted; and how many of each kind.

    Returns:
        The texts, large_string; int64 (n, kinds), columns in the order of `kinds`.
    """
    data, bounds = utf8(column)
    counts = np.zeros((len(bounds) - 1, len(kinds)), np.int64)
    pieces: list[tuple[int, int, int, bytes]] = []
    for row, start, stop in candidates(data, bounds).tolist():
        line = data[start:stop].tobytes().decode()
        found = [span for span in spans(line, private=private) if span[0] in kinds]
        for kind, _, _ in found:
            counts[row, kinds.index(kind)] += 1
        if found and replace:
            parts, at = [], 0
            for kind, first, last in found:
                parts += [line[at:first], TOKENS[kind]]
                at = last
            pieces.append((row, start, stop, "".join([*parts, line[at:]]).encode()))
    return from_utf8(*replaced((data, bounds), pieces)), counts
