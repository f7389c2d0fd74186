"""What each verb of the command line does once its options are read: one function a verb."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.packed import TOKENIZER, Packed
from trainer import checkpoint, planner
from trainer.batches import Batches
from trainer.checkpoint import Checkpoint, MismatchError
from trainer.compare import compare_corpora, table
from trainer.config import Config, parse
from trainer.evaluate import Evaluation
from trainer.export import export_llama
from trainer.generate import generate_text
from trainer.guard import outliers
from trainer.loop import train as train_run
from trainer.metrics import write_json
from trainer.model import Decoder
from trainer.order import Order
from trainer.trace import document_losses
from trainer.world import World, started

__all__ = ["compare", "evaluate", "export", "generate", "plan", "trace", "train"]


@dataclass(frozen=True)
class Opened:
    """A run's newest whole checkpoint, as a model on this machine."""

    packed: Packed
    found: Checkpoint
    config: Config
    model: Decoder
    world: World


@contextmanager
def opened(packed: Path, out: Path, before: int | None = None) -> Iterator[Opened]:
    """Loads the newest checkpoint of a run, of a step below `before` if given and if there is one.

    Raises:
        MismatchError: there is none, or it knows another vocabulary.
    """
    shards = Packed(packed)
    found = checkpoint.newest(out, before=before) or checkpoint.newest(out)
    if found is None:
        raise MismatchError(f"{out}: no checkpoint there; give the --out folder of a training run")
    if found.state["vocab_size"] != shards.manifest.vocab_size:
        raise MismatchError(
            f"{found.folder} knows {found.state['vocab_size']} tokens, {packed} has "
            f"{shards.manifest.vocab_size}; give the shards it was trained on"
        )
    config = parse(found.state["config"] | {"device": "auto", "attention": "auto", "compile": False})
    with started(config) as world:
        model = Decoder(config, shards.manifest.vocab_size)
        model.load_state_dict(found.model, strict=False)  # a tied head is the embedding and has no entry
        yield Opened(shards, found, config, model.to(world.device).eval(), world)


def train(options: argparse.Namespace) -> None:
    """Prints the summary as a short block that grep can read."""
    summary = train_run(options.packed, options.out, options.config)
    print("---")
    for key, value in summary.items():
        if not isinstance(value, dict):
            print(f"{key + ':':20} {f'{value:.6g}' if isinstance(value, float) else value}")


def plan(options: argparse.Namespace) -> None:
    """Prints what a run would take."""
    print(json.dumps(planner.plan(Packed(options.packed), options.config), indent=1))


def evaluate(options: argparse.Namespace) -> None:
    """Prints the figures of the whole validation split."""
    with opened(options.packed, options.out) as run:
        config = run.config.model_copy(update={"eval_rows": 0})
        batches = Batches(run.packed.split("validation"), run.packed.manifest, config)
        micro = run.world.micro(config, run.packed.manifest.seq_len)
        figures = Evaluation(batches, config, run.world).run(run.model, micro)
        print(json.dumps({"step": run.found.state["step"], "eval": figures}, indent=1))


def trace(options: argparse.Namespace) -> None:
    """Prints rows and documents of a step, highest loss first, by the last weights kept before it.

    If none were kept so early, by the newest, which have seen the step: `weights_of_step` says which.
    """
    step, drop = options.step, options.drop
    with opened(options.packed, options.out, before=step) as run:
        manifest, split = run.packed.manifest, run.packed.split("train")
        checkpoint.check_same_run(run.found.state, run.config, manifest.fingerprint, run.found.folder)
        rows = max(1, run.config.batch_tokens // manifest.seq_len)
        order = Order(manifest.fingerprint, run.config.seed, len(split), rows, run.config.batch_ramp)
        drawn = order.at(step - 1)
        micro = run.world.micro(run.config, manifest.seq_len)
        batches = Batches(split, manifest, run.config)
        documents = document_losses(run.model, batches, drawn, run.world, micro)
        odd = outliers(documents, run.config.guard_z)
        odd = [] if len(odd) == len(documents) else odd
        answer = {
            "step": step,
            "weights_of_step": run.found.state["step"],
            "rows": drawn[0].tolist(),
            "outliers": [one.doc_id for one in odd],
            "documents": [asdict(one) for one in sorted(documents, key=lambda one: -one.loss)],
        }
        print(json.dumps(answer, indent=1))
        if drop is not None:
            drop.write_text("".join(f"{one.doc_id}\n" for one in odd), encoding="utf-8")


def export(options: argparse.Namespace) -> None:
    """Prints where the folder lies."""
    with opened(options.packed, options.out) as run:
        tokenizer = run.packed.folder / TOKENIZER
        export_llama(run.model.cpu(), run.packed.manifest, tokenizer, options.to)
        print(options.to)


def generate(options: argparse.Namespace) -> None:
    """Prints the prompt and what follows it."""
    with opened(options.packed, options.out) as run:
        print(
            generate_text(
                run.model, run.packed, options.prompt, tokens=options.tokens,
                temperature=options.temperature, top_k=options.top_k, seed=options.seed,
            )
        )  # fmt: skip


def compare(options: argparse.Namespace) -> None:
    """Prints a table by source and the verdict, last; in full they are in OUT/compare.json."""
    if len(options.packed) != 2:
        raise ValueError(f"compare takes --packed twice, A and B; got {len(options.packed)}")
    result = compare_corpora(options.packed[0], options.packed[1], options.out, options.config, options.seeds)
    write_json(options.out / "compare.json", result)
    print(table(result))
