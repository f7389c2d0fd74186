"""The parts that run on a CPU without a compiler, against the plain formulas and autograd's gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from trainer import eager
from trainer.model import EPS, rotate

ROWS, SEQ, HEADS, SIZE = 2, 5, 4, 6
WIDTH = HEADS * SIZE


def drawn(*shape: int) -> torch.Tensor:
    """A parameter drawn from the generator of the test."""
    return torch.randn(*shape).requires_grad_()


def both_ways(ours: list[torch.Tensor], plain: list[torch.Tensor], of: list[torch.Tensor]) -> None:
    """Holds values and gradients of two computations to each other."""
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    weights = [torch.randn_like(one) for one in ours]
    for one, other in zip(
        torch.autograd.grad(ours, of, weights), torch.autograd.grad(plain, of, weights), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_norm() -> None:
    """RMSNorm and its gradients are torch's."""
    torch.manual_seed(0)
    x, weight = drawn(ROWS, SEQ, WIDTH), drawn(WIDTH)
    both_ways([eager.norm(x, weight, EPS)], [F.rms_norm(x, (WIDTH,), weight, EPS)], [x, weight])


def test_swiglu() -> None:
    """SwiGLU and its gradients are those of silu(gate) * up."""
    torch.manual_seed(0)
    x, gate, up, down = drawn(ROWS, SEQ, WIDTH), drawn(10, WIDTH), drawn(10, WIDTH), drawn(WIDTH, 10)
    plain = (F.silu(x @ gate.t()) * (x @ up.t())) @ down.t()
    both_ways([eager.swiglu(x, gate, up, down)], [plain], [x, gate, up, down])


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_turned_queries_and_keys(kv_heads: int) -> None:
    """Queries and keys are rotated as in real numbers, values are not; grouped heads as well."""
    torch.manual_seed(0)
    x, q = drawn(ROWS, SEQ, WIDTH), drawn(WIDTH, WIDTH)
    k, v = drawn(kv_heads * SIZE, WIDTH), drawn(kv_heads * SIZE, WIDTH)
    angle = torch.randn(ROWS, SEQ, HEADS, SIZE // 2)
    turn = torch.stack((angle.cos(), angle.sin()), -1)
    apart = [(x @ weight.t()).view(ROWS, SEQ, -1, SIZE) for weight in (q, k, v)]
    with torch.autocast("cpu", torch.bfloat16):  # there, rotate works with real numbers
        plain = [rotate(apart[0], turn), rotate(apart[1], turn), apart[2]]
    both_ways(list(eager.turned_qkv(x, turn, q, k, v, SIZE)), plain, [x, q, k, v])


def test_where_they_apply() -> None:
    """In float32 on a CPU, and not where autocast would change the types of a product halfway."""
    x = torch.ones(2, 2)
    assert eager.applies(x)
    assert not eager.applies(x.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert not eager.applies(x)
