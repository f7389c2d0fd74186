"""What a run would take, before it is started: parameters, operations, epochs, memory, and warnings.

Operations a token: 6 for each parameter that multiplies (forward 2, backward 4), and 12 x layers x width x
seq_len for attention over the whole row (Chowdhery et al. 2022, appendix B); embedding look-ups cost none.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from stages.packed import Packed
from trainer.config import Config
from trainer.model import embedding_rows

__all__ = ["flops_per_token", "micro_tokens", "parameters", "peak_flops", "plan"]

CHINCHILLA = 20  # tokens a parameter at the compute-optimal point (Hoffmann et al. 2022)
MOST_EPOCHS = 4  # beyond, repeated tokens are worth ever less (Muennighoff et al. 2023)
PEAK = {
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12,
    "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12,
}  # fmt: skip
"""Dense bf16 operations a second, from the vendor's data sheets, by part of the device's name; first match."""


def parameters(config: Config, vocab_size: int) -> tuple[int, int]:
    """How many parameters a model has, and how many of them are its input embedding."""
    embedding = embedding_rows(config, vocab_size) * config.width
    size = config.width // config.heads
    attention = 2 * config.width * size * (config.heads + config.kv_heads)
    norms = 2 * config.width + 2 * size * config.qk_norm
    blocks = config.layers * (attention + 3 * config.width * config.hidden + norms)
    return embedding * (1 if config.tied else 2) + blocks + config.width, embedding


def flops_per_token(config: Config, vocab_size: int, seq_len: int) -> float:
    """Operations of a training step for each token of a full row."""
    total, embedding = parameters(config, vocab_size)
    multiplying = total if config.tied else total - embedding
    return 6.0 * multiplying + 12.0 * config.layers * config.width * seq_len


def peak_flops(device: torch.device) -> float | None:
    """What the device can do, if it is a known GPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK.items() if part in name), None)


def micro_tokens(kind: str) -> int:
    """Tokens of a forward pass where `micro_batch` does not say, on a device of this kind ("cpu", "cuda")."""
    return 65536 if kind == "cuda" else 8192


def plan(packed: Packed, config: Config) -> dict[str, Any]:
    """The figures and warnings of a run on these shards, without starting it."""
    manifest, split = packed.manifest, packed.manifest.splits["train"]
    total, embedding = parameters(config, manifest.vocab_size)
    each = flops_per_token(config, manifest.vocab_size, manifest.seq_len)
    rows = max(1, config.batch_tokens // manifest.seq_len)
    full = split.tokens / max(1, split.rows)  # tokens of a row that are not padding
    tokens, epochs = rows * config.steps * full, rows * config.steps / max(1, split.rows)
    operations = each * rows * manifest.seq_len * config.steps
    kind = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"
    micro = min(rows, config.micro_batch or max(1, micro_tokens(kind) // manifest.seq_len))
    optimum = CHINCHILLA * total
    warnings = []
    if not split.rows:
        warnings.append("there are no rows to train on")
    if epochs > MOST_EPOCHS:
        warnings.append(
            f"{epochs:.1f} epochs: repetition beyond {MOST_EPOCHS} teaches little; fewer steps or more text"
        )
    if tokens < optimum / 4:
        steps = math.ceil(optimum / max(1.0, rows * full))
        warnings.append(
            f"{tokens / total:.1f} tokens a parameter: a smaller model learns more for the same cost, "
            f"or take {steps} steps ({CHINCHILLA} a parameter)"
        )
    if not manifest.splits["validation"].rows:
        warnings.append("no validation rows: nothing will tell over-fitting; pack with validation above 0")
    return {
        "parameters": total,
        "parameters_without_embedding": total - embedding,
        "flops_per_token": each,
        "flops": operations,
        "tokens": round(tokens),
        "epochs": epochs,
        "tokens_per_parameter": tokens / total,
        "chinchilla_tokens": optimum,
        "memory_bytes": _memory(config, manifest.vocab_size, micro * manifest.seq_len, kind),
        "hours_at_40_percent_of": {name: operations / peak / 0.4 / 3600 for name, peak in PEAK.items()},
        "warnings": warnings,
    }


def _memory(config: Config, vocab_size: int, tokens: int, kind: str) -> dict[str, int]:
    """Bytes: weights, gradients and AdamW's two moments in float32; activations of a micro-batch, roughly.

    A block keeps about 8 widths and 4 hidden layers a token (without attention weights, which fused attention
    recomputes), or one width if activations are recomputed; the loss keeps logits and their gradient.
    """
    total, embedding = parameters(config, vocab_size)
    weights = 4 * total
    size = 4 if config.dtype == "fp32" or (config.dtype == "auto" and kind == "cpu") else 2
    block = config.width if config.checkpoint_activations else 8 * config.width + 4 * config.hidden
    activations = size * tokens * config.layers * block + 8 * tokens * embedding // config.width
    return {
        "weights_and_optimiser": 4 * weights,
        "activations": activations,
        "total": 4 * weights + activations,
    }
