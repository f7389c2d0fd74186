"""A run's weights under the names and in the layout that Hugging Face transformers loads.

Llama's layout, or Qwen3's with QK-norm, which is Llama's plus those norms. Their rotation pairs the halves of a
head, ours neighbours, so the rows of queries and keys are put in their order; logits are equal.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file
from torch import Tensor

from trainer.config import Config
from trainer.model import EPS, Decoder

if TYPE_CHECKING:
    from stages.packed import Manifest

__all__ = ["export_llama"]

_NAMES = {
    "attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm",
    "attention.q": "self_attn.q_proj", "attention.k": "self_attn.k_proj", "attention.v": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj", "attention.q_norm": "self_attn.q_norm",
    "attention.k_norm": "self_attn.k_norm",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


def export_llama(model: Decoder, manifest: Manifest, tokenizer: Path, folder: Path) -> None:
    """Writes config.json, model.safetensors and tokenizer files to `folder`.

    Raises:
        ValueError: a model that transformers has no such layout for.
    """
    config = model.config
    if config.positions != "rope" or config.objective == "masked":
        raise ValueError(
            f"positions: {config.positions} with objective: {config.objective} has no Llama layout; "
            "train with rope and causal or prefix to export"
        )
    folder.mkdir(parents=True, exist_ok=True)
    kind = "qwen3" if config.qk_norm else "llama"
    about: dict[str, Any] = {
        "architectures": ["Qwen3ForCausalLM" if config.qk_norm else "LlamaForCausalLM"],
        "model_type": kind,
        "vocab_size": model.embedding.num_embeddings,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.width // config.heads,
        "hidden_act": "silu",
        "max_position_embeddings": manifest.seq_len,
        "rms_norm_eps": EPS,
        "rope_theta": config.rope_base,
        "attention_bias": False,
        "tie_word_embeddings": config.tied,
        "bos_token_id": None,
        "eos_token_id": manifest.eos_id,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    tensors = {
        _renamed(name): _halves(name, value.detach(), config) for name, value in model.named_parameters()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer.is_file():
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": manifest.seq_len}
        (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _halves(name: str, value: Tensor, config: Config) -> Tensor:
    """Queries, keys and their norms with each head's even places before its odd ones."""
    if name.endswith(("attention.q.weight", "attention.k.weight", "q_norm.weight", "k_norm.weight")):
        size = config.width // config.heads
        value = value.reshape(-1, size // 2, 2, *value.shape[1:]).transpose(1, 2).reshape(value.shape)
    return value.contiguous()


def _renamed(name: str) -> str:
    if name == "embedding.weight":
        return "model.embed_tokens.weight"
    if name in {"norm.weight", "head.weight"}:
        return "model.norm.weight" if name == "norm.weight" else "lm_head.weight"
    _, layer, rest = name.split(".", 2)
    return f"model.layers.{layer}.{_NAMES[rest.removesuffix('.weight')]}.weight"
