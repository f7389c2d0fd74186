"""The blocks' parts for training on a CPU without a compiler, their gradients by hand.

There every operation costs a call and a pass over memory of its own, and torch fuses none of those that a
gradient runs through. Each part computes what `model` writes plainly, in float32, in fewer operations and with
fewer tensors kept. Knows no configuration.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

__all__ = ["applies", "norm", "swiglu", "turned_qkv"]


def applies(x: Tensor) -> bool:
    """Whether these are the functions to use for x."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    return plain and not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last axis of x."""
    return cast("Tensor", _Norm.apply(x, weight, eps))


def swiglu(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """(silu(x gateᵀ) * x upᵀ) downᵀ, with weights (hidden, width) and (width, hidden)."""
    return cast("Tensor", _SwiGLU.apply(x, gate, up, down))


def turned_qkv(
    x: Tensor, turn: Tensor, q: Tensor, k: Tensor, v: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (rows, seq, heads, size) of x (rows, seq, width), the former two rotated.

    `turn` (rows, seq, heads, size / 2, 2) holds cosines and sines: a rotation is a product of complex numbers.
    """
    return cast("tuple[Tensor, Tensor, Tensor]", _TurnedQKV.apply(x, turn, q, k, v, size))


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = (torch.linalg.vecdot(x, x) / x.shape[-1]).add_(eps).rsqrt_()[..., None]
        unit = x * scale
        ctx.save_for_backward(unit, weight, scale)
        return cast("Tensor", unit * weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (unit, weight, scale) = grads, ctx.saved_tensors
        inner = grad * weight
        along = (torch.linalg.vecdot(inner, unit) / -unit.shape[-1])[..., None]
        return inner.addcmul_(unit, along).mul_(scale), (grad * unit).flatten(0, -2).sum(0), None


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        opened, raised = flat @ gate.t(), flat @ up.t()
        inner = F.silu(opened).mul_(raised)
        ctx.save_for_backward(flat, opened, raised, inner, gate, up, down)
        return (inner @ down.t()).view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        flat, opened, raised, inner, gate, up, down = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)
        of_inner = grad @ down
        of_raised = F.silu(opened).mul_(of_inner)
        of_opened = torch.ops.aten.silu_backward(of_inner.mul_(raised), opened)
        of_x = (of_opened @ gate).addmm_(of_raised, up)
        return of_x.view_as(grads[0]), of_opened.t() @ flat, of_raised.t() @ flat, grad.t() @ inner


class _TurnedQKV(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, turn: Tensor, q: Tensor, k: Tensor, v: Tensor, size: int
    ) -> tuple[Tensor, ...]:
        flat = x.flatten(0, 1)
        ctx.save_for_backward(flat, turn, q, k, v)

        def heads(weight: Tensor) -> Tensor:
            return (flat @ weight.t()).view(*x.shape[:2], -1, size)

        queries, keys = heads(q), heads(k)
        for turned in (queries, keys):
            _complex(turned).mul_(torch.view_as_complex(turn[:, :, : turned.shape[2]]))
        return queries, keys, heads(v)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, turn, q, k, v = ctx.saved_tensors
        back = torch.view_as_complex(turn).conj()
        of_q, of_k = (
            torch.view_as_real(_complex(grad) * back[:, :, : grad.shape[2]]).view(len(flat), -1)
            for grad in grads[:2]
        )
        of_v = grads[2].reshape(len(flat), -1)
        of_x = (of_q @ q).addmm_(of_k, k).addmm_(of_v, v)
        of_x = of_x.view(*grads[0].shape[:2], -1)
        return of_x, None, of_q.t() @ flat, of_k.t() @ flat, of_v.t() @ flat, None


def _complex(x: Tensor) -> Tensor:
    """Neighbours of the last axis as one complex number each, in the same memory."""
    return torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))
