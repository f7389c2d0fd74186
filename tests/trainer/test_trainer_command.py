"""The verbs of `python -m trainer` and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.packed import Packed
from tests.trainer.conftest import SMALL
from trainer.__main__ import main
from trainer.config import Config

ROOT = Path(__file__).parents[2]


def written(path: Path, value: object) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(value))
    return path


def test_check_answers_with_the_filled_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 and every key."""
    assert main(["check", "--config", str(written(tmp_path / "c.json", {"layers": 3}))]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert config["layers"] == 3
    assert set(config) == set(Config.model_fields)


def test_check_answers_with_all_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a key and a message each."""
    assert main(["check", "--config", str(written(tmp_path / "c.json", {"widht": 3, "steps": 0}))]) == 2
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert [error["key"] for error in errors] == ["steps", "widht"] or [e["key"] for e in errors] == [
        "widht",
        "steps",
    ]
    assert any("did you mean 'width'?" in error["message"] for error in errors)


@pytest.mark.parametrize("content", ["{", "[1]", None])
def test_a_file_that_is_no_mapping_is_a_fault(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken JSON, a list, a missing file: exit 2 with the path."""
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content)
    assert main(["check", "--config", str(path)]) == 2
    assert str(path) in json.loads(capsys.readouterr().out)["errors"][0]["message"]


def test_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """What an editor needs to complete the keys of `train:`."""
    assert main(["schema"]) == 0
    assert "objective" in json.loads(capsys.readouterr().out)["properties"]


def test_check_imports_no_torch(tmp_path: Path) -> None:
    """It answers at once: neither torch nor Arrow nor numpy is loaded, and it takes below a second of CPU."""
    path = written(tmp_path / "c.json", {})
    code = (
        "import sys, time; from trainer.__main__ import main; "
        "code = main(['check', '--config', sys.argv[1]]); "
        "print(time.process_time(), file=sys.stderr); "
        "sys.exit(code or len({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stderr) < 1.0


def test_train_prints_a_block_that_grep_can_read(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0; `train_loss_final:` and its like stand at line starts."""
    config = written(tmp_path / "c.json", {**SMALL, "steps": 2})
    begun = time.monotonic()
    assert (
        main(
            ["train", "--packed", str(packed.folder), "--out", str(tmp_path / "out"), "--config", str(config)]
        )
        == 0
    )
    assert time.monotonic() - begun < 60
    block = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines()[1:])
    assert {"train_loss_final", "validation_loss", "unigram_entropy", "tokens"} <= set(block)


def test_other_shards_and_no_shards_are_integrity_faults(
    packed: Packed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 6 with what to do."""
    assert main(["train", "--packed", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 6
    assert "manifest.json" in capsys.readouterr().err
