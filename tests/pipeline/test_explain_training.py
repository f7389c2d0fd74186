"""explain tells which steps of a training learnt from a document, and what the guard did about the others."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pipeline import explain
from pipeline.errors import RecipeError
from pipeline.runs import Run
from pipeline.training import lessons
from stages.packed import Packed
from tests.command import gristmill
from tests.pipeline.conftest import perform
from trainer.guard import Guard
from trainer.order import Order

STEPS = 110
RECIPE = f"""\
name: guarded
load: {{sources: [{{name: docs, paths: [docs.jsonl]}}]}}
tokenize: {{train: {{kind: bpe, vocab_size: 300}}}}
pack: {{seq_len: 64, validation: 0.05}}
train:
  {{layers: 2, heads: 4, kv_heads: 2, width: 64, batch_tokens: 256, steps: {STEPS}, lr: 0.01, threads: 1,
   guard: rollback, guard_z: 7.0, save_every: 20, eval_every: 20, eval_rows: 8, keep: 9}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose training met one document of noise among sentences that are easy to learn."""
    folder = tmp_path_factory.mktemp("guarded")
    draw = random.Random(2)
    sentence = "the miller of the old mill takes the grain to the stone and the flour to the town "
    rows = [{"id": f"plain-{n}", "text": sentence * draw.randint(2, 6) + str(n)} for n in range(150)]
    noise = "".join(draw.choices([chr(code) for code in range(0x4E00, 0x9000)], k=60))
    rows.insert(70, {"id": "noise", "text": noise})
    (folder / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    return perform(folder / "recipe.yaml")


def order_of(run: Run) -> Order:
    """The order of the training's rows."""
    manifest = Packed(run.path / "packed").manifest
    return Order(manifest.fingerprint, 0, manifest.splits["train"].rows, 256 // 64)


def replayed(run: Run, rows: set[int]) -> tuple[list[int], list[int]]:
    """Steps that learnt from rows, and those that drew them masked, by going through the training again."""
    order = order_of(run)
    learnt: set[int] = set()
    masked: set[int] = set()
    skip: set[int] = set()
    at = 0
    events = json.loads((run.path / "train" / "guard.json").read_text())["events"]
    for event in [*events, {"step": STEPS + 1, "back_to": STEPS, "rows": []}]:
        for step in range(at + 1, event["step"]):
            drawn = rows & set(order.at(step - 1)[0].tolist())
            learnt |= {step} if drawn - skip else set()
            masked |= {step} if drawn and not drawn - skip else set()
        at = event["back_to"]
        learnt, masked = ({step for step in steps if step <= at} for steps in (learnt, masked))
        skip |= set(event["rows"])
    return sorted(learnt), sorted(masked)


def test_a_masked_document_was_trained_on_only_before_the_rollback(trained: Run) -> None:
    """A real guard's memory: steps since the place that it went back to are skipped, not learnt from."""
    found = explain.explain(trained, "noise")
    told = found["trained"]
    rows = {place["row_of_split"] for place in found["packed"] if place["split"] == "train"}
    assert (told["steps"], told["masked"]) == replayed(trained, rows)
    assert told["masked"]
    first = told["undone"][0]
    text = explain.render(found)
    assert f"skipped by the guard in {len(told['masked'])} steps" in text
    assert f"undone by the rollback from step {first['step']} to {first['back_to']}" in text


def test_the_steps_of_other_documents_were_taken_again(trained: Run) -> None:
    """What a rollback undid is told; they have been learnt from since."""
    order = order_of(trained)
    events = json.loads((trained.path / "train" / "guard.json").read_text())["events"]
    blamed = {row for event in events for row in event["rows"]}
    event = events[0]
    assert event["back_to"] < event["step"] - 1
    split = Packed(trained.path / "packed").split("train")
    row = next(row for row in order.at(event["step"] - 2)[0].tolist() if row not in blamed)
    doc = split.segments([row]).doc[0].tobytes().hex()
    told = explain.explain(trained, doc)["trained"]
    assert event["step"] - 1 in told["steps"]
    assert event["step"] - 1 in told["undone"][0]["steps"]
    assert told["masked"] == []


def memory(packed: Path, folder: Path, steps: int, events: list[dict[str, Any]], **odd: Any) -> Path:
    """The folder of a made-up training: a quiet log, but for a line, and what a guard remembers."""
    folder.mkdir()
    manifest = Packed(packed).manifest
    (folder / "config.json").write_text(json.dumps({"batch_tokens": 4 * manifest.seq_len, "seed": 0}))
    lines = [{"step": step, "loss": 2.0, "grad_norm": 0.5} for step in range(1, steps + 1)]
    lines[2] |= odd
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"step": 9')
    guard = Guard(folder / "guard.json", 8.0)
    for event in events:
        guard.record({"why": "loss is nan", "documents": [], **event}, event["rows"], write=bool(events))
    return folder


def test_a_later_rollback_may_go_further_back(trained: Run, tmp_path: Path) -> None:
    """Steps that were taken with a row, undone later and taken again without it did not learn from it."""
    packed = trained.path / "packed"
    row = int(order_of(trained).at(2)[0][0])
    first = {"step": 6, "back_to": 4, "rows": [row]}
    out = memory(packed, tmp_path / "one", 8, [first])
    assert lessons(packed, out, [row])["steps"] == [3]
    out = memory(packed, tmp_path / "two", 8, [first, {"step": 7, "back_to": 2, "rows": []}])
    told = lessons(packed, out, [row])
    assert (told["steps"], told["masked"]) == ([], [3])


@pytest.mark.parametrize("odd", [{"skipped": "loss 9 is far above"}, {"grad_norm": float("inf")}])
def test_a_step_that_was_left_out_taught_nothing(trained: Run, tmp_path: Path, odd: dict[str, Any]) -> None:
    """Skipped by the guard, or an overflow in half precision; a log that is being written is read, too."""
    packed = trained.path / "packed"
    row = int(order_of(trained).at(2)[0][0])
    told = lessons(packed, memory(packed, tmp_path / "out", 8, [], **odd), [row])
    assert told["steps_done"] == 8
    assert told["steps"] == []
    assert [one["step"] for one in told["not_taken"]] == [3]


def test_a_folder_without_a_training_is_an_error(trained: Run, tmp_path: Path) -> None:
    """Named with what is missing."""
    with pytest.raises(RecipeError, match="no training there"):
        explain.explain(trained, "noise", tmp_path)
    work = trained.work
    said = gristmill("explain", "noise", "--work", work, "--train", tmp_path, expect=2).stderr
    assert "no training there" in said
