"""How gradients become steps: AdamW or Muon, decay on matrices only, and the learning rate over time.

Muon (Jordan et al. 2024) orthogonalises the momentum of the hidden matrices; it is torch's own, scaled to
AdamW's step size (Liu et al. 2025), so that one learning rate serves both. Knows no data and no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim._muon import muon
from torch.optim.adamw import adamw

from trainer.config import Config

__all__ = ["Optimiser", "Scaler", "learning_rate"]


def learning_rate(config: Config, step: int, elapsed: float = 0.0) -> float:
    """The learning rate of a step.

    Args:
        config: of the run.
        step: counted from 0.
        elapsed: share of the time budget that is spent, which moves the decay on if it is ahead of the steps.
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = max((step + 1 - config.warmup) / max(1, config.steps - config.warmup), elapsed)
    done = min(1.0, done)
    if config.schedule == "constant":
        share = 1.0
    elif config.schedule == "cosine":
        share = config.lr_end + (1 - config.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
    else:
        decay = 1.0 if config.schedule == "linear" else config.wsd_decay
        share = 1 - (1 - config.lr_end) * max(0.0, (done - (1 - decay)) / decay)
    return config.lr * share


class Optimiser:
    """AdamW, with Muon for the hidden matrices if asked; state by parameter name.

    Uses torch's functional forms: the state is plain tensors under plain names, which is what a checkpoint
    wants, and torch's optimiser classes take four seconds to import the compiler first.
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        self.config = config
        self.parameters: dict[str, Tensor] = {
            name: p for name, p in model.named_parameters() if p.requires_grad
        }
        self.state: dict[str, Tensor] = {}
        """"<parameter>/<what>" -> tensor: everything but the weights that the next step depends on."""
        matrices = [name for name, p in self.parameters.items() if p.ndim >= 2]
        muon = config.optimiser == "muon"
        self.hidden = [name for name in matrices if muon and name.startswith("blocks.")]
        momentum = self._zeros(self.hidden, "momentum")
        self.muon = ([self.parameters[name] for name in self.hidden], momentum)
        rest = [name for name in matrices if name not in set(self.hidden)]
        vectors = [name for name, p in self.parameters.items() if p.ndim < 2]
        self.adamw = [
            ([self.parameters[name] for name in names],
             self._zeros(names, "exp_avg"), self._zeros(names, "exp_avg_sq"), self._counts(names), decay)
            for names, decay in ((rest, config.weight_decay), (vectors, 0.0))
        ]  # fmt: skip

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step with the gradients that are there."""
        for parameters, first, second, counts, decay in self.adamw:
            adamw(
                parameters, _gradients(parameters), first, second, [], counts,
                fused=True, amsgrad=False, maximize=False,
                beta1=self.config.betas[0], beta2=self.config.betas[1], eps=1e-8, lr=rate, weight_decay=decay,
            )  # fmt: skip
        parameters, momentum = self.muon
        if parameters:
            muon(
                parameters, _gradients(parameters), momentum,
                lr=rate, weight_decay=self.config.weight_decay, momentum=0.95, nesterov=True,
                ns_coefficients=(3.4445, -4.775, 2.0315), ns_steps=5, eps=1e-7,
                adjust_lr_fn="match_rms_adamw", has_complex=False,
            )  # fmt: skip

    def zero(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def _zeros(self, names: list[str], what: str) -> list[Tensor]:
        made = {f"{name}/{what}": torch.zeros_like(self.parameters[name]) for name in names}
        self.state |= made
        return list(made.values())

    def _counts(self, names: list[str]) -> list[Tensor]:
        made = {f"{name}/step": torch.zeros((), device=self.parameters[name].device) for name in names}
        self.state |= made
        return list(made.values())


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


class Scaler:
    """Loss scaling for float16 (Micikevicius et al. 2018): halved at overflow, doubled every 2000 steps."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled, self.scale, self.good = enabled, 65536.0 if enabled else 1.0, 0

    def unscale(self, parameters: Iterable[Tensor]) -> None:
        """Divides the gradients by the scale."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.enabled and gradients:
            torch._foreach_mul_(gradients, 1.0 / self.scale)

    def accepts(self, norm: float) -> bool:
        """Notes whether the gradients are finite; false if the step must be left out."""
        if not self.enabled:
            return True
        if not math.isfinite(norm):
            self.scale, self.good = self.scale / 2, 0
            return False
        self.good += 1
        if self.good == 2000:
            self.scale, self.good = self.scale * 2, 0
        return True
