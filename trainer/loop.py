"""A training run, top to bottom.

    out/metrics.jsonl                a line a step, a line an evaluation
    out/checkpoints/step-000100/     see checkpoint.py
    out/tokenizer.json               of the shards: what the ids mean to whoever starts from these weights
    out/guard.json                   steps that would have done harm, and the rows that are skipped since
    out/summary.json                 written last; with it there and nothing changed, a run has nothing to do

A run that was killed goes on from its newest whole checkpoint and, on a CPU with as many threads, computes
bit for bit what it would have computed undisturbed. SIGTERM and SIGINT save a checkpoint and end the run.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stages.packed import TOKENIZER, Packed
from trainer import checkpoint
from trainer.batches import Batch, Batches
from trainer.checkpoint import Checkpoint
from trainer.config import Config
from trainer.ending import DivergedError, Stopped, finished, signals
from trainer.evaluate import Evaluation, by_source
from trainer.guard import Guard, outliers
from trainer.metrics import Log, unigram_entropy, write_json
from trainer.model import Decoder, sight
from trainer.optimiser import Optimiser, Scaler, learning_rate
from trainer.order import Order, key64
from trainer.planner import flops_per_token, peak_flops, plan
from trainer.trace import document_losses
from trainer.trackers import tracker
from trainer.world import World, started

__all__ = ["Run", "train"]


PATIENCE = 10  # steps in a row that may be left out
ROLLBACKS = 20  # of a run


def train(folder: Path, out: Path, config: Config) -> dict[str, Any]:
    """Trains on the shards of `folder` until `config.steps`; returns the summary.

    Raises:
        PackedError: shards that are not what their manifest says.
        checkpoint.MismatchError: checkpoints of another run lie in `out`.
        DivergedError: a loss that is not finite.
        Stopped: by SIGTERM or SIGINT, after saving.
    """
    packed = Packed(folder)
    if (done := finished(out, config, packed.manifest.fingerprint)) is not None:
        return done
    out.mkdir(parents=True, exist_ok=True)
    with started(config) as world, signals() as asked:
        if world.main:
            (out / "summary.json").unlink(missing_ok=True)
        return Run(packed, out, config, world, asked).go()


class Run:
    """The state of one run: what `go` walks through."""

    def __init__(self, packed: Packed, out: Path, config: Config, world: World, asked: list[int]) -> None:
        self.packed, self.out, self.config, self.world, self.asked = packed, out, config, world, asked
        manifest = packed.manifest
        split = packed.split("train")
        rows = max(1, config.batch_tokens // manifest.seq_len)
        self.order = Order(manifest.fingerprint, config.seed, len(split), rows, config.batch_ramp)
        self.batches = Batches(split, manifest, config)
        self.evaluation = Evaluation(Batches(packed.split("validation"), manifest, config), config, world)
        self.micro = min(world.micro(config, manifest.seq_len), -(-rows // world.size))
        self.flex = world.flex(config)

        # MFU = tokens/s of a rank x operations a token / the GPU's dense bf16 peak; padding is not counted
        self.flops = flops_per_token(config, manifest.vocab_size, manifest.seq_len)
        self.peak = peak_flops(world.device)

        # --- the model, its optimiser, and what a checkpoint says of both ---
        self.model = Decoder(config, manifest.vocab_size)
        self.model.to(world.device)
        world.shard(self.model, config)
        self.called: nn.Module = world.spread(self.model, config)
        self.begin()
        self.guard = Guard(out / "guard.json", config.guard_z)
        if (found := checkpoint.newest(out, say=self.say)) is not None:
            checkpoint.check_same_run(found.state, config, manifest.fingerprint, found.folder)
            self.restore(found)
            self.say(f"goes on after step {self.step} from {found.folder}")
        if world.main and (tokenizer := packed.folder / TOKENIZER).is_file():
            shutil.copyfile(tokenizer, out / TOKENIZER)

    def begin(self) -> None:
        """Step 0: weights drawn from the seed, or those of the run that this one starts from."""
        vocab_size, tokenizer = self.packed.manifest.vocab_size, self.packed.folder / TOKENIZER
        if self.config.warm_start:
            older = Path(self.config.warm_start)
            self.load(checkpoint.warm_weights(older, self.config, vocab_size, tokenizer))
        else:
            fresh = Decoder(self.config, vocab_size)
            fresh.initialise(int(key64("weights", self.config.seed)) >> 1)
            self.load(dict(fresh.named_parameters()))
        self.optimiser = Optimiser(self.model, self.config)
        self.scaler = Scaler(enabled=self.world.dtype == torch.float16)
        self.step = self.tokens = self.saved = 0

    @torch.no_grad()
    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Puts whole weights into the model, sharded as it is."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(self.world.placed(weights[name], like=parameter))

    # --- the walk --------------------------------------------------------------------------------------

    def go(self) -> dict[str, Any]:
        """Steps, evaluations and checkpoints up to the end; the summary."""
        with closing(Log(self.out / "metrics.jsonl", self.step, write=self.world.main)) as log:
            self.log = log
            if self.world.main:
                log.trackers += [
                    tracker(name, self.out, self.config, self.step) for name in self.config.trackers
                ]
            if self.step == 0:
                for warning in plan(self.packed, self.config)["warnings"]:
                    self.say(f"planner: {warning}")
                self.evaluate()
            while self.step < self.config.steps and not self.out_of_time():
                self.advance()
            if self.saved < self.step:
                self.save()
            return self.summary()

    def advance(self) -> None:
        """Steps until the end of the run, or until the stream of batches has to begin anew."""
        config, world = self.config, self.world
        stream = self.batches.steps(
            self.order,
            self.step,
            config.steps,
            skip=self.guard.skip,
            rank=world.rank,
            world=world.size,
            micro=self.micro,
            pin=world.device.type == "cuda",
        )
        with closing(stream):
            begun, worked = time.perf_counter(), time.process_time()
            for micros in stream:
                line = self.update(micros)
                self.step += 1
                line["seconds"] = time.perf_counter() - begun  # waiting for the batch included
                line["cpu_seconds"] = time.process_time() - worked
                line["tokens_per_s"] = line["step_tokens"] / line["seconds"]
                line |= world.use()
                if self.peak:
                    line["mfu"] = line["tokens_per_s"] / world.size * self.flops / self.peak
                if "skipped" in line and config.guard == "rollback":
                    self.roll_back(line)
                    return
                self.log.write(line)
                self.tell(line)
                last = self.step == config.steps or self.out_of_time()
                if last or (config.eval_every and self.step % config.eval_every == 0):
                    self.evaluate()
                stop = self.stop_asked()
                if last or stop or (config.save_every and self.step % config.save_every == 0):
                    self.save()
                if stop and not last:
                    raise Stopped(stop, self.out / "checkpoints" / f"step-{self.step:06d}")
                if last:
                    return
                begun, worked = time.perf_counter(), time.process_time()

    def update(self, micros: list[Batch]) -> dict[str, Any]:
        """One optimiser step; the loss is the mean over all labels of all ranks and micro-batches."""
        config, world = self.config, self.world
        names = self.packed.manifest.sources
        counts = torch.tensor(
            [sum(m.valid for m in micros), sum(m.tokens for m in micros)], dtype=torch.float64
        )
        valid, real = world.total(counts.to(world.device)).tolist()
        sums = torch.zeros(2, len(names), dtype=torch.float64, device=world.device)
        # Dropout draws depend on step and rank, not on the past, so there is no generator to save.
        if config.dropout:
            torch.manual_seed(int(key64("dropout", config.seed, self.step, world.rank)) >> 1)
        for number, host in enumerate(micros):
            batch = host.to(world.device)
            with world.quiet(self.called, last=number == len(micros) - 1), world.precision():
                losses = self.called(
                    batch.ids, batch.positions, sight(batch, config, flex=self.flex), batch.labels
                )
                # Ranks' gradients are averaged, hence their number; summed they make the global mean.
                (losses.sum() * (self.scaler.scale * world.size / max(1.0, valid))).backward()
            sums += by_source(losses, batch, len(names))
        world.total(sums)
        learnt = list(self.optimiser.parameters.values())
        self.scaler.unscale(learnt)
        norm = nn.utils.clip_grad_norm_(learnt, config.clip or float("inf"))
        rate = learning_rate(config, self.step, self.spent())
        loss, count = sums.cpu().numpy()
        line: dict[str, Any] = {
            "step": self.step + 1,
            "loss": float(loss.sum() / max(1.0, valid)),
            "lr": rate,
            "grad_norm": float(norm),
            "tokens": self.tokens + int(real),
            "step_tokens": int(real),
            "labels": int(valid),
            "sources": {name: float(loss[i] / count[i]) for i, name in enumerate(names) if count[i]},
        }
        usable = self.scaler.accepts(line["grad_norm"])
        # a norm that overflows is the scale's doing, a loss is not
        if (usable or not math.isfinite(line["loss"])) and (wrong := self.judge(line)):
            line["skipped"] = wrong
        elif usable:
            self.optimiser.step(rate)
        self.optimiser.zero()
        self.tokens += int(real)
        return line

    # --- when a step would do harm ---------------------------------------------------------------------

    def judge(self, line: dict[str, Any]) -> str | None:
        """What is wrong with a step, if the guard is to act on it.

        Raises:
            DivergedError: without a guard, at a loss that is not finite; with one, at too many such steps.
        """
        advice = f"lower lr (now {self.config.lr}), raise warmup, or look at the step with `trace`"
        if self.config.guard == "off":
            if not math.isfinite(line["loss"]):
                raise DivergedError(f"the loss of step {line['step']} is {line['loss']}; {advice}")
            return None
        history = self.log.recent
        wrong = self.guard.judge(line, list(history))
        if wrong:
            self.say(f"step {line['step']}: {wrong}")
            recent = sum("skipped" in past for past in list(history)[-PATIENCE:])
            if recent == PATIENCE or len(self.guard.events) >= ROLLBACKS:
                raise DivergedError(f"step {line['step']}: {wrong}, again and again; {advice}")
        return wrong

    def roll_back(self, line: dict[str, Any]) -> None:
        """Puts the rows of the step's worst documents on the skip list and takes up the last checkpoint."""
        rows, epochs = self.order.at(self.step - 1)
        fresh = np.array([row not in self.guard.skip for row in rows.tolist()])
        documents = document_losses(
            self.called, self.batches, (rows[fresh], epochs[fresh]), self.world, self.micro
        )
        worst = outliers(documents, self.config.guard_z)
        doomed = sorted({one.row for one in worst})
        found = checkpoint.newest(self.out, say=self.say)
        back = found.state["step"] if found else 0
        event = {
            "step": line["step"], "why": line["skipped"], "back_to": back, "rows": doomed,
            "documents": [asdict(one) for one in worst],
        }  # fmt: skip
        self.guard.record(event, doomed, write=self.world.main)
        self.say(
            f"back to step {back}; rows {doomed} are skipped: {', '.join(one.doc_id for one in worst[:5])}"
        )
        if found:
            self.restore(found)
        else:
            self.begin()
        self.log.cut(self.step)
        if back == 0 and not self.log.lines:
            self.evaluate()

    def evaluate(self) -> None:
        """Writes a line on the held-out rows."""
        begun = time.perf_counter()
        figures = self.evaluation.run(self.called, self.micro)
        if figures is None:
            return
        self.log.write({"step": self.step, "eval": figures, "seconds": time.perf_counter() - begun})
        worst = ", ".join(f"{name} {of['loss']:.3f}" for name, of in figures["sources"].items())
        self.say(f"step {self.step}: validation loss {figures['loss']:.4f} ({worst})")

    # --- keeping and ending ----------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint of this step, the log before it."""
        model = self.world.gathered(dict(self.model.named_parameters()))
        optimiser = self.world.gathered(self.optimiser.state)
        if self.world.main:
            self.log.sync()
            state = {
                "step": self.step,
                "tokens": self.tokens,
                "fingerprint": self.packed.manifest.fingerprint,
                "vocab_size": self.packed.manifest.vocab_size,
                "tokenizer_sha256": self.packed.manifest.tokenizer_sha256,
                "config": self.config.model_dump(mode="json"),
                "scaler": [self.scaler.scale, self.scaler.good],
                "threads": torch.get_num_threads(),
            }
            checkpoint.save(self.out, state, model, optimiser)
            checkpoint.prune(self.out, self.config)
        self.world.meet()
        self.saved = self.step

    def restore(self, found: Checkpoint) -> None:
        """Takes up a checkpoint's weights, optimiser and counts."""
        self.load(found.model)
        for key, value in self.optimiser.state.items():
            value.copy_(self.world.placed(found.optimiser[key], like=value))
        self.scaler.scale, self.scaler.good = found.state["scaler"]
        self.step, self.tokens = found.state["step"], found.state["tokens"]
        self.saved = self.step
        if found.state["threads"] != torch.get_num_threads() and self.world.device.type == "cpu":
            self.say(
                f"the checkpoint was made with {found.state['threads']} threads, this run has "
                f"{torch.get_num_threads()}: equal but for rounding; set threads to be exact"
            )

    def summary(self) -> dict[str, Any]:
        """The run in one file, made from its metrics; the last thing that is written."""
        steps, evals = self.log.steps(), self.log.evals()
        # Of the last ten steps, as one is noisy; null where a loss was not finite.
        final = [line["loss"] for line in steps[-10:] if line["loss"] is not None]
        result = {
            "steps": self.step,
            "train_loss_first": steps[0]["loss"],
            "train_loss_final": sum(final) / len(final) if final else None,
            "validation_loss": evals[-1]["eval"]["loss"] if evals else None,
            "validation": evals[-1]["eval"] if evals else None,
            "unigram_entropy": unigram_entropy(self.packed.split("train"), self.packed.manifest),
            "tokens": self.tokens,
            "epochs": self.order.position(self.step) / self.order.rows,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seconds": self.log.seconds,
            "tokens_per_s": self.tokens / max(1e-9, sum(line["seconds"] for line in steps)),
            "peak_memory_bytes": max(line["memory_bytes"] for line in steps),
            "device": str(self.world.device),
            "ranks": self.world.size,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "fingerprint": self.packed.manifest.fingerprint,
            "config": self.config.model_dump(mode="json"),
        }
        if self.world.main:
            write_json(self.out / "summary.json", result)
        return result

    # --- small things ----------------------------------------------------------------------------------

    def spent(self) -> float:
        """Share of the time budget that training steps have used up, the same on every rank."""
        if not self.config.minutes:
            return 0.0
        used = torch.tensor([self.log.seconds], device=self.world.device)
        return float(self.world.total(used)) / self.world.size / (60 * self.config.minutes)

    def out_of_time(self) -> bool:
        """Whether the time budget is used up."""
        return self.spent() >= 1.0

    def stop_asked(self) -> int:
        """The signal that any rank has got, or 0."""
        got = torch.tensor([self.asked[0] if self.asked else 0], device=self.world.device)
        return int(self.world.most(got))

    def tell(self, line: dict[str, Any]) -> None:
        """A line for people: the first steps, then every tenth."""
        if line["step"] <= 3 or line["step"] % 10 == 0:
            self.say(
                f"step {line['step']}/{self.config.steps}: loss {line['loss']:.4f}  lr {line['lr']:.2e}  "
                f"norm {line['grad_norm']:.2f}  {line['tokens_per_s']:,.0f} tokens/s"
            )

    def say(self, text: str) -> None:
        """To standard error, once for all ranks."""
        if self.world.main:
            print(text, file=sys.stderr, flush=True)
