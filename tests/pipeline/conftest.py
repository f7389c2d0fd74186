"""Two runs of the small corpus in one folder of results, and one of texts that try to break a page.

They are only looked at: whoever changes a file puts it back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline import recipe as recipes
from pipeline.progress import Watcher
from pipeline.run import Choice, run
from pipeline.runs import Run
from tests import corpus

NASTY = {
    "script": "</script></style></blockquote><script>alert(1)</script><img src=http://example.com/x onerror=y>",
    "bidi": "left \u202eright to left\u202c \u2066isolated\u2069 \u200fmark and no end \u202d",
    "nul": "before\x00after\x1b[31mred\x07 \x85 next\u2028line\ufeff",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301\u0302\u0303\u0304 ﷽",
    "long": "x" * 10_000_000,
    "jinja": "{{ 7 * 7 }} {% raw %} {# gone? #}",
    "lines": "\n" * 5000 + "end",
}
"""Name -> text; each comes twice, so that one copy is dropped and shown beside the other."""


class Pair(NamedTuple):
    """Two finished runs of one recipe, the second with another threshold of dedup."""

    recipe: Path
    first: Run
    second: Run


def perform(recipe: Path, *settings: str, last: str | None = None) -> Run:
    """Runs a recipe in this process, as far as `last`."""
    with Watcher(machine=True) as watcher:
        return run(recipes.read(recipe, settings), Choice(last=last), "serial", watcher)[0]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The small corpus as its recipe says, with rules that drop something, then with stricter dedup."""
    path = corpus.write(tmp_path_factory.mktemp("seeing"))
    path.write_text(path.read_text().replace("clean:\n", "clean: {thresholds: {gopher.words: {min: 40}}}\n"))
    return Pair(path, perform(path), perform(path, "dedup.threshold=0.97"))


@pytest.fixture(scope="session")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over texts that would break a page if they could; nothing is repaired."""
    folder = tmp_path_factory.mktemp("nasty")
    rows = [{"id": f"{name}-{n}", "text": text} for name, text in NASTY.items() for n in range(2)]
    (folder / "nasty.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(
        "load: {sources: [{name: nasty, paths: [nasty.jsonl]}]}\ndedup: {near: false}\n"
    )
    return perform(folder / "recipe.yaml")
