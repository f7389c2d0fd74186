"""What mixtures that are made before the tokenizer runs promise: shares in tokens, within 3 % of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import estimating, vocabulary
from stages.estimating import Later
from stages.mix import Mix
from stages.tokenize import Tokenize
from stages.training import Training, train
from tests.stages.rounds import cut, run_global


def scripts(documents: int = 400) -> pa.Table:
    """Two groups whose tokens differ in length by far: a few words over and over, and Chinese at random."""
    draw = np.random.default_rng(5)
    words = ["mixture", "tokens", "weights", "documents", "repeated"]
    texts = []
    for at in range(documents):
        size = int(draw.integers(20, 400))
        chinese = "".join(map(chr, draw.integers(0x4E00, 0x4F00, size)))
        texts.append(chinese if at % 2 else " ".join(draw.choice(words, size)))
    return pa.table(
        {
            "doc_id": pa.array([draw.bytes(16) for _ in texts], pa.binary(16)),
            "source": ["zh" if at % 2 else "en" for at in range(documents)],
            "text": pa.array(texts, pa.large_string()),
            "bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
        }
    )


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "given"])
@pytest.mark.parametrize("sample", [20_000, 1 << 20])
def test_tokens_are_measured_where_the_tokenizer_runs_later(
    tmp_path: Path, kind: Any, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a sample, or from all there is, realised shares are within 3 % of the target in tokens."""
    monkeypatch.setattr(estimating, "SAMPLE_BYTES", sample)
    rows = scripts()
    training = Training(kind="bpe" if kind == "given" else kind, vocab_size=700)
    content = train(training, vocabulary.EOS, rows["text"].to_pylist())
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    later = Later(file=str(path)) if kind == "given" else Later(train=training)
    stage = Mix(weights={"en": 0.3, "zh": 0.7}, tokens=30_000, later=later)
    mixed, ruling = run_global(stage, cut(rows, [33, 90]))
    assert stage.rounds == 3
    assert ruling is not None
    library = vocabulary.encoder(content)
    counts = [len(library.encode(text).ids) + 1 for text in rows["text"].to_pylist()]
    found = np.array(counts) * mixed["repeats"].to_numpy()
    chinese = np.array(rows["source"].to_pylist()) == "zh"
    assert abs(found[chinese].sum() / found.sum() / 0.7 - 1) < 0.03
    assert abs(found[~chinese].sum() / found.sum() / 0.3 - 1) < 0.03
    assert abs(found.sum() / 30_000 - 1) < 0.1
    blind, _ = run_global(stage.model_copy(update={"later": None}), [rows])
    guessed = np.array(counts) * blind["repeats"].to_numpy()
    assert abs(guessed[chinese].sum() / guessed.sum() / 0.7 - 1) > 0.03


def test_a_given_number_of_bytes_is_not_measured() -> None:
    """Nothing is drawn where the recipe says how many bytes a token takes."""
    later = Later(train=Training())
    assert Mix(tokens=9, later=later, bytes_per_token=3).rounds == 2
    assert Mix(tokens=9, later=later, bytes_per_token={"web": 3}).rounds == 3
    assert "text" not in Mix(tokens=9, later=later, bytes_per_token=3).survey_reads(1)
    assert "text" in Mix(tokens=9, later=later).survey_reads(1)


def test_texts_that_are_too_few_to_learn_from_are_counted_as_english(tmp_path: Path) -> None:
    """No stand-in, no error: `tokenize` will say what it lacks."""
    rows = scripts(2).slice(0, 0)
    empty = pa.concat_tables([rows, scripts(2).set_column(2, "text", pa.array(["", ""], pa.large_string()))])
    mixed, ruling = run_global(Mix(tokens=100, max_epochs=9, later=Later(train=Training())), [empty])
    assert ruling is not None
    assert len(mixed) == 2


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=4), st.randoms(use_true_random=False))
def test_the_cut_does_not_change_what_is_measured(bounds: list[int], random: Any) -> None:
    """Blocks belong to documents: any parts, the same sizes, repeats and ruling."""
    rows = scripts(60)
    stage = Mix(temperature=0.5, tokens=4000, later=Later(train=Training(vocab_size=400)))
    some, ruling = run_global(stage, cut(rows, bounds), random.randrange(1000))
    whole, ruling_of_whole = run_global(stage, [rows])
    assert some["repeats"].to_pylist() == whole["repeats"].to_pylist()
    assert ruling is not None
    assert ruling.equals(ruling_of_whole)


def test_the_stage_hears_how_texts_will_be_tokenized() -> None:
    """From the stages after it; where `tokenize` stands before it, tokens are known and nothing is told."""
    after = Tokenize(train=Training(vocab_size=500))
    assert Mix().followed_by([after]).later == Later(train=Training(vocab_size=500))
    assert Mix().followed_by([]).later is None
