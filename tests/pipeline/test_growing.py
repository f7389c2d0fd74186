"""A corpus that grows: only what is new is surveyed, and the outcome is that of all at once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from pipeline import flow
from pipeline import recipe as recipes
from pipeline.executors import Serial
from pipeline.flow import Flow, Walked
from tests import corpus

PART = 20_000  # bytes of text: several parts a source


def documents(seed: int) -> list[str]:
    """Plain documents, copies and edited copies of them."""
    draw = random.Random(seed)
    texts = [corpus.document(draw) for _ in range(40)]
    for _ in range(40):
        text = draw.choice(texts)
        texts.append(draw.choice([text, corpus.edited(draw, text), text.upper()]))
    draw.shuffle(texts)
    return texts


def written(folder: Path, sources: dict[str, list[str]]) -> Path:
    """A recipe over these sources, in this order."""
    lines = ["load:", f"  part_bytes: {PART}", "  sources:"]
    for name, texts in sources.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        lines.append(f"    - {{name: {name}, paths: [{name}.jsonl]}}")
    path = folder / "recipe.yaml"
    path.write_text(
        "\n".join([*lines, "dedup: {max_drop: 1.0, lines: {max_documents: 2, min_words: 0}}", ""])
    )
    return path


def walked(path: Path, work: Path) -> tuple[Walked, dict[str, tuple[int, int]]]:
    """The results of dedup, and of each of its steps how many results were made, of how many."""
    made: dict[str, tuple[int, int]] = {}

    def watch(stage: str, step: str, done: int, total: int) -> None:
        if stage == "dedup" and step not in made:
            made[step] = (total - done, total)

    *_, done = Flow(recipes.read(path), work, Serial, watch).walk()
    return done, made


@pytest.mark.parametrize("seed", range(5))
def test_adding_a_source_surveys_that_source_alone(seed: int, tmp_path: Path) -> None:
    """A, then A and B in the same store: signatures of B's parts only; every file as if both came at once."""
    texts = documents(seed)
    split = random.Random(seed).randint(20, 60)
    one, other = {"a": texts[:split]}, {"b": texts[split:]}
    first, made = walked(written(tmp_path, one), tmp_path / "grown")
    assert made["survey 0"] == (len(first.parts), len(first.parts))
    second, made = walked(written(tmp_path, one | other), tmp_path / "grown")
    new = len(second.parts) - len(first.parts)
    assert new > 0
    assert made["survey 0"] == (new, len(second.parts))
    at_once, made = walked(tmp_path / "recipe.yaml", tmp_path / "fresh")
    assert made["survey 0"] == (len(second.parts), len(second.parts))
    assert [part.sha256 for part in second.parts] == [part.sha256 for part in at_once.parts]
    assert [part["ledger"] for part in second.parts] == [part["ledger"] for part in at_once.parts]
    assert sum(own["dropped"].get("near", 0) for part in second.parts for own in part["ledger"].values())


def test_what_a_new_source_does_not_touch_is_not_verified_again(tmp_path: Path) -> None:
    """Candidates of the old parts send their shingles again only where their component changed."""
    texts = documents(7)
    fresh = [corpus.document(random.Random(1000 + n)) for n in range(20)]
    one = {"a": texts}
    first, _ = walked(written(tmp_path, one), tmp_path / "grown")
    second, made = walked(written(tmp_path, one | {"b": [*fresh, *fresh[:3]]}), tmp_path / "grown")
    assert made["survey 1"][0] == len(second.parts) - len(first.parts)


def test_verification_and_components_in_pieces_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task a bucket, decisions merged over files round after round: the same files as in one piece."""
    path = written(tmp_path, {"a": documents(11)})
    at_once, made = walked(path, tmp_path / "whole")
    assert (made["decide 0"][1], made["decide 1"][1]) == (1, 1)
    assert "merge 0" not in made
    monkeypatch.setattr(flow, "DECIDED_TOGETHER", 1)
    path.write_text(path.read_text().replace("dedup: {", "dedup: {edges: 1, "))
    pieces, made = walked(path, tmp_path / "pieces")
    assert made["decide 0"][1] > 10
    assert made["decide 1"][1] > 1
    assert made["merge 0"][1] == -(-made["decide 0"][1] // 2)
    assert [part.sha256 for part in pieces.parts] == [part.sha256 for part in at_once.parts]
