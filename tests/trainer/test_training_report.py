"""The page beside metrics.jsonl: everything drawn, marked and listed, nothing fetched or run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.report import training
from stages.packed import Packed
from tests.trainer.conftest import small
from trainer.loop import train


def metrics(out: Path, steps: int = 40, source: str = "web") -> Path:
    """A run's files as the trainer writes them: a skipped step, an undone one, a torn last line."""
    out.mkdir()
    lines = []
    for step in range(1, steps + 1):
        line = {
            "step": step, "loss": 5 - step / 20, "lr": 1e-3, "grad_norm": 1.0, "tokens_per_s": 1e4,
            "memory_bytes": 10**9, "sources": {source: 5 - step / 20, "books": 4.0}, "seconds": 0.1,
        }  # fmt: skip
        lines.append(line | ({"skipped": "loss 9 is 12.0 deviations above"} if step == 7 else {}))
    figures = {"loss": 3.5, "perplexity": 33.1, "labels": 10, "bits_per_byte": 1.2}
    lines.append({"step": steps, "eval": {**figures, "sources": {source: figures}}, "seconds": 0.1})
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4'
    (out / "metrics.jsonl").write_text(text, encoding="utf-8")
    event = {
        "step": 12, "why": "loss is nan", "back_to": 10, "rows": [3, 4],
        "documents": [{"doc_id": "ab" * 16, "source": source}],
    }  # fmt: skip
    (out / "guard.json").write_text(json.dumps({"skip": [3, 4], "events": [event]}), encoding="utf-8")
    return out


def test_a_run_has_a_page_with_every_curve(packed: Packed, tmp_path: Path) -> None:
    """Loss, loss by source, learning rate, gradient norm, throughput and memory of a real run are drawn."""
    train(packed.folder, tmp_path / "out", small())
    page = training.write(tmp_path / "out", "demo")
    assert page is not None
    text = page.read_text(encoding="utf-8")
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) == 7
    for chart in charts:
        curves = re.findall(r'<path class="(?:one|two|source)"[^>]* d="([^"]*)"', chart)
        assert curves
        assert all(re.match(r"M[\d.]+ [\d.]+L", curve) for curve in curves)
    assert "bits a byte" in text
    assert "unigram_entropy" in text


def test_what_the_guard_did_is_marked_and_listed(tmp_path: Path) -> None:
    """A skipped and an undone step are dashed lines in every chart, with reason, rows and documents below."""
    page = training.write(metrics(tmp_path / "out"), "demo")
    assert page is not None
    text = page.read_text(encoding="utf-8")
    for chart in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert chart.count('class="mark"') == 2
    assert "loss is nan" in text
    assert "ab" * 16 in text
    assert "not finished" in text


def test_the_page_needs_nothing_and_trusts_nothing(tmp_path: Path) -> None:
    """No script, no address, and a source's name cannot become markup."""
    page = training.write(metrics(tmp_path / "out", source="<script>alert(1)</script>"), "demo")
    assert page is not None
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", text)


def test_a_long_run_makes_a_small_page(tmp_path: Path) -> None:
    """Curves are means over stretches: the page does not grow with the number of steps."""
    page = training.write(metrics(tmp_path / "out", steps=20_000), "demo")
    assert page is not None
    assert page.stat().st_size < 200_000


def test_nothing_trained_no_page(tmp_path: Path) -> None:
    """A folder without metrics gets no page."""
    assert training.write(tmp_path, "demo") is None
