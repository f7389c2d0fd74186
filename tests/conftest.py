"""One run of the sample's recipe, shared by the tests that only look at its results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import HOME, gristmill


@pytest.fixture(scope="session")
def sample_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the sample's recipe, all stages and training included."""
    work = tmp_path_factory.mktemp("sample") / "work"
    gristmill("run", HOME / "sample_data" / "recipe.yaml", "--work", work)
    return work
