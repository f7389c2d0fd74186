"""Which blocks of a page's main content are its article."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.formats.article import article

ONE = "The mill stood by the river and its wheel turned all day long, grinding the grain of the valley."
TWO = "When the old miller died, his three sons divided what there was: the mill, the donkey and the cat."
PAGE = f"<p>{ONE}</p>\n\n<p>{TWO}</p>"


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (PAGE, f"{ONE}\n\n{TWO}"),
        (f"Home\n<h1>The Mill</h1>\n\n{PAGE}", f"{ONE}\n\n{TWO}"),
        (f"<p>12 May 2021</p>\n\n{PAGE}", f"{ONE}\n\n{TWO}"),
        (f"{PAGE}\n<h3>Related</h3>\n<p>More mills</p>", f"{ONE}\n\n{TWO}"),
        (f'{PAGE}\n<p><a href="/x">{ONE[:50]}</a></p>\n<p>{TWO[:-1]}!</p>', f"{ONE}\n\n{TWO}\n\n{TWO[:-1]}!"),
        (f"<p>{ONE}</p>\nShare\n<p>{TWO}</p>", f"{ONE}\n\n{TWO}"),
        (
            f"<p>{ONE}</p>\n<p>{ONE[:60]}</p>\n<p>{ONE[:60]}</p>\n<p>{TWO}</p>",
            f"{ONE}\n\n{ONE[:60]}\n\n{TWO}",
        ),
    ],
)
def test_what_is_no_article_leaves(marked: str, expected: str) -> None:
    """Headlines, dates, links, scraps and repetitions."""
    assert article(marked) == expected


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (f"<p>{ONE}</p>\n<h2>Later</h2>\n<p>{TWO}</p>", f"{ONE}\n\nLater\n\n{TWO}"),
        (f"<p>{ONE}</p>\n<p>“No.”</p>\n<p>{TWO}</p>", f"{ONE}\n\n“No.”\n\n{TWO}"),
        (f"<p>{ONE}</p>\n<p>And then</p>\n<p>{TWO}</p>", f"{ONE}\n\nAnd then\n\n{TWO}"),
        (f"<p>{ONE}<br>\n{TWO}</p>", f"{ONE}\n{TWO}"),
        (f"<p>1 &lt; 2 &amp; {ONE}</p>", f"1 < 2 & {ONE}"),
        (
            f"<p>{ONE}</p>\n<pre>if x:\n\n    y &lt; 1\n</pre>\n<p>{TWO}</p>",
            f"{ONE}\n\nif x:\n\n    y < 1\n\n{TWO}",
        ),
        (
            f"<p>{ONE}</p>\n<ul>\n  <li>one ounce of salt</li>\n  <li>two eggs, beaten</li>\n</ul>\n<p>{TWO}</p>",
            f"{ONE}\n\n- one ounce of salt\n- two eggs, beaten\n\n{TWO}",
        ),
    ],
)
def test_what_belongs_to_an_article_stays(marked: str, expected: str) -> None:
    """Headings and short lines between prose, line breaks, code, lists."""
    assert article(marked) == expected


def test_a_page_that_is_no_article_stays_whole() -> None:
    """If too much would go, nothing goes."""
    links = "\n".join(f'<p><a href="/{index}">Chapter {index} of the book</a></p>' for index in range(9))
    assert article(f"<h1>Contents</h1>\n<p>Short note.</p>\n{links}").startswith("Contents\n\nShort note.")
    assert article("<p>one</p>\n<p>two</p>") == "one\n\ntwo"


@given(st.text("<p>/h1li a=b.\n", max_size=80))
def test_any_markup_gives_text(marked: str) -> None:
    """Nothing raises; tags may be broken in any way."""
    assert isinstance(article(marked), str)
