"""The keys of a recipe's `train:`, their defaults, and messages for what is wrong with them.

Imports no torch: `python -m trainer check` must answer while the user still looks at the recipe.
It does not know the corpus: vocabulary size and row length come from the packed manifest.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

__all__ = ["Config", "ConfigError", "parse"]

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class ConfigError(ValueError):
    """A configuration that cannot be run; `errors` holds a key and a message for each fault."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"train.{e['key']}: {e['message']}" for e in errors))


class Config(BaseModel):
    """A training run. An empty mapping is a valid one."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    machine: ClassVar[frozenset[str]] = frozenset(
        {"save_every", "keep", "keep_every", "device", "micro_batch", "threads", "attention", "compile",
         "checkpoint_activations", "parallel", "offload", "prefetch", "trackers"}
    )  # fmt: skip
    """Keys that leave the results as they are, but for rounding."""
    free: ClassVar[frozenset[str]] = machine | {"steps", "minutes", "warmup", "eval_every", "eval_rows"}
    """Keys that may change when a run is resumed; any other change is refused."""

    # --- the model -------------------------------------------------------------------------------------
    layers: Count = 6
    """Decoder blocks."""
    heads: Count = 6
    """Query heads."""
    kv_heads: CountOrNone = 0
    """Key and value heads, shared by groups of query heads (GQA); 0: as many as `heads`; 1: MQA."""
    width: Count = 384
    """Size of the residual stream; a multiple of 2 x heads."""
    hidden: CountOrNone = 0
    """Width of the SwiGLU layer; 0: 8/3 of `width`, to the nearest multiple of 64 that is not 0."""
    positions: Literal["rope", "alibi"] = "rope"
    """How attention knows distance: rotation of queries and keys, or a linear penalty."""
    rope_base: Positive = 10000.0
    """Base of the rotation's wavelengths."""
    qk_norm: bool = False
    """RMS-normalise queries and keys, which bounds attention logits."""
    tied: bool = True
    """Share the input embedding with the output layer."""
    dropout: Decay = 0.0
    """Share of each residual branch's outputs set to zero in training."""

    # --- what is learned -------------------------------------------------------------------------------
    objective: Literal["causal", "masked", "prefix"] = "causal"
    """Next token; 15 % masked tokens, bidirectional; or next token after a bidirectional prefix."""
    document_masks: bool = True
    """Attention stays inside a document and positions restart with each; false: over the whole row."""
    steps: Count = 1000
    """Optimiser steps."""
    minutes: Annotated[float, Field(ge=0.0)] = 0.0
    """Stop after this many minutes of training, learning rate decayed to that end; 0: no limit."""
    batch_tokens: Count = 32768
    """Tokens a step over all ranks; rounded to whole rows, at least one."""
    batch_ramp: CountOrNone = 0
    """Steps over which the batch grows linearly to `batch_tokens`; 0: full from the start."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides initial weights, order of rows, masks and dropout."""
    warm_start: str = ""
    """Folder of a training run whose newest weights to begin with; its model must have the same shape.
    Token ids keep their embeddings; ids that the older vocabulary lacked begin at the mean of the others."""

    # --- optimisation ----------------------------------------------------------------------------------
    optimiser: Literal["adamw", "muon"] = "adamw"
    """AdamW for everything, or Muon for the hidden matrices and AdamW for the rest."""
    lr: Annotated[float, Field(ge=0.0)] = 0.0
    """Peak learning rate; 0: 0.5 / width, at most 4e-3 (wider models want smaller steps)."""
    lr_end: Fraction = 0.1
    """Learning rate at the end, as a share of the peak."""
    warmup: Annotated[int, Field(ge=-1)] = -1
    """Steps of linear warm-up; -1: a tenth of `steps`, at most 2000."""
    schedule: Literal["cosine", "linear", "wsd", "constant"] = "cosine"
    """After warm-up: half a cosine, a line, warm-up-stable-decay, or nothing."""
    wsd_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Share of `steps` over which `wsd` decays, linearly, at the end."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    """Decoupled decay, on matrices only."""
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    clip: Annotated[float, Field(ge=0.0)] = 1.0
    """Largest norm of the gradient; 0: unclipped."""

    guard: Literal["off", "skip", "rollback"] = "skip"
    """Steps whose loss or gradient norm sticks out: taken, left out, or undone, their worst rows skipped."""
    guard_z: Positive = 8.0
    """Robust deviations above the last 32 steps that count as sticking out."""

    # --- watching and keeping --------------------------------------------------------------------------
    eval_every: CountOrNone = 100
    """Steps between evaluations; there is always one at the end. 0: only that one."""
    eval_rows: CountOrNone = 256
    """Validation rows of an evaluation, the same ones every time; 0: all."""
    save_every: CountOrNone = 100
    """Steps between checkpoints; there is always one at the end. 0: only that one."""
    keep: Count = 2
    """Newest checkpoints that are kept."""
    keep_every: CountOrNone = 0
    """Checkpoints at multiples of this many steps are kept for good; 0: none."""

    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where metrics go beside metrics.jsonl; each needs its package."""

    # --- the machine: changes speed, never the order of the data ---------------------------------------
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; auto: a GPU if there is one."""
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number type of activations; auto: bf16 on a GPU, fp32 on a CPU. Weights are fp32."""
    micro_batch: CountOrNone = 0
    """Rows a forward pass on each rank; 0: about 8192 tokens on a CPU, 65536 on a GPU."""
    threads: CountOrNone = 0
    """CPU threads a process; 0: the cores it may use. Resuming bit for bit needs the same number."""
    attention: Literal["auto", "sdpa", "flex"] = "auto"
    """Document masks given to torch's fused attention, or FlexAttention (auto: compiled, on a GPU)."""
    compile: bool | Literal["auto"] = "auto"
    """torch.compile the model; auto: on a GPU only."""
    checkpoint_activations: bool = False
    """Recompute each block in the backward pass instead of keeping its activations."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """Under torchrun: replicate the model, or shard it (FSDP2)."""
    offload: bool = False
    """With fsdp: keep weights and optimiser state in CPU memory."""
    prefetch: CountOrNone = 2
    """Batches prepared ahead of the step; 0: none."""

    @field_validator("kv_heads")
    @classmethod
    def _groups(cls, value: int, info: ValidationInfo) -> int:
        heads = info.data.get("heads", 1)
        if value and heads % value:
            raise ValueError(
                f"{value} does not divide heads ({heads}); use 0 for as many as heads, or a divisor"
            )
        return value

    @field_validator("width")
    @classmethod
    def _divides(cls, value: int, info: ValidationInfo) -> int:
        heads = info.data.get("heads", 1)
        if value % (2 * heads):
            up = -(-value // (2 * heads)) * 2 * heads
            raise ValueError(
                f"{value} is not a multiple of 2 x heads ({2 * heads}); use {up}, or other heads"
            )
        return value

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        kind, _, number = value.partition(":")
        if value not in {"auto", "cpu", "cuda"} and not (kind == "cuda" and number.isdigit()):
            raise ValueError(f"{value!r} is not a device; use auto, cpu, cuda or cuda:N")
        return value

    @field_validator("offload")
    @classmethod
    def _sharded(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("parallel") != "fsdp":
            raise ValueError("offload needs parallel: fsdp")
        return value

    @model_validator(mode="after")
    def _filled(self) -> Self:
        """Replaces "as the others imply" (0, -1) by what it comes to, so that a run's record is complete."""
        implied = {
            "kv_heads": self.kv_heads or self.heads,
            "hidden": self.hidden or max(64, round(self.width / 24) * 64),
            "lr": self.lr or min(4e-3, 0.5 / self.width),
            "warmup": min(2000, self.steps // 10) if self.warmup < 0 else self.warmup,
        }
        for name, value in implied.items():
            object.__setattr__(self, name, value)
        return self


def parse(mapping: Mapping[str, Any] | None) -> Config:
    """The configuration that a recipe's `train:` states; None (a bare key) means all defaults.

    Raises:
        ConfigError: with every fault at once, unknown keys with the nearest known one.
    """
    try:
        return Config.model_validate(dict(mapping or {}))
    except ValidationError as fault:
        raise ConfigError([_explained(error) for error in fault.errors(include_url=False)]) from None


def _explained(error: Any) -> dict[str, str]:
    key = ".".join(str(step) for step in error["loc"] if step not in {"bool", "literal['auto']"})
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Config.model_fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(Config.model_fields)}"
        return {"key": key, "message": f"unknown key; {hint}"}
    said = error["msg"].removeprefix("Value error, ")
    return {
        "key": key,
        "message": said if said.startswith(repr(error["input"])) else f"{said}, not {error['input']!r}",
    }
