"""A step that would do harm is noticed, undone, and its documents are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.packed import Packed
from tests.trainer.conftest import small
from tests.trainer.corpus import documents, pack
from trainer.guard import Guard, outliers
from trainer.loop import train
from trainer.trace import Traced

SHAPE: dict[str, Any] = {"width": 64, "batch_tokens": 256, "steps": 110, "lr": 0.01, "guard_z": 7.0,
                         "save_every": 20, "eval_every": 20, "keep": 9}  # fmt: skip


def corpus(folder: Path, garbage: list[np.ndarray]) -> Packed:
    """Text-like documents, and some garbage in their midst; the same documents held out."""
    docs = [(source, tokens) for source in range(2) for tokens in documents(90, 256, source, fan=3)]
    docs = [docs[at] for at in np.random.default_rng(0).permutation(len(docs))]
    middle = len(docs) // 2
    train_docs = docs[20:middle] + [(1, tokens) for tokens in garbage] + docs[middle:]
    return pack(folder, train_docs, docs[:20])


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A corpus with one document of 64 tokens at random, a whole row."""
    tokens = np.append(np.random.default_rng(9).integers(1, 256, 63), 0)
    return corpus(tmp_path_factory.mktemp("poisoned") / "packed", [tokens])


def poison_row(packed: Packed) -> int:
    """The row with the garbage: the only one that is one document of 64 tokens ending its document."""
    flat = packed.split("train").segments(range(len(packed.split("train"))))
    rows = packed.split("train").rows(range(len(packed.split("train"))))
    garbage = np.random.default_rng(9).integers(1, 256, 63)
    assert len(flat.offsets) == len(rows) + 1
    return int(np.flatnonzero((rows[:, :63] == garbage).all(axis=1))[0])


def test_a_poisoned_document_is_rolled_back_skipped_and_named(poisoned: Packed, tmp_path: Path) -> None:
    """Seen when its row comes up, undone, skipped from then on; the rest of the run is as without it."""
    row = poison_row(poisoned)
    summary = train(poisoned.folder, tmp_path / "out", small(**SHAPE, guard="rollback"))
    kept = json.loads((tmp_path / "out" / "guard.json").read_text())
    assert kept["skip"] == [row]
    assert len(kept["events"]) == 1
    event = kept["events"][0]
    flat = poisoned.split("train").segments([row])
    assert event["documents"][0]["doc_id"] == flat.doc[0].tobytes().hex()
    assert event["back_to"] % 20 == 0

    clean = corpus(tmp_path / "clean", [])
    reference = train(clean.folder, tmp_path / "reference", small(**SHAPE, guard="rollback"))
    assert not (tmp_path / "reference" / "guard.json").exists()
    assert summary["validation_loss"] == pytest.approx(reference["validation_loss"], abs=0.1)


def test_the_skip_list_survives_a_restart(poisoned: Packed, tmp_path: Path) -> None:
    """A second sitting that passes the row again skips it at once, and ends as one sitting does."""
    changes = {**SHAPE, "guard": "rollback", "schedule": "constant", "warmup": 10}
    single = train(poisoned.folder, tmp_path / "single", small(**{**changes, "steps": 115}))
    out = tmp_path / "two"
    train(poisoned.folder, out, small(**changes))
    shutil.rmtree(out / "checkpoints" / "step-000110")
    two = train(poisoned.folder, out, small(**{**changes, "steps": 115}))
    kept = json.loads((out / "guard.json").read_text())
    assert kept["skip"] == [poison_row(poisoned)]
    assert len(kept["events"]) == 1
    assert two["validation_loss"] == single["validation_loss"]


def test_a_harmful_step_is_left_out(poisoned: Packed, tmp_path: Path) -> None:
    """guard: skip takes no such step, marks it in the log and goes on."""
    train(poisoned.folder, tmp_path / "out", small(**SHAPE, guard="skip"))
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    skipped = [line for line in lines if "skipped" in line]
    assert skipped
    assert "deviations above" in skipped[0]["skipped"]
    assert [line["step"] for line in lines if "eval" not in line] == list(range(1, 111))


def history(count: int = 30) -> list[dict[str, float]]:
    """Lines of a quiet run."""
    return [{"loss": 4 + 0.01 * (n % 3), "grad_norm": 0.5 + 0.01 * (n % 4)} for n in range(count)]


@pytest.mark.parametrize(
    ("loss", "norm", "alarmed"),
    [(4.02, 0.5, False), (2.0, 0.1, False), (4.3, 0.5, False), (6.0, 0.5, True), (4.0, 5.0, True),
     (float("nan"), 0.5, True), (4.0, float("inf"), True)],
)  # fmt: skip
def test_only_upward_spikes_alarm(tmp_path: Path, loss: float, norm: float, alarmed: bool) -> None:
    """Small steps up and any way down are training; far up, or no number, is not."""
    guard = Guard(tmp_path / "guard.json", 8.0)
    assert bool(guard.judge({"loss": loss, "grad_norm": norm}, history())) is alarmed


def test_too_short_a_past_is_no_ground_for_alarm(tmp_path: Path) -> None:
    """The first steps of a run differ wildly; only numbers that are none alarm then."""
    guard = Guard(tmp_path / "guard.json", 8.0)
    assert guard.judge({"loss": 99.0, "grad_norm": 9.0}, history(5)) is None
    assert guard.judge({"loss": float("nan"), "grad_norm": 9.0}, []) is not None


def test_steps_that_overflowed_are_no_measure(tmp_path: Path) -> None:
    """In float16 some steps have no norm, which is null in the log: judged by the others."""
    guard = Guard(tmp_path / "guard.json", 8.0)
    past: list[dict[str, float | None]] = [*history(), {"loss": 4.0, "grad_norm": None}]
    assert guard.judge({"loss": 4.02, "grad_norm": 0.5}, past) is None
    assert guard.judge({"loss": 6.0, "grad_norm": 0.5}, past) is not None


def test_the_odd_document_is_found_among_many() -> None:
    """Documents whose losses stick out, worst first; where none does, all are under suspicion."""

    def one(number: int, loss: float, labels: int = 20) -> Traced:
        return Traced(f"{number:032x}", "web", number, 0, labels + 1, labels, loss, 80)

    quiet = [one(n, 4 + n / 50) for n in range(12)]
    assert outliers([*quiet, one(98, 9.0), one(99, 12.0), one(7, 15.0, labels=2)], 8.0) == [
        one(99, 12.0),
        one(98, 9.0),
    ]
    assert len(outliers(quiet, 8.0)) == 12
