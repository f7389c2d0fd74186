"""Metrics for those who watch elsewhere."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from stages.packed import Packed
from tests.trainer.conftest import small
from trainer.loop import train
from trainer.trackers import numbers


class Fake(types.ModuleType):
    """Stands for wandb or trackio: keeps what it is given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.settings: dict[str, Any] = {}
        self.logged: list[tuple[dict[str, float], int]] = []
        self.finished = 0

    def init(self, **settings: Any) -> Fake:
        """Opens itself."""
        self.settings = settings
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        """Takes numbers."""
        self.logged.append((values, step))

    def finish(self) -> None:
        """Counts."""
        self.finished += 1


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_gets_every_line(
    name: str, packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of metrics.jsonl arrives with its step, the configuration before, an end after."""
    fake = Fake(name)
    monkeypatch.setitem(sys.modules, name, fake)
    train(packed.folder, tmp_path / "out", small(trackers=[name]))
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [step for _, step in fake.logged] == [line["step"] for line in lines]
    assert fake.logged[1][0]["train/loss"] == lines[1]["loss"]
    assert fake.logged[-1][0]["eval/sources/web/loss"] == lines[-1]["eval"]["sources"]["web"]["loss"]
    assert fake.settings["config"]["steps"] == 6
    assert fake.finished == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_its_files(packed: Packed, tmp_path: Path) -> None:
    """TensorBoard itself finds the losses of every step in the event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(packed.folder, tmp_path / "out", small(trackers=["tensorboard"]))
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    found = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    found.Reload()
    losses = [(event.step, event.value) for event in found.Scalars("train/loss")]
    assert losses == [(line["step"], pytest.approx(line["loss"])) for line in lines if "eval" not in line]


def test_what_is_not_installed_is_named(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="pip install wandb"):
        train(packed.folder, tmp_path / "out", small(trackers=["wandb"]))


def test_lines_become_flat_names() -> None:
    """Nested figures are joined with slashes; words and nothings are left out."""
    line = {"step": 3, "loss": 1.5, "skipped": "why", "sources": {"web": 2.0}, "grad_norm": None}
    assert numbers(line) == {"train/loss": 1.5, "train/sources/web": 2.0}
    assert numbers({"step": 3, "eval": {"loss": 1.0}, "seconds": 2.0}) == {"eval/loss": 1.0}
