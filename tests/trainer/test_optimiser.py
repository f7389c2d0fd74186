"""Steps and learning rates, against torch's own classes."""

from __future__ import annotations

import pytest
import torch

from tests.trainer.conftest import small
from trainer.model import Decoder
from trainer.optimiser import Optimiser, Scaler, learning_rate


def trained(optimiser: str, reference: bool) -> dict[str, torch.Tensor]:
    """Weights after three steps on made-up gradients."""
    config = small(optimiser=optimiser, weight_decay=0.1, lr=0.01)
    model = Decoder(config, 256)
    model.initialise(2)
    ours = Optimiser(model, config)
    named = dict(model.named_parameters())
    hidden = [p for n, p in named.items() if optimiser == "muon" and p.ndim == 2 and n.startswith("blocks.")]
    rest = [p for p in named.values() if not any(p is h for h in hidden)]
    theirs: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.1},
                {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0},
            ],
            lr=0.01, betas=(0.9, 0.95),
        )
    ]  # fmt: skip
    if hidden:
        theirs.append(torch.optim.Muon(hidden, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"))
    random = torch.Generator().manual_seed(4)
    for _ in range(3):
        for parameter in named.values():
            parameter.grad = torch.randn(parameter.shape, generator=random)
        if reference:
            for part in theirs:
                part.step()
        else:
            ours.step(0.01)
    return {name: parameter.detach().clone() for name, parameter in named.items()}


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_steps_are_those_of_the_reference(optimiser: str) -> None:
    """Three steps of ours and of torch's classes end in the same weights."""
    ours, theirs = trained(optimiser, reference=False), trained(optimiser, reference=True)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=2e-6, rtol=1e-5)


def test_only_matrices_decay() -> None:
    """Without gradients, decay alone moves matrices and leaves norms as they are."""
    config = small(lr=0.1, weight_decay=0.5)
    model = Decoder(config, 256)
    model.initialise(2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    Optimiser(model, config).step(0.1)
    for name, parameter in model.named_parameters():
        share = 0.95 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * share)


def test_warm_up_is_linear_and_the_end_is_reached() -> None:
    """From lr/warmup up to lr, then down to lr_end x lr at the last step; constant stays."""
    for schedule in ("cosine", "linear", "wsd"):
        config = small(schedule=schedule, steps=100, warmup=10, lr=1.0, lr_end=0.1)
        rates = [learning_rate(config, step) for step in range(100)]
        assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
        assert rates[-1] == pytest.approx(0.1)
        assert rates[10:] == sorted(rates[10:], reverse=True)
    flat = small(schedule="constant", steps=100, warmup=10, lr=1.0)
    assert {learning_rate(flat, step) for step in range(10, 100)} == {1.0}


def test_wsd_is_flat_until_it_decays() -> None:
    """Stable until the last fifth."""
    config = small(schedule="wsd", wsd_decay=0.2, steps=100, warmup=0, lr=1.0)
    assert {learning_rate(config, step) for step in range(79)} == {1.0}
    assert learning_rate(config, 89) == pytest.approx(0.55)


def test_a_time_budget_moves_the_decay_on() -> None:
    """With the budget spent, the rate is that of the end, whatever the step."""
    config = small(steps=1000, warmup=10, lr=1.0)
    assert learning_rate(config, 100, elapsed=1.0) == pytest.approx(0.1)
    assert learning_rate(config, 100, elapsed=0.0) > 0.9


def test_an_overflow_halves_the_scale_and_leaves_the_step_out() -> None:
    """float16: infinite gradients are no step; two thousand good ones double the scale again."""
    scaler = Scaler(enabled=True)
    assert not scaler.accepts(float("inf"))
    assert (scaler.scale, scaler.good) == (32768.0, 0)
    assert all(scaler.accepts(1.0) for _ in range(2000))
    assert (scaler.scale, scaler.good) == (65536.0, 0)
    assert Scaler(enabled=False).accepts(float("nan"))
