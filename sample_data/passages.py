"""The pieces as passages: read, cut in two at a paragraph, named. Knows nothing of file formats or plants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PIECES = Path(__file__).parent / "pieces"
SPOKEN = ("en", "zh", "de", "es", "fr", "ja")
"""Languages that the recipe keeps."""


@dataclass(frozen=True)
class Passage:
    """A text that becomes one record.

    Attributes:
        name: the piece and the number of the passage in it: `en/first-loaf#1`.
        lang: ISO 639-1 code, or `code`.
        title: the heading of the piece; empty where it has none.
        text: what is to be read, heading included if the passage opens with it; ends without a line feed.
    """

    name: str
    lang: str
    title: str
    text: str


def passages(lang: str) -> list[Passage]:
    """All passages of the pieces of one folder, in the order of their names; code is not cut."""
    found = []
    for path in sorted(path for path in (PIECES / lang).iterdir() if not path.name.startswith(".")):
        text = path.read_text(encoding="utf-8").strip("\n")
        if lang == "code":
            found.append(Passage(f"code/{path.name}", "code", path.name, text))
            continue
        title = ""
        if text.startswith("# "):
            heading, _, text = text.partition("\n\n")
            title = heading.removeprefix("# ")
        halves = cut(text) if lang in SPOKEN else [text]
        for number, half in enumerate(halves, start=1):
            opening = f"{title}\n\n" if title and number == 1 else ""
            language = path.stem[-2:] if lang == "other" else lang
            found.append(Passage(f"{lang}/{path.stem}#{number}", language, title, opening + half))
    return found


def cut(text: str) -> list[str]:
    """The text in two, between the paragraphs that lie nearest to its middle."""
    paragraphs = text.split("\n\n")
    ways = [
        ["\n\n".join(paragraphs[:place]), "\n\n".join(paragraphs[place:])]
        for place in range(1, len(paragraphs))
    ]
    return min(ways, key=lambda way: abs(len(way[0]) - len(way[1])))
