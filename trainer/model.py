"""The decoder: pre-norm blocks of attention and SwiGLU, in plain PyTorch.

RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021), which turn neighbouring numbers, or
ALiBi (Press et al. 2022), grouped-query attention (Ainslie et al. 2023), SwiGLU (Shazeer 2020), optional
QK-norm and tied embeddings. Attention stays inside documents by `Batch.segment` and `Batch.reach`: a mask for
scaled-dot-product attention, a block mask for FlexAttention on a GPU. Knows no data, no optimiser, no ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer import eager
from trainer.batches import IGNORED, Batch
from trainer.config import Config

__all__ = ["Decoder", "Sight", "sight"]

EPS = 1e-6
OWN_LOGIT = 2.5  # larger, and the first guess is the token itself; smaller, and the head learns slowly


class Sight(NamedTuple):
    """What attention may see: causal alone, a mask (bool or additive bias), or FlexAttention's block mask."""

    mask: Tensor | None = None
    blocks: Any = None
    score: Callable[..., Tensor] | None = None


def sight(batch: Batch, config: Config, *, flex: bool = False) -> Sight:
    """The mask of a batch, made once for all layers.

    Returns a mask (rows, 1, seq, seq), true or 0 where the query (third axis) sees the key (fourth), false or
    -inf where not; with ALiBi a bias (rows, heads, seq, seq); nothing where a plain causal row is meant.
    """
    segment, reach, alibi = batch.segment, batch.reach, config.positions == "alibi"
    if not config.document_masks and config.objective == "causal" and not alibi:
        return Sight()
    if flex:
        return _flex_sight(batch, config)
    place = torch.arange(segment.shape[1], device=segment.device)
    on_cpu = segment.device.type == "cpu"
    if on_cpu and config.objective == "causal" and not alibi and batch.alone:
        return Sight()
    seen = (segment[:, None, :, None] == segment[:, None, None, :]) & (place < reach[:, None, :, None])
    if not alibi:
        # As numbers on a CPU, where attention would make them from the truth values in every layer anew.
        return Sight(torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf) if on_cpu else seen)
    distance = (place[:, None] - place).abs().float()
    bias = -alibi_slopes(config.heads).to(segment.device)[:, None, None] * distance
    return Sight(torch.where(seen, bias, -torch.inf))


def _flex_sight(batch: Batch, config: Config) -> Sight:
    from torch.nn.attention.flex_attention import create_block_mask  # noqa: PLC0415 - costs seconds; GPU only

    segment, reach = batch.segment, batch.reach
    rows, length = segment.shape

    def seen(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        del h
        return (segment[b, q] == segment[b, k]) & (k < reach[b, q])

    blocks = create_block_mask(seen, rows, None, length, length, device=segment.device)
    if config.positions != "alibi":
        return Sight(blocks=blocks)
    slopes = alibi_slopes(config.heads).to(segment.device)

    def score(value: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        del b
        return value - slopes[h] * (q - k).abs()

    return Sight(blocks=blocks, score=score)


def alibi_slopes(heads: int) -> Tensor:
    """The penalty a token of distance, float32 (heads): 2^(-8 i / heads), i = 1 .. heads."""
    return 2.0 ** (-8.0 / heads * torch.arange(1, heads + 1))


def embedding_rows(config: Config, vocab_size: int) -> int:
    """Ids that the model has rows for: the vocabulary, and for `masked` one for the hidden token.

    Large ones are rounded up to a multiple of 64, which matrix units want; in small ones the extra rows,
    which are never labels, would weigh in the first loss.
    """
    ids = vocab_size + (config.objective == "masked")
    return -(-ids // 64) * 64 if ids >= 8192 else ids


class Norm(nn.Module):
    """RMSNorm over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if eager.applies(x) and torch.is_grad_enabled():  # without gradients, torch fuses it
            return eager.norm(x, self.weight, EPS)
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPS)


class Linear(nn.Linear):
    """A matrix without bias; `Decoder.initialise` draws it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        """Nothing: torch's own draw would be thrown away, and takes seconds at size."""


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotary positions: neighbours of x (rows, seq, heads, size) turn as the numbers of `turn` say.

    `turn` (rows, seq, heads or 1, size / 2, 2) holds cosines and sines.
    """
    pairs = x.view(*x.shape[:-1], -1, 2)
    turn = turn[:, :, : x.shape[2]]
    if eager.applies(x):  # one product of complex numbers; compilers know only real ones
        return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turn)).flatten(-2)
    (a, b), (cos, sin) = pairs.unbind(-1), turn.unbind(-1)
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)


class Attention(nn.Module):
    """Grouped-query attention."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.size = config.heads, config.kv_heads, config.width // config.heads
        self.q = Linear(config.width, config.heads * self.size)
        self.k = Linear(config.width, config.kv_heads * self.size)
        self.v = Linear(config.width, config.kv_heads * self.size)
        self.out = Linear(config.heads * self.size, config.width)
        self.qk_norm = config.qk_norm
        self.q_norm = Norm(self.size) if config.qk_norm else nn.Identity()
        self.k_norm = Norm(self.size) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, turn: Tensor | None, seen: Sight) -> Tensor:
        rows, length, _ = x.shape
        if turn is not None and not self.qk_norm and eager.applies(x):
            q, k, v = eager.turned_qkv(x, turn, self.q.weight, self.k.weight, self.v.weight, self.size)
        else:
            q = self.q_norm(self.q(x).view(rows, length, self.heads, self.size))
            k = self.k_norm(self.k(x).view(rows, length, self.kv_heads, self.size))
            v = self.v(x).view(rows, length, self.kv_heads, self.size)
            if turn is not None:
                q, k = rotate(q, turn), rotate(k, turn)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        grouped = self.kv_heads != self.heads
        if seen.blocks is not None:
            from torch.nn.attention.flex_attention import flex_attention  # noqa: PLC0415 - as above

            y = flex_attention(q, k, v, score_mod=seen.score, block_mask=seen.blocks, enable_gqa=grouped)
        else:
            mask = seen.mask
            if mask is not None and mask.is_floating_point():
                mask = mask.to(q.dtype)
            y = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped
            )
        return cast("Tensor", self.out(y.transpose(1, 2).reshape(rows, length, -1)))


class Block(nn.Module):
    """x + attention, then x + SwiGLU, each behind its norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width)
        self.attention = Attention(config)
        self.mlp_norm = Norm(config.width)
        self.gate = Linear(config.width, config.hidden)
        self.up = Linear(config.width, config.hidden)
        self.down = Linear(config.hidden, config.width)
        self.dropout = config.dropout

    def forward(self, x: Tensor, turn: Tensor | None, seen: Sight) -> Tensor:
        x = x + F.dropout(self.attention(self.attention_norm(x), turn, seen), self.dropout, self.training)
        h = self.mlp_norm(x)
        if eager.applies(h):
            h = eager.swiglu(h, self.gate.weight, self.up.weight, self.down.weight)
        else:
            h = self.down(F.silu(self.gate(h)) * self.up(h))
        return x + F.dropout(h, self.dropout, self.training)


class Decoder(nn.Module):
    """Token ids to logits."""

    def __init__(self, config: Config, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(embedding_rows(config, vocab_size), config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.head = Linear(config.width, self.embedding.num_embeddings)
        if config.tied:
            self.head.weight = self.embedding.weight

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draws the weights, in the order of their names, from one generator on the CPU.

        Matrices: normal with deviation sqrt(2 / (5 width)) (Nguyen & Salazar 2019), those that end a residual
        branch divided by sqrt(2 layers) (GPT-2). An untied head begins at zero: the first loss is ln V.
        A tied one cannot; there the last norm's gain lets a token's logit for itself begin at OWN_LOGIT.
        """
        random = torch.Generator().manual_seed(seed)
        deviation = math.sqrt(0.4 / self.config.width)
        for name, parameter in sorted(self.named_parameters()):
            if parameter.ndim < 2:
                parameter.fill_(1.0)
                continue
            last = name.endswith(("out.weight", "down.weight"))
            scale = deviation / math.sqrt(2 * self.config.layers) if last else deviation
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, scale, generator=random))
        if self.config.tied:
            # less in narrow models, where the other logits' deviation, own / sqrt(width), would count
            own = min(OWN_LOGIT, math.sqrt(self.config.width) / 4)
            self.norm.weight.fill_(own / (deviation * self.config.width))
        else:
            self.head.weight.zero_()

    def forward(self, ids: Tensor, positions: Tensor, seen: Sight, labels: Tensor | None = None) -> Tensor:
        """Logits (rows, seq, ids); with labels, losses in nats (rows, seq), zero where IGNORED, float32."""
        x = self.embedding(ids)
        if (
            torch.is_autocast_enabled(x.device.type)
            and torch.get_autocast_dtype(x.device.type) == torch.bfloat16
        ):
            x = x.bfloat16()  # the residual stream too: half the traffic, and bf16 has float32's range
        turn = self._turn(positions, x.dtype) if self.config.positions == "rope" else None
        for block in self.blocks:
            if self.config.checkpoint_activations and self.training:
                x = cast("Tensor", checkpoint(block, x, turn, seen, use_reentrant=False))
            else:
                x = block(x, turn, seen)
        logits = cast("Tensor", self.head(self.norm(x)))
        if labels is None:
            return logits
        flat = F.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return flat.view_as(labels)

    def _turn(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Cosines and sines, (rows, seq, heads, size / 2, 2); on a GPU for one head.

        A compiler broadcasts for nothing; on a CPU, equal shapes multiply faster.
        """
        size = self.config.width // self.config.heads
        power = torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size
        angle = positions[:, :, None, None].float() * self.config.rope_base**-power
        turn = torch.stack((angle.cos(), angle.sin()), -1).to(dtype)
        heads = self.config.heads if positions.device.type == "cpu" else 1
        return turn.expand(-1, -1, heads, -1, -1).contiguous()
