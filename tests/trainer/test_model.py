"""The decoder: what it sees, and what it knows before it has learned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from stages.packed import Packed
from tests.trainer.conftest import small
from trainer.batches import IGNORED, Batch, Batches
from trainer.config import Config
from trainer.model import Decoder, sight
from trainer.optimiser import Optimiser

VARIANTS: list[dict[str, Any]] = [
    {},
    {"positions": "alibi"},
    {"kv_heads": 1, "qk_norm": True},
    {"tied": False, "kv_heads": 4},
    {"attention": "flex"},
    {"attention": "flex", "positions": "alibi"},
]


def ready(config: Config, vocab: int = 256) -> Decoder:
    """A model with weights large enough that every path matters."""
    model = Decoder(config, vocab)
    model.initialise(1)
    with torch.no_grad():
        model.norm.weight.fill_(1.0)
        for parameter in model.parameters():
            if parameter.abs().sum() == 0:
                parameter.normal_(0, 0.1)
    return model.eval()


def batch_of(packed: Packed, config: Config, rows: list[int]) -> Batch:
    """The batch of some train rows."""
    made = Batches(packed.split("train"), packed.manifest, config)
    return made.make(np.array(rows), np.zeros(len(rows), np.int64))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_packed_rows_give_the_logits_of_separate_documents(packed: Packed, variant: dict[str, Any]) -> None:
    """A document's logits do not depend on what else lies in its row: equal to it alone, within 1e-5."""
    config = small(**variant)
    model = ready(config)
    batch = batch_of(packed, config, list(range(6)))
    together = model(batch.ids, batch.positions, sight(batch, config, flex=config.attention == "flex"))
    flat = packed.split("train").segments(range(6))
    for row in range(6):
        at = 0
        for length in flat.lengths[flat.offsets[row] : flat.offsets[row + 1]]:
            ids = batch.ids[row : row + 1, at : at + length]
            place = torch.arange(int(length))[None]
            apart = model(ids, place, sight(Batch.plain(ids), config))
            torch.testing.assert_close(together[row, at : at + length], apart[0], atol=1e-5, rtol=1e-5)
            at += int(length)


@pytest.mark.parametrize("objective", ["causal", "prefix", "masked"])
@pytest.mark.parametrize("document_masks", [True, False])
def test_no_gradient_comes_from_what_is_to_be_predicted(
    packed: Packed, objective: str, document_masks: bool
) -> None:
    """By autograd: a counted place depends on no token after it (causal, prefix) or outside its document."""
    config = small(objective=objective, document_masks=document_masks)
    model = ready(config)
    batch = batch_of(packed, config, [0, 1])
    seen = sight(batch, config)
    embedded: list[torch.Tensor] = []
    model.embedding.register_forward_hook(lambda *a: embedded.append(a[2].requires_grad_()) or a[2])  # type: ignore[func-returns-value]
    logits = model(batch.ids, batch.positions, seen)
    places = (batch.labels[0] != IGNORED).nonzero().flatten().tolist()
    for place in places[:: max(1, len(places) // 6)]:
        (gradient,) = torch.autograd.grad(logits[0, place].square().sum(), embedded[0], retain_graph=True)
        touched = gradient.abs().sum(-1) > 0
        assert not touched[1].any()
        assert touched[0, place]
        if objective != "masked":
            assert not touched[0, place + 1 :].any()
        if document_masks:
            assert not touched[0][batch.segment[0] != batch.segment[0, place]].any()


def test_a_hidden_token_cannot_be_read_off(packed: Packed) -> None:
    """Masked: where a token is hidden, changing what it was changes no logit."""
    config = small(objective="masked")
    batch = batch_of(packed, config, [0])
    assert (batch.ids[batch.labels != IGNORED] == packed.manifest.vocab_size).sum() > 0
    model = ready(config)
    assert model.embedding.num_embeddings > packed.manifest.vocab_size


@pytest.mark.parametrize("variant", [{}, {"tied": False}, {"optimiser": "muon", "qk_norm": True}])
@pytest.mark.parametrize(("vocab", "width"), [(256, 32), (4096, 128), (4096, 384), (50304, 768)])
def test_the_first_loss_is_that_of_a_guess(vocab: int, width: int, variant: dict[str, Any]) -> None:
    """Untrained, the model knows nothing: within 1 % of ln V."""
    config = small(width=width, layers=1, **variant)
    model = Decoder(config, vocab)
    model.initialise(3)
    ids = torch.randint(0, vocab, (2, 64), generator=torch.Generator().manual_seed(0))
    batch = Batch.plain(ids, ids.roll(-1, 1))
    with torch.no_grad():
        loss = model(ids, batch.positions, sight(batch, config), batch.labels).mean()
    assert float(loss) == pytest.approx(math.log(vocab), rel=0.01)


@pytest.mark.parametrize("objective", ["causal", "masked", "prefix"])
def test_one_batch_is_learned_by_heart(packed: Packed, objective: str) -> None:
    """The same batch over and over: the loss falls below 0.01, so gradients are right from end to end."""
    config = small(objective=objective, width=64, weight_decay=0.0)
    batch = batch_of(packed, config, [0, 1])
    model = Decoder(config, 256)
    model.initialise(1)
    optimiser, seen, loss = Optimiser(model, config), sight(batch, config), torch.tensor(math.inf)
    for step in range(400):
        loss = model(batch.ids, batch.positions, seen, batch.labels).sum() / batch.valid
        if loss.item() < 0.01:
            break
        loss.backward()
        optimiser.step(0.01 * (1 - step / 400))
        optimiser.zero()
    assert loss.item() < 0.01


def test_tied_weights_are_counted_once() -> None:
    """The embedding is the output layer: one parameter, one gradient, one entry in a checkpoint."""
    tied, apart = Decoder(small(), 256), Decoder(small(tied=False), 256)
    assert tied.head.weight is tied.embedding.weight
    difference = sum(p.numel() for p in apart.parameters()) - sum(p.numel() for p in tied.parameters())
    assert difference == 256 * 32


def test_weights_depend_on_the_seed_alone() -> None:
    """Two models of one seed are equal whatever was drawn before; another seed is another model."""
    models = [Decoder(small(), 256) for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        torch.rand(seed)
        model.initialise(seed)
    first, second, third = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_recomputed_activations_give_the_same_gradients(packed: Packed) -> None:
    """checkpoint_activations changes memory, not results."""
    gradients = []
    for recompute in (False, True):
        config = small(checkpoint_activations=recompute)
        model = ready(config).train()
        batch = batch_of(packed, config, [0, 1, 2])
        model(batch.ids, batch.positions, sight(batch, config), batch.labels).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.equal(*gradients)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("flex", [False, True])
@torch.no_grad()
def test_other_documents_need_no_other_graph(packed: Packed, flex: bool) -> None:
    """Compiled once in one piece: batches with other boundaries run through the same graph."""
    config = small(objective="prefix")  # a causal row of one document takes no mask at all
    model = ready(config)
    graphs: list[object] = []

    def counting(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=counting, fullgraph=True)
    for rows in ([0, 1], [2, 3], [4, 5]):
        batch = batch_of(packed, config, rows)
        seen = sight(batch, config, flex=flex)
        once = compiled(batch.ids, batch.positions, seen, batch.labels)
        torch.testing.assert_close(
            once, model(batch.ids, batch.positions, sight(batch, config), batch.labels), atol=1e-5, rtol=1e-5
        )
    assert len(graphs) == 1
