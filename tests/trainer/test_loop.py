"""A training run: what it computes, what it writes, and that killing it changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.packed import Packed
from tests.trainer.conftest import SMALL, small
from tests.trainer.corpus import text_like
from trainer import checkpoint
from trainer.checkpoint import MismatchError
from trainer.ending import DivergedError
from trainer.loop import train
from trainer.metrics import TIMING, unigram_entropy

ROOT = Path(__file__).parents[2]


def lines(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without its timings."""
    text = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMING} for line in text]


def same_run(one: Path, other: Path) -> None:
    """Bit for bit: metrics, and the tensors of the last checkpoints."""
    assert lines(one) == lines(other)
    first, second = checkpoint.newest(one), checkpoint.newest(other)
    assert first is not None
    assert second is not None
    assert first.state["step"] == second.state["step"]
    for mine, theirs in ((first.model, second.model), (first.optimiser, second.optimiser)):
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def command(packed: Packed, out: Path, *prelude: str, **changes: Any) -> list[str]:
    """`python -m trainer train` as a process, after some lines of Python that arrange an accident."""
    config = out.with_suffix(".json")
    config.write_text(json.dumps({**SMALL, **changes}))
    arguments = [
        "trainer",
        "train",
        "--packed",
        str(packed.folder),
        "--out",
        str(out),
        "--config",
        str(config),
    ]
    lines = [
        "import os, runpy, signal, sys",
        *prelude,
        f"sys.argv = {arguments!r}",
        "runpy.run_module('trainer', run_name='__main__')",
    ]
    return [sys.executable, "-c", "\n".join(lines)]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A process in the repository, its output kept."""
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


BEFORE_UPDATE = (
    "import trainer.loop as loop",
    "update = loop.Run.update",
    "def disturbed(run, micros):",
    "    if run.step == {step}: os.kill(os.getpid(), signal.{signal})",
    "    return update(run, micros)",
    "loop.Run.update = disturbed",
)
KILL_IN_STEP = tuple(line.format(step=20, signal="SIGKILL") for line in BEFORE_UPDATE)
KILL_MID_ACCUMULATION = (
    "import trainer.loop as loop",
    "count = [0]",
    "sums = loop.by_source",
    "def counted(*a):",
    "    count[0] += 1",
    "    if count[0] == 75: os.kill(os.getpid(), signal.SIGKILL)",
    "    return sums(*a)",
    "loop.by_source = counted",
)
KILL_IN_CHECKPOINT = (
    "import trainer.checkpoint as checkpoint",
    "sync, count = checkpoint._sync, [0]",
    "def counted(path):",
    "    count[0] += path.name == 'state.json'",
    "    if count[0] == 2: os.kill(os.getpid(), signal.SIGKILL)",
    "    sync(path)",
    "checkpoint._sync = counted",
)


@pytest.fixture(scope="module")
def undisturbed(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 26 steps that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    train(packed.folder, out, small(steps=26, save_every=10, eval_every=6, micro_batch=2, dropout=0.1))
    return out


@pytest.mark.parametrize("accident", [KILL_IN_STEP, KILL_MID_ACCUMULATION, KILL_IN_CHECKPOINT])
def test_killed_and_resumed_equals_uninterrupted(
    packed: Packed, undisturbed: Path, tmp_path: Path, accident: tuple[str, ...]
) -> None:
    """SIGKILL after step 20, between micro-batches, or while a checkpoint is written: the same bits."""
    out = tmp_path / "out"
    changes = {"steps": 26, "save_every": 10, "eval_every": 6, "micro_batch": 2, "dropout": 0.1}
    assert run(command(packed, out, *accident, **changes)).returncode == -signal.SIGKILL
    assert not (out / "summary.json").exists()
    done = run(command(packed, out, **changes))
    assert done.returncode == 0, done.stderr
    assert "goes on after step" in done.stderr
    same_run(undisturbed, out)


def test_two_threads_resume_bit_for_bit(packed: Packed, tmp_path: Path) -> None:
    """The sums of several threads are as repeatable as those of one."""
    for out, legs in ((tmp_path / "one", [8]), (tmp_path / "two", [4, 8])):
        for steps in legs:
            train(
                packed.folder, out, small(steps=steps, threads=2, schedule="constant", warmup=2, eval_every=0)
            )
    one, two = checkpoint.newest(tmp_path / "one"), checkpoint.newest(tmp_path / "two")
    assert one is not None
    assert two is not None
    assert all(torch.equal(one.model[name], two.model[name]) for name in one.model)


def test_a_damaged_checkpoint_costs_steps_not_the_run(
    packed: Packed, undisturbed: Path, tmp_path: Path
) -> None:
    """With its newest checkpoint broken, a run goes on from the one before and ends the same."""
    out = tmp_path / "out"
    changes = {"steps": 26, "save_every": 10, "eval_every": 6, "micro_batch": 2, "dropout": 0.1}
    run(command(packed, out, *KILL_IN_STEP, **changes))
    path = out / "checkpoints" / "step-000020" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 255
    path.write_bytes(data)
    train(packed.folder, out, small(**changes))
    same_run(undisturbed, out)


def test_sigterm_saves_and_ends(packed: Packed, undisturbed: Path, tmp_path: Path) -> None:
    """The run ends with 128 + 15 and a checkpoint of the step it was at; the same command finishes it."""
    out = tmp_path / "out"
    changes = {"steps": 26, "save_every": 10, "eval_every": 6, "micro_batch": 2, "dropout": 0.1}
    terminate = [line.format(step=12, signal="SIGTERM") for line in BEFORE_UPDATE]
    stopped = run(command(packed, out, *terminate, **changes))
    assert stopped.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: saved" in stopped.stderr
    assert (out / "checkpoints" / "step-000013").is_dir()
    train(packed.folder, out, small(**changes))
    same_run(undisturbed, out)


def test_a_finished_run_has_nothing_to_do(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again touches nothing; with more steps it goes on."""
    first = train(packed.folder, tmp_path, small())
    stamp = (tmp_path / "metrics.jsonl").stat().st_mtime_ns
    assert train(packed.folder, tmp_path, small(micro_batch=1)) == first
    assert "nothing to do" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl").stat().st_mtime_ns == stamp
    assert train(packed.folder, tmp_path, small(steps=9))["steps"] == 9
    assert [line["step"] for line in lines(tmp_path) if "eval" not in line] == list(range(1, 10))


def test_another_corpus_or_shape_is_refused(packed: Packed, tmp_path: Path) -> None:
    """A folder of checkpoints belongs to one corpus and one model."""
    train(packed.folder, tmp_path / "out", small())
    other = text_like(tmp_path / "other", tokens=2000, seed=5)
    with pytest.raises(MismatchError, match="other shards"):
        train(other.folder, tmp_path / "out", small())
    with pytest.raises(MismatchError, match="width 32 -> 64"):
        train(packed.folder, tmp_path / "out", small(width=64))


def test_micro_batches_give_the_same_run(packed: Packed, tmp_path: Path) -> None:
    """One, three or eight rows a pass, with unequal padding: the same losses and norms, but for rounding."""
    runs = []
    for micro in (1, 3, 8):
        train(packed.folder, tmp_path / str(micro), small(micro_batch=micro))
        runs.append(
            [(line["loss"], line["grad_norm"]) for line in lines(tmp_path / str(micro)) if "eval" not in line]
        )
    assert runs[1] == [pytest.approx(pair, rel=1e-4) for pair in runs[0]]
    assert runs[2] == [pytest.approx(pair, rel=1e-4) for pair in runs[0]]


def test_watching_changes_nothing(packed: Packed, tmp_path: Path) -> None:
    """Evaluations, checkpoints and prefetching leave every loss as it is."""
    train(packed.folder, tmp_path / "often", small(eval_every=1, save_every=1, dropout=0.2))
    train(packed.folder, tmp_path / "never", small(eval_every=0, save_every=0, prefetch=3, dropout=0.2))
    often, never = (
        [line for line in lines(tmp_path / name) if "eval" not in line] for name in ("often", "never")
    )
    assert often == never


def test_the_summary_says_what_the_run_did(packed: Packed, tmp_path: Path) -> None:
    """First and final losses, counts and the entropy to beat; per-source figures that add up."""
    summary = train(packed.folder, tmp_path, small())
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    steps = [line for line in lines(tmp_path) if "eval" not in line]
    assert summary["train_loss_first"] == steps[0]["loss"]
    assert summary["tokens"] == steps[-1]["tokens"] == sum(line["step_tokens"] for line in steps)
    assert summary["unigram_entropy"] == pytest.approx(slow_entropy(packed))
    evals = [line["eval"] for line in lines(tmp_path) if "eval" in line]
    assert [line["step"] for line in lines(tmp_path) if "eval" in line] == [0, 3, 6]
    last = evals[-1]
    assert summary["validation_loss"] == last["loss"]
    total = sum(of["loss"] * of["labels"] for of in last["sources"].values())
    assert last["loss"] == pytest.approx(total / last["labels"])
    # the corpus has four bytes a token
    assert last["bits_per_byte"] == pytest.approx(last["loss"] / np.log(2) / 4)


def slow_entropy(packed: Packed) -> float:
    """Unigram entropy, one row at a time."""
    split = packed.split("train")
    tokens: list[int] = []
    for row in range(len(split)):
        tokens += split.rows([row])[0, : split.segments([row]).lengths.sum()].tolist()
    share = np.unique(tokens, return_counts=True)[1] / len(tokens)
    assert unigram_entropy(split, packed.manifest, rows_at_once=7) == pytest.approx(
        -(share * np.log(share)).sum()
    )
    return float(-(share * np.log(share)).sum())


@pytest.mark.parametrize("guard", ["off", "skip", "rollback"])
def test_a_loss_that_is_no_number_ends_the_run(packed: Packed, tmp_path: Path, guard: str) -> None:
    """The message names the step and what to change; no checkpoint of the broken weights is left."""
    with pytest.raises(DivergedError, match="lower lr"):
        train(
            packed.folder,
            tmp_path,
            small(lr=1e18, clip=0, warmup=0, schedule="constant", steps=30, guard=guard),
        )


def test_a_time_budget_ends_the_run(packed: Packed, tmp_path: Path) -> None:
    """minutes: the run stops when they are over, with a summary, a checkpoint and a decayed rate."""
    begun = time.monotonic()
    summary = train(packed.folder, tmp_path, small(steps=10**6, minutes=0.02, warmup=1, eval_every=0))
    assert time.monotonic() - begun < 30
    assert 0 < summary["steps"] < 10**6
    assert (tmp_path / "checkpoints" / f"step-{summary['steps']:06d}").is_dir()


def test_text_is_learned_below_its_unigram_entropy(tmp_path: Path) -> None:
    """A hundred steps of the sample's shape know more than how frequent tokens are."""
    packed = text_like(tmp_path / "packed", tokens=60_000, seq_len=128, vocab=512)
    config = small(
        layers=2, heads=4, kv_heads=0, width=96, steps=100, batch_tokens=2048, eval_every=0, save_every=0
    )
    summary = train(packed.folder, tmp_path / "out", config)
    assert summary["train_loss_final"] < summary["unigram_entropy"]
    assert summary["validation_loss"] < summary["unigram_entropy"]


def test_nothing_of_a_run_needs_the_environment(packed: Packed, tmp_path: Path) -> None:
    """Another hash seed and a clean environment give the same losses."""
    runs = []
    for seed in ("0", "1"):
        out = tmp_path / seed
        arguments = command(packed, out, steps=2)
        environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed}
        done = subprocess.run(
            arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        runs.append(lines(out))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_trains_and_resumes_bit_for_bit(packed: Packed, tmp_path: Path, dtype: str) -> None:
    """Autocast on a CPU: the loss falls, the scale is kept with the checkpoint, two sittings equal one."""
    changes = {"dtype": dtype, "lr": 0.01, "schedule": "constant", "warmup": 2, "eval_every": 0}
    one = train(packed.folder, tmp_path / "one", small(**changes, steps=12))
    for steps in (6, 12):
        train(packed.folder, tmp_path / "two", small(**changes, steps=steps))
    assert one["train_loss_final"] < one["train_loss_first"] - 0.1
    first, second = checkpoint.newest(tmp_path / "one"), checkpoint.newest(tmp_path / "two")
    assert first is not None
    assert second is not None
    assert first.state["scaler"] == second.state["scaler"]
    assert (first.state["scaler"] == [65536.0, 12]) is (dtype == "fp16")
    assert all(torch.equal(first.model[name], second.model[name]) for name in first.model)


def test_a_run_begins_with_the_planner_s_warnings(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too many epochs are told before the first step, and not again when the run goes on."""
    train(packed.folder, tmp_path / "out", small(steps=90, batch_tokens=512, eval_every=0, layers=1))
    assert "planner: " in (said := capsys.readouterr().err)
    assert "epochs" in said
    train(
        packed.folder, tmp_path / "out", small(steps=91, batch_tokens=512, eval_every=0, layers=1, warmup=9)
    )
    assert "planner: " not in capsys.readouterr().err
