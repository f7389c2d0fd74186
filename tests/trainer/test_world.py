"""Several processes compute what one would."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.packed import Packed
from tests.trainer.conftest import SMALL, small
from trainer.world import started

ROOT = Path(__file__).parents[2]
# 7 rows a step divide by neither two nor four: ranks have unequal rows and labels
CONFIG = {**SMALL, "batch_tokens": 7 * 64, "steps": 6, "warmup": 2, "schedule": "constant", "eval_every": 2}


def lines(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Equal but for the order in which floats were added."""
    assert [line["step"] for line in other] == [line["step"] for line in one]
    for mine, theirs in zip(one, other, strict=True):
        if "eval" in mine:
            assert theirs["eval"]["loss"] == pytest.approx(mine["eval"]["loss"], rel=1e-4)
            assert theirs["eval"]["labels"] == mine["eval"]["labels"]
        else:
            assert (theirs["labels"], theirs["tokens"]) == (mine["labels"], mine["tokens"])
            assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)
            assert theirs["grad_norm"] == pytest.approx(mine["grad_norm"], rel=1e-3)


def ranks(packed: Packed, root: Path, plan: list[tuple[str, int, dict[str, Any]]]) -> None:
    """Runs a plan of `ranks.py`."""
    (root / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainer.ranks", str(packed.folder), str(root), str(root / "plan.json")],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_two_and_four_ranks_equal_one(packed: Packed, tmp_path: Path) -> None:
    """World sizes 1, 2 and 4, also one after the other from each other's checkpoints, with micro-batches."""
    plan = [("1", 1, CONFIG), ("2", 2, {**CONFIG, "micro_batch": 1}), ("4", 4, CONFIG)]
    plan += [("on", world, {**CONFIG, "steps": steps}) for world, steps in ((1, 2), (2, 4), (4, 6))]
    ranks(packed, tmp_path, plan)
    for name in ("2", "4", "on"):
        same(lines(tmp_path / "1"), lines(tmp_path / name))


def test_sharded_equals_replicated(packed: Packed, tmp_path: Path) -> None:
    """FSDP2 computes what DDP does, and each goes on from the other's checkpoint."""
    sharded = {**CONFIG, "parallel": "fsdp"}
    plan = [("ddp", 2, CONFIG), ("fsdp", 2, sharded)]
    plan += [("on", 2, {**sharded, "steps": 2}), ("on", 2, {**CONFIG, "steps": 4}), ("on", 2, sharded)]
    ranks(packed, tmp_path, plan)
    same(lines(tmp_path / "ddp"), lines(tmp_path / "fsdp"))
    same(lines(tmp_path / "ddp"), lines(tmp_path / "on"))


def test_freed_memory_is_kept() -> None:
    """As much as a step needs, freed and asked for again: soon no new pages come from the kernel."""

    def round_of_sixteen() -> None:
        made = [torch.ones(1 << 18) for _ in range(16)]  # of a mebibyte each, 256 pages
        made.clear()

    with started(small()):
        for _ in range(8):
            round_of_sixteen()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(8):
            round_of_sixteen()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 16 * 256


def test_torchrun_starts_ranks(packed: Packed, tmp_path: Path) -> None:
    """The command as users give it: one run, one log, one summary."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**CONFIG, "steps": 2}))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "trainer",
         "train", "--packed", str(packed.folder), "--out", str(tmp_path / "out"), "--config", str(config)],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["ranks"] == 2
    assert [line["step"] for line in lines(tmp_path / "out") if "eval" not in line] == [1, 2]
