"""Checkpoints are whole or passed over, and never of another run."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.conftest import small
from trainer import checkpoint
from trainer.checkpoint import DamagedError, MismatchError


def save(out: Path, step: int, value: float = 1.0) -> Path:
    """A small checkpoint."""
    state = {"step": step, "fingerprint": "f" * 64, "config": small().model_dump(mode="json")}
    return checkpoint.save(out, state, {"w": torch.full((4, 4), value)}, {"w/exp_avg": torch.zeros(4, 4)})


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    """Tensors and state come back as they were; nothing else lies in the folder."""
    folder = save(tmp_path, 20, 0.25)
    assert folder.name == "step-000020"
    found = checkpoint.read(folder)
    assert found.state["step"] == 20
    assert torch.equal(found.model["w"], torch.full((4, 4), 0.25))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000020"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    """A flipped byte, a truncated or a lost file: the one before it is taken, and the message says so."""
    save(tmp_path, 10)
    path = save(tmp_path, 20) / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-9] ^= 1  # inside a tensor, or inside the digest
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    said: list[str] = []
    found = checkpoint.newest(tmp_path, say=said.append)
    assert found is not None
    assert found.state["step"] == 10
    assert len(said) == 1
    assert "step-000020" in said[0]


def test_a_flipped_digit_in_the_state_is_noticed(tmp_path: Path) -> None:
    """The state is valid JSON still, and not what was saved."""
    path = save(tmp_path, 20) / "state.json"
    path.write_text(path.read_text().replace('"step": 20', '"step": 21'))
    with pytest.raises(DamagedError, match="digest"):
        checkpoint.read(path.parent)


def test_a_torn_folder_is_never_taken_and_is_cleared(tmp_path: Path) -> None:
    """What a killed save leaves behind is not a checkpoint, and the next save removes it."""
    save(tmp_path, 10)
    torn = tmp_path / "checkpoints" / ".step-000020"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.state["step"] == 10
    save(tmp_path, 20)
    assert sorted(path.name for path in torn.parent.iterdir()) == ["step-000010", "step-000020"]


def test_the_newest_and_the_multiples_are_kept(tmp_path: Path) -> None:
    """keep: 2 and keep_every: 20 leave the last two and every twentieth step."""
    for step in (10, 20, 30, 40, 50, 60, 70):
        save(tmp_path, step)
    checkpoint.prune(tmp_path, small(keep=2, keep_every=20))
    kept = sorted(int(path.name[-6:]) for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [20, 40, 60, 70]


@pytest.mark.parametrize(
    ("changes", "fingerprint", "says"),
    [
        ({}, "e" * 64, "other shards"),
        ({"width": 64}, "f" * 64, "width 32 -> 64"),
        ({"seed": 9}, "f" * 64, "seed 0 -> 9"),
        ({"lr": 0.5}, "f" * 64, "lr"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], fingerprint: str, says: str) -> None:
    """Another corpus, shape or order of data: the message names what differs and what to do."""
    found = checkpoint.read(save(tmp_path, 20))
    with pytest.raises(MismatchError, match=says) as refusal:
        checkpoint.check_same_run(found.state, small(**changes), fingerprint, found.folder)
    assert "another --out folder" in str(refusal.value)


def test_a_longer_run_on_another_machine_is_the_same_run(tmp_path: Path) -> None:
    """More steps, another device, other intervals: nothing that the past depends on."""
    found = checkpoint.read(save(tmp_path, 20))
    later = small(steps=99, device="cpu", micro_batch=3, eval_every=7, save_every=9)
    checkpoint.check_same_run(found.state, later, "f" * 64, found.folder)


def test_no_pickle_is_read_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving and reading work where every way to a pickle is closed, and the sources name none."""

    def closed(*_: object, **__: object) -> None:
        raise AssertionError("a pickle")

    for name in ("load", "save"):
        monkeypatch.setattr(torch, name, closed)
    original = builtins.__import__

    def guarded(name: str, *rest: Any, **named: Any) -> Any:
        if name in {"pickle", "dill", "joblib"}:
            closed()
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert checkpoint.read(save(tmp_path, 20)).state["step"] == 20
    monkeypatch.undo()
    for source in Path(checkpoint.__file__).parent.glob("*.py"):
        text = source.read_text()
        assert not any(
            word in text for word in ("torch.load", "torch.save", "import pickle", "weights_only")
        ), source


def test_the_state_is_plain_json(tmp_path: Path) -> None:
    """Anyone can read what a checkpoint is of."""
    state = json.loads((save(tmp_path, 20) / "state.json").read_text())
    assert {"step", "fingerprint", "config", "files", "digest", "format"} <= set(state)
