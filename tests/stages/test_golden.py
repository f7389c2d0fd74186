"""The same version of a stage writes the same bytes: results are reused by version, so it must be so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.naming import stage_class
from tests import golden

STAGES = ["load", "clean", "langid", "dedup", "decontaminate", "mix", "tokenize", "pack"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's recipe, run as far as the shards."""
    folder = tmp_path_factory.mktemp("golden")
    golden.run(folder)
    return folder


@pytest.mark.parametrize("word", STAGES)
def test_the_same_version_writes_the_same_bytes(word: str, work: Path) -> None:
    """A stage whose output on the sample changed must change its version too."""
    now, then = golden.digests(work), json.loads(golden.RECORDED.read_text())
    if any(now[earlier] != then[earlier] for earlier in STAGES[: STAGES.index(word)]):
        return  # a stage before it is to blame, and says so
    recorded = then[word]
    if stage_class(word).version > recorded["version"]:
        return
    assert now[word]["sha256"] == recorded["sha256"], (
        f"stage {word} writes other bytes than its version {recorded['version']} did. If that is meant, bump "
        f"`version` in stages/{word}.py (and run python -m tests.golden to record it); if not, fix it."
    )
