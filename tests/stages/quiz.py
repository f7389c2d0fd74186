"""A benchmark of a few items, texts to look for them in, and what decontaminate says. Not a test."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.decontaminate import Decontaminate
from tests.pile import everywhere, pile

WORDS = [a + b for a in "bcdfgklmnprst" for b in ("ab", "el", "in", "or", "u", "ax", "eth")]


QUESTION = "How many copper kettles does the tinker's wife mend on a day when nine were brought in?"


ANSWER = "She mends nine, since the others can wait until the tinker himself is back from the fair."


CHINESE = "下列关于铜壶修理的说法中，正确的一项是哪一项？请选择最符合题意的答案。"


def prose(seed: int, size: int = 40) -> str:
    """Random words."""
    return " ".join(random.Random(seed).choices(WORDS, k=size))


def stage(folder: Path, items: Sequence[dict[str, Any]], **given: Any) -> Decontaminate:
    """A stage with one benchmark, `quiz`, of these items."""
    path = folder / "quiz.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    spec = {"name": "quiz", "paths": [str(path)], **given.pop("spec", {})}
    return Decontaminate.model_validate({"benchmarks": [spec], **given})


def spans(texts: Sequence[str], own: Decontaminate) -> list[list[tuple[str, str]]]:
    """For each text its evidence: item and matched text."""
    found = everywhere(own, pile(texts))
    return [
        [(hit["item"], text[hit["start"] : hit["end"]]) for hit in found[n]["contamination"] or []]
        for n, text in enumerate(texts)
    ]
