"""Which of two corpora trains the better model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.packed import Packed
from tests.trainer.conftest import small
from tests.trainer.corpus import documents, pack
from trainer.checkpoint import MismatchError
from trainer.compare import compare_corpora, table, verdict

CONFIG = small(steps=50, lr=0.01, schedule="linear")


def corpus(folder: Path, junk: int = 0) -> Packed:
    """Text-like documents, of which some are overwritten with noise; the same ones are held out, clean."""
    docs = [(source, tokens) for source in range(2) for tokens in documents(120, 256, source, fan=3)]
    docs = [docs[at] for at in np.random.default_rng(0).permutation(len(docs))]
    random = np.random.default_rng(7)
    train = [
        (source, np.append(random.integers(1, 256, len(tokens) - 1), 0) if number < junk else tokens)
        for number, (source, tokens) in enumerate(docs[30:])
    ]
    return pack(folder, train, docs[:30])


def test_junk_makes_a_corpus_worse(tmp_path: Path) -> None:
    """Half of the documents noise: the clean corpus is better, by more than the error, in both sources."""
    clean, dirty = corpus(tmp_path / "clean"), corpus(tmp_path / "dirty", junk=105)
    result = compare_corpora(clean.folder, dirty.folder, tmp_path / "out", CONFIG, seeds=3)
    assert result["verdict"] == "A better"
    assert set(result["difference"]) == {"all", "web", "books"}
    assert all(of["mean"] < 0 < of["standard_error"] for of in result["difference"].values())
    assert result["held_out_documents"] == 30
    heading, _, columns, *lines = table(result).splitlines()
    assert heading.startswith("Loss (nats a token) on 30 documents")
    assert columns.split() == ["labels", "A", "B", "A", "-", "B", "standard", "error"]
    assert [line.split()[0] for line in lines[:3]] == ["all", "books", "web"]
    assert lines[-1].startswith("A better: over all, A - B is -")


def test_a_corpus_is_no_better_than_itself(tmp_path: Path) -> None:
    """The same shards twice: no difference, and no verdict."""
    one = corpus(tmp_path / "one")
    result = compare_corpora(one.folder, one.folder, tmp_path / "out", small(steps=4), seeds=2)
    assert result["verdict"] == "cannot tell"
    assert result["difference"]["all"] == {**result["difference"]["all"], "mean": 0.0, "standard_error": 0.0}


def test_another_order_of_the_same_rows_is_not_a_better_corpus(tmp_path: Path) -> None:
    """The same documents in more shards are other batches, which is noise: one cannot tell."""
    docs = [(0, tokens) for tokens in documents(120, 256, 3, fan=3)]
    one = pack(tmp_path / "one", docs[20:], docs[:20], shards=1)
    two = pack(tmp_path / "two", docs[20:], docs[:20], shards=3)
    result = compare_corpora(one.folder, two.folder, tmp_path / "out", small(steps=30, lr=0.01), seeds=3)
    assert result["difference"]["all"]["mean"] != 0
    assert result["verdict"] == "cannot tell"


def test_the_verdict_minds_the_error_and_the_number_of_seeds() -> None:
    """Student's t: three seeds must differ by 4.3 standard errors, ten by 2.3."""
    assert verdict({"mean": 0.40, "standard_error": 0.1}, 3) == "cannot tell"
    assert verdict({"mean": 0.44, "standard_error": 0.1}, 3) == "B better"
    assert verdict({"mean": -0.24, "standard_error": 0.1}, 10) == "A better"


def test_other_tokenizers_cannot_be_compared(tmp_path: Path) -> None:
    """Losses of other tokens are other numbers: refused, with the way out."""
    docs = [(0, tokens) for tokens in documents(10, 100, 3)]
    one = pack(tmp_path / "one", docs, docs[:2], seq_len=64)
    two = pack(tmp_path / "two", docs, docs[:2], seq_len=32)
    with pytest.raises(MismatchError, match="tokenize"):
        compare_corpora(one.folder, two.folder, tmp_path / "out", CONFIG, seeds=2)


def test_one_seed_knows_no_error(tmp_path: Path) -> None:
    """A single pair of runs is refused."""
    one = corpus(tmp_path / "one")
    with pytest.raises(ValueError, match="two seeds"):
        compare_corpora(one.folder, one.folder, tmp_path / "out", CONFIG, seeds=1)
