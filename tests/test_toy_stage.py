"""Adding a stage takes one file and one key in a recipe (and a test file, which this is)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import results
from tests.command import HOME, gristmill

TOY = '''"""Drops documents that shout: a stage as small as a stage can be."""

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Local, Out


class Whisper(Local):
    """Keeps documents with few exclamation marks."""

    version: ClassVar = 1
    reads: ClassVar = ("text",)
    writes: ClassVar = {"shouts": pa.int64()}
    reasons: ClassVar = {"loud": "The document has too many exclamation marks."}

    most: int = 2
    """Exclamation marks that a document may have."""

    def apply(self, rows: pa.Table) -> Out:
        """Counts exclamation marks."""
        shouts = pc.count_substring(rows.column("text").combine_chunks(), "!").cast(pa.int64())
        reasons = pc.if_else(pc.greater(shouts, self.most), "loud", pa.scalar(None, pa.string()))
        return Out({"shouts": shouts}, reasons, {"shouts": pc.sum(shouts).as_py() or 0})
'''


def test_one_file_and_one_key_make_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's word is imported; plan, funnel, documents, schema and errors know the stage by itself."""
    house = tmp_path / "house"
    for room in ("pipeline", "stages", "trainer"):
        shutil.copytree(HOME / room, house / room, ignore=shutil.ignore_patterns("__pycache__"))
    (house / "stages" / "whisper.py").write_text(TOY)
    monkeypatch.chdir(house)
    texts = ["Quiet words. " * 5, "Loud! Louder! Loudest! " * 5]
    lines = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("load: {sources: [{name: a, paths: [a.jsonl]}]}\nwhisper: {most: 2}\n")
    gristmill("run", recipe, "--executor", "local:1", PYTHONPATH=str(house))
    fates = {row["orig_id"]: (row["fate"], row["reason"]) for row in results.documents(tmp_path / "work")}
    assert fates == {"0": ("kept", None), "1": ("whisper", "loud")}
    schema = json.loads(gristmill("schema", "whisper", PYTHONPATH=str(house)).stdout)
    assert schema["properties"]["most"]["default"] == 2
    recipe.write_text(recipe.read_text().replace("whisper:", "wisper:"))
    said = gristmill("run", recipe, expect=2, PYTHONPATH=str(house)).stderr
    assert "did you mean 'whisper'" in said
