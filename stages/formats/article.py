"""The article in a page's main content: blocks judged by cheap features, no second parser.

Takes what resiliparse's main-content extraction gives as minimal HTML and drops what its rules let through:
what stands before the headline and the headline itself (articles in the gold standard have none), lines of
links, scraps, repeated captions, and what stands behind the last sentence. If more than three tenths would
go, the page is no article (a list, a forum, a recipe) and stays whole.

The numbers were chosen on 181 news and blog pages (Scrapinghub's article-extraction-benchmark); all but the
last can be moved by half there without costing more than .002 of mean F1.
"""

from __future__ import annotations

import html
import re
from typing import Final, NamedTuple

_BLOCK: Final = re.compile(r"<pre>(.*?)</pre>|<(p|h[1-6])>(.*?)</\2>|([^\n]+)", re.DOTALL)
_LINK: Final = re.compile(r"<a [^>]*>(.*?)</a>", re.DOTALL)
_TAG: Final = re.compile(r"<[^>]+>")
_ENDED: Final = re.compile(r"[.!?…。！？:：][\"”’»」』)\]]*$")

_FIGURE: Final = re.compile(
    r"<figure[^>]{0,300}>(\s{0,99}<pre[\s>](?:(?!</?figure).){0,20000}?</pre>\s{0,99})</figure>", re.DOTALL
)

# Characters of a block:
_SCRAP: Final = 10  # fewer are a label or a mark, unless they end like a sentence
_LOOSE: Final = 25  # fewer in no block of their own are furniture of the page
_LONG: Final = 120  # so many may be half links, as in a paragraph of references
_CAPTION: Final = 40  # so many stand once: the second time they are a caption or a teaser
_LEAD: Final = 80  # fewer, without a sentence's end, are no beginning of an article

_KEPT: Final = 0.7  # share of the characters that an article leaves; with less left the page is none


class Block(NamedTuple):
    """One block of a page."""

    tag: str
    """`p`, `h1` to `h6`, `li`, `pre`, or empty for text in no block of its own."""
    text: str
    linked: float
    """Share of its characters that are links."""

    @property
    def ended(self) -> bool:
        """Whether it ends like a sentence."""
        return _ENDED.search(self.text) is not None


def listings_freed(page: str) -> str:
    """The page with listings taken out of their figures: resiliparse passes figures over, with what they hold."""
    return _FIGURE.sub(r"<div>\1</div>", page) if "<figure" in page else page


def article(marked: str) -> str:
    """The article's text; blocks are separated by blank lines, items of a list by line feeds.

    Args:
        marked: main content as minimal HTML (`p`, `h1`-`h6`, `ul`, `ol`, `li`, `pre`, `a`, `br`).
    """
    blocks = _blocks(marked)
    chosen = _choose(blocks)
    if _size(chosen) < _KEPT * _size(blocks):
        chosen = blocks
    parts: list[str] = []
    for block, before in zip(chosen, [None, *chosen], strict=False):
        item = block.tag == "li"
        if before is not None:
            parts.append("\n" if item and before.tag == "li" else "\n\n")
        parts.append(f"- {block.text}" if item else block.text)
    return "".join(parts)


def _blocks(marked: str) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(marked):
        if match[1] is not None:
            tag, content = "pre", match[1]
        elif match[2]:
            tag, content = match[2], match[3]
        else:
            tag, content = "li" if "<li>" in match[4] else "", match[4]
        text = html.unescape(_TAG.sub("", content))
        text = text.strip("\n") if tag == "pre" else text.strip()
        if text:
            linked = sum(len(html.unescape(_TAG.sub("", link))) for link in _LINK.findall(content))
            found.append(Block(tag, text, linked / len(text)))
    return found


def _size(blocks: list[Block]) -> int:
    return sum(len(block.text) for block in blocks)


def _choose(blocks: list[Block]) -> list[Block]:
    """The blocks of the article; none if nothing below the headline reads like prose."""
    blocks = _below_headline(blocks)
    good = [_is_content(block) for block in blocks]
    prose = [
        keep and block.tag[:1] != "h" and len(block.text) >= _LOOSE and block.ended
        for keep, block in zip(good, blocks, strict=True)
    ]
    if True not in prose:
        return []
    end = len(prose) - prose[::-1].index(True)
    chosen: list[Block] = []
    seen: set[str] = set()
    for index, block in enumerate(blocks[:end]):
        if len(block.text) >= _CAPTION:
            if block.text in seen:
                continue
            seen.add(block.text)
        if good[index] or _is_framed(blocks, prose, index):
            chosen.append(block)
    lead = 0
    while lead < len(chosen) and len(chosen[lead].text) < _LEAD and not chosen[lead].ended:
        lead += 1
    return chosen[lead:]


def _below_headline(blocks: list[Block]) -> list[Block]:
    """What follows the first `h1`, if it is the larger part."""
    for index, block in enumerate(blocks):
        if block.tag == "h1":
            below = blocks[index + 1 :]
            return below if 2 * _size(below) > _size(blocks) else blocks
    return blocks


def _is_content(block: Block) -> bool:
    """Whether a block looks like part of an article, on its own."""
    size = len(block.text)
    if block.tag == "pre":
        return True
    if block.linked >= 0.5 and not (size >= _LONG and block.linked < 0.8):
        return False
    if block.tag == "h1":
        return False
    if not block.tag:
        return size >= _LOOSE and (size < _LONG or block.ended)
    return size >= _SCRAP or (block.tag == "p" and block.ended)


def _is_framed(blocks: list[Block], prose: list[bool], index: int) -> bool:
    """Whether a short heading or paragraph stands right before prose (and a paragraph also behind it)."""
    block = blocks[index]
    if block.tag in {"", "h1"} or block.linked >= 0.5 or index + 1 >= len(blocks) or not prose[index + 1]:
        return False
    return block.tag[0] == "h" or (index > 0 and prose[index - 1])
