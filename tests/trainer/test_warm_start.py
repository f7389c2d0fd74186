"""A run that begins with another one's weights, its vocabulary perhaps grown."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from stages.packed import TOKENIZER, Packed
from stages.training import Training
from stages.training import train as train_tokenizer
from tests.trainer.conftest import small
from tests.trainer.corpus import text_like
from trainer import checkpoint
from trainer.checkpoint import MismatchError
from trainer.loop import train
from trainer.model import Decoder


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def older(request: pytest.FixtureRequest, packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on 256 ids."""
    out: Path = tmp_path_factory.mktemp("older") / "out"
    train(packed.folder, out, small(tied=request.param, eval_every=0))
    return out


def tied(run: Path) -> bool:
    """How that run was configured."""
    found = checkpoint.newest(run)
    assert found is not None
    return bool(found.state["config"]["tied"])


def test_known_ids_keep_their_rows_and_new_ones_are_their_mean(older: Path) -> None:
    """From 256 to 300 ids: 256 rows as they were, 44 equal to the mean; all other weights untouched."""
    config = small(tied=tied(older), warm_start=str(older))
    found = checkpoint.newest(older)
    assert found is not None
    weights = checkpoint.warm_weights(older, config, 300, older / TOKENIZER)
    assert {name: tuple(w.shape) for name, w in weights.items()} == {
        name: tuple(p.shape) for name, p in Decoder(config, 300).named_parameters()
    }
    for name, value in weights.items():
        old = found.model[name]
        if name in {"embedding.weight", "head.weight"}:
            assert torch.equal(value[:256], old)
            torch.testing.assert_close(value[256:], old.mean(0).expand(44, -1))
        else:
            assert torch.equal(value, old)


def test_a_warm_run_begins_where_the_older_one_ended(older: Path, packed: Packed, tmp_path: Path) -> None:
    """On the same shards, one idle step after a warm start is far better than one after a cold start."""
    summary = train(packed.folder, tmp_path / "cold", small(tied=tied(older), steps=1, eval_every=0))
    warm = small(tied=tied(older), steps=1, eval_every=0, warm_start=str(older), lr=1e-9)
    assert (
        train(packed.folder, tmp_path / "warm", warm)["validation_loss"] < summary["validation_loss"] - 0.01
    )


def test_a_grown_vocabulary_trains(older: Path, tmp_path: Path) -> None:
    """Shards with more ids than the older run knew are trained on, and the run resumes as itself."""
    grown = text_like(tmp_path / "grown", vocab=300, seed=7)
    config = small(tied=tied(older), warm_start=str(older))
    train(grown.folder, tmp_path / "out", config)
    more = config.model_copy(update={"steps": 8})
    assert train(grown.folder, tmp_path / "out", more)["steps"] == 8


def test_another_shape_is_refused_by_name(older: Path, packed: Packed, tmp_path: Path) -> None:
    """The message names every key that differs, with both values."""
    config = small(tied=tied(older), width=64, layers=3, warm_start=str(older))
    with pytest.raises(MismatchError, match=r"layers 2, here 3; width 32, here 64.*make them equal"):
        train(packed.folder, tmp_path / "out", config)


def test_a_smaller_vocabulary_and_no_run_are_refused(older: Path, packed: Packed, tmp_path: Path) -> None:
    """Ids cannot be forgotten, and a folder without checkpoints is told."""
    with pytest.raises(MismatchError, match=r"knows 256 tokens, these shards have 200.*only grow"):
        checkpoint.warm_weights(older, small(tied=tied(older)), 200, older / TOKENIZER)
    with pytest.raises(MismatchError, match="no whole checkpoint"):
        train(packed.folder, tmp_path / "out", small(warm_start=str(tmp_path / "nowhere")))


TEXTS = ["the mill grinds the corn that the river brings", "rivers turn wheels, and wheels turn mills"] * 3


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_ids_must_mean_the_same_tokens(tmp_path: Path, kind: str) -> None:
    """Real tokenizers: one with tokens added is taken; of one trained on other text, the first id is named."""
    first, grown, other = (tmp_path / name for name in ("first", "grown", "other"))
    for folder in (first, grown, other):
        folder.mkdir()
    texts = {first: TEXTS, other: [text.upper() for text in TEXTS]}
    for folder, said in texts.items():
        training = Training(kind=kind, vocab_size=320, min_frequency=1)  # type: ignore[arg-type]
        (folder / TOKENIZER).write_bytes(train_tokenizer(training, "<eos>", said))
    more = Tokenizer.from_file(str(first / TOKENIZER))
    more.add_special_tokens(["<tool>"])
    more.save(str(grown / TOKENIZER))

    run = tmp_path / "run"
    shards = text_like(tmp_path / "shards", tokens=2000, vocab=more.get_vocab_size() - 1, tokenizer=first)
    train(shards.folder, run, small(steps=2))
    config = small(warm_start=str(run), steps=1)
    more_shards = text_like(tmp_path / "more", tokens=2000, vocab=more.get_vocab_size(), tokenizer=grown)
    assert train(more_shards.folder, tmp_path / "warm", config)["steps"] == 1

    ids = [Tokenizer.from_file(str(folder / TOKENIZER)) for folder in (first, other)]
    differs = next(n for n in range(320) if ids[0].id_to_token(n) != ids[1].id_to_token(n))
    other_shards = text_like(tmp_path / "strange", tokens=2000, vocab=more.get_vocab_size(), tokenizer=other)
    with pytest.raises(MismatchError, match=rf"id {differs} is .* only adds ids"):
        train(other_shards.folder, tmp_path / "refused", config)
    (run / TOKENIZER).unlink()
    with pytest.raises(MismatchError, match="put its tokenizer there"):
        train(more_shards.folder, tmp_path / "lost", config)
