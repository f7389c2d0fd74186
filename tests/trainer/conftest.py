"""Corpora and configurations that the trainer's tests share."""

from __future__ import annotations

from typing import Any

import pytest

from stages.packed import Packed
from tests.trainer.corpus import text_like
from trainer.config import Config, parse

SMALL: dict[str, Any] = {
    "layers": 2, "heads": 4, "kv_heads": 2, "width": 32, "batch_tokens": 512, "steps": 6, "threads": 1,
    "eval_every": 3, "eval_rows": 8, "save_every": 2, "prefetch": 0,
}  # fmt: skip


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A corpus of about 8,000 tokens in rows of 64, two sources, 256 ids."""
    return text_like(tmp_path_factory.mktemp("corpus") / "packed")


def small(**changes: Any) -> Config:
    """A configuration that takes milliseconds a step."""
    return parse({**SMALL, **changes})
