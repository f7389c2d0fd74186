"""How gradients become steps: AdamW or Muon, decay on matrices only, and the learning rate over time.

Muon (Jordan et al. 2024) orthogonalises the momentum of the hidden matrices; it is torch's own, scaled to
AdamW's step size (Liu et al. 2025), so that one learning rate serves both. Knows no data and no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

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
    """AdamW, with Muon for the hidden matrices if asked; state by parameter name, made with the first step.

    Uses torch's functional forms: the state is plain tensors under plain names, which is what a checkpoint
    wants, and torch's optimiser classes take four seconds to import the compiler first.
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        self.config = config
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        muon = config.optimiser == "muon"
        self.hidden = [
            n for n, p in self.parameters.items() if muon and p.ndim == 2 and n.startswith("blocks.")
        ]
        rest = [name for name in self.parameters if name not in set(self.hidden)]
        matrices = [name for name in rest if self.parameters[name].ndim >= 2]
        vectors = [name for name in rest if self.parameters[name].ndim < 2]
        self.groups = [(matrices, config.weight_decay), (vectors, 0.0)]
        self.state: dict[str, Tensor] = {}
        """"<parameter>/<what>" -> tensor: everything but the weights that the next step depends on."""

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step with the gradients that are there."""
        for names, decay in self.groups:
            if not names:
                continue
            parameters, gradients = self._taken(names)
            adamw(
                parameters, gradients,
                self._states(names, "exp_avg"), self._states(names, "exp_avg_sq"), [],
                [self._count(name) for name in names],
                fused=True, amsgrad=False, maximize=False,
                beta1=self.config.betas[0], beta2=self.config.betas[1], eps=1e-8, lr=rate, weight_decay=decay,
            )  # fmt: skip
        if self.hidden:
            muon(
                *self._taken(self.hidden), self._states(self.hidden, "momentum"),
                lr=rate, weight_decay=self.config.weight_decay, momentum=0.95, nesterov=True,
                ns_coefficients=(3.4445, -4.775, 2.0315), ns_steps=5, eps=1e-7,
                adjust_lr_fn="match_rms_adamw", has_complex=False,
            )  # fmt: skip

    def zero(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def _taken(self, names: list[str]) -> tuple[list[Tensor], list[Tensor]]:
        parameters = [self.parameters[name] for name in names]
        return list(parameters), [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]

    def _states(self, names: list[str], what: str) -> list[Tensor]:
        for name in names:
            if f"{name}/{what}" not in self.state:
                self.state[f"{name}/{what}"] = torch.zeros_like(self.parameters[name])
        return [self.state[f"{name}/{what}"] for name in names]

    def _count(self, name: str) -> Tensor:
        device = self.parameters[name].device
        return self.state.setdefault(f"{name}/step", torch.zeros((), dtype=torch.float32, device=device))


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
