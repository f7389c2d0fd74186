"""Where a run runs: ranks under torchrun, device, number type, threads, and the model spread over them.

The only file that knows how many processes there are. Gradients are summed over ranks and normalised by the
globally counted labels, so that a run on several ranks computes what one would.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.config import Config
from trainer.model import Decoder
from trainer.planner import micro_tokens

__all__ = ["World", "started"]


@dataclass(frozen=True)
class World:
    """This process among its peers.

    Attributes:
        rank: 0 for the one that writes files.
        size: how many processes there are.
        device: where this one computes.
        dtype: of activations; weights are float32.
    """

    rank: int
    size: int
    device: torch.device
    dtype: torch.dtype

    @property
    def main(self) -> bool:
        """Whether this rank writes files."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def most(self, value: Tensor) -> Tensor:
        """The largest over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return value

    def meet(self) -> None:
        """Waits for all ranks."""
        if self.size > 1:
            dist.barrier()

    def use(self) -> dict[str, float]:
        """Peak memory in bytes, of the GPU's allocator or of this process; with pynvml, how busy the GPU is."""
        if self.device.type == "cuda":
            use: dict[str, float] = {"memory_bytes": torch.cuda.max_memory_allocated()}
            if importlib.util.find_spec("pynvml"):
                nvml = importlib.import_module("pynvml")
                with suppress(nvml.NVMLError):  # a slice of a GPU (MIG) has no such figure
                    use["gpu_percent"] = torch.cuda.utilization(self.device)
            return use
        unit = 1 if sys.platform == "darwin" else 1024
        return {"memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}

    def micro(self, config: Config, seq_len: int) -> int:
        """Rows of a forward pass."""
        return config.micro_batch or max(1, micro_tokens(self.device.type) // seq_len)

    def compiled(self, config: Config) -> bool:
        """Whether the model is compiled."""
        return self.device.type == "cuda" if config.compile == "auto" else config.compile

    def flex(self, config: Config) -> bool:
        """Whether document masks go through FlexAttention (uncompiled, it is slower than a plain mask)."""
        auto = self.device.type == "cuda" and self.compiled(config)
        return auto if config.attention == "auto" else config.attention == "flex"

    def precision(self) -> AbstractContextManager[object]:
        """Runs what is inside in the number type of activations."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def spread(self, model: Decoder, config: Config) -> nn.Module:
        """The model as it is called in training: compiled, replicated or sharded."""
        called: nn.Module = model
        if self.size > 1 and config.parallel == "ddp":
            ids = [self.device.index] if self.device.type == "cuda" else None
            called = nn.parallel.DistributedDataParallel(model, device_ids=ids)
        if self.compiled(config):
            called.compile()
        return called

    def quiet(self, called: nn.Module, *, last: bool) -> AbstractContextManager[object]:
        """Lets ranks exchange gradients with the last micro-batch only."""
        if isinstance(called, nn.parallel.DistributedDataParallel) and not last:
            return called.no_sync()
        return nullcontext()

    def gathered(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors from sharded ones; all ranks take part."""
        if not self.sharded(state.values()):
            return state
        return {
            key: getattr(value, "full_tensor", lambda value=value: value)() for key, value in state.items()
        }

    def placed(self, value: Tensor, *, like: Tensor) -> Tensor:
        """A whole tensor from a file on the device of `like`, and sharded as it is if it has its shape."""
        if self.sharded([like]) and value.shape == like.shape:
            from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415 - costs two seconds

            mesh, placements = like.device_mesh, like.placements  # type: ignore[attr-defined]
            return distribute_tensor(value.to(mesh.device_type), mesh, placements)
        return value.to(like.device)

    def sharded(self, tensors: Iterable[Tensor]) -> bool:
        """Whether there are DTensors among them; asked without importing what defines them."""
        return any(hasattr(tensor, "full_tensor") for tensor in tensors)

    def shard(self, model: Decoder, config: Config) -> None:
        """Shards the weights over ranks (FSDP2), before the optimiser sees them."""
        if self.size == 1 or config.parallel != "fsdp":
            return
        from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415 - with the next one
        from torch.distributed.fsdp import (  # noqa: PLC0415 - costs a second that one process need not pay
            CPUOffloadPolicy,
            MixedPrecisionPolicy,
            OffloadPolicy,
            fully_shard,
        )

        narrow = None if self.dtype == torch.float32 else self.dtype
        # Before torch 2.15, gradients would be summed over ranks in the narrow type.
        precision = MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32)
        offload = CPUOffloadPolicy() if config.offload else OffloadPolicy()
        mesh = init_device_mesh(self.device.type, (self.size,))
        for part in [*model.blocks, model]:
            fully_shard(part, mesh=mesh, mp_policy=precision, offload_policy=offload)


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed: a step frees and asks again for the same large tensors.

    Given back to the kernel in between, their pages are zeroed anew: up to a tenth of a step on one core.
    The numbers are those of malloc.h, M_TRIM_THRESHOLD (-1: never) and M_MMAP_THRESHOLD; the second value is
    what releases before 2.35 take. Other C libraries have no such call, or none that needs it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-1, -1)
        _ = mallopt(-3, 1 << 30) or mallopt(-3, 1 << 25)


@contextmanager
def started(config: Config) -> Iterator[World]:
    """Joins the other ranks, if torchrun started us, and sets up this process.

    Raises:
        ValueError: something needs a GPU and there is none.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local, locals_ = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpu = torch.cuda.is_available()
    if config.device.startswith("cuda") and not gpu:
        raise ValueError("device: cuda, but torch sees no GPU; use device: auto or cpu")
    if config.attention == "flex" and (config.device == "cpu" or not gpu):
        raise ValueError("attention: flex trains on a GPU only; use attention: auto")
    device = torch.device(
        "cpu" if config.device == "cpu" or not gpu else config.device.replace("auto", "cuda")
    )
    if device.type == "cuda":
        device = torch.device("cuda", local if size > 1 or device.index is None else device.index)
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    keep_freed_memory()
    torch.set_num_threads(config.threads or max(1, len(os.sched_getaffinity(0)) // locals_))
    names = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    dtype = names.get(config.dtype, torch.bfloat16 if device.type == "cuda" else torch.float32)
    if size > 1:
        # gloo as well: with offload, norms and checkpoints are gathered from CPU memory
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(rank, size, device, dtype)
    finally:
        if size > 1:
            dist.destroy_process_group()
