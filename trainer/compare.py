"""Which of two corpora trains the better model? The same model on both, paired seeds, one held-out set.

Both must be packed with one tokenizer and row length, or losses mean different things. Held out are the
documents that both corpora hold out, as each of them stores them, so neither is judged on what the other
threw away; if they share none, all held-out documents of both that neither trains on. Each corpus' version of
them counts half.

Difference = loss on A - loss on B, by source. Its standard error has two parts: between seeds, and between
held-out documents. The verdict asks for Student's t at 5 % with seeds - 1 degrees of freedom.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.packed import Packed
from trainer import checkpoint
from trainer.batches import Batches
from trainer.checkpoint import MismatchError
from trainer.config import Config
from trainer.loop import train
from trainer.model import Decoder
from trainer.trace import Traced, document_losses
from trainer.world import started

__all__ = ["compare_corpora", "table", "verdict"]

T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Two-sided 5 % points of Student's t by degrees of freedom; 1.96 beyond."""

Losses = dict[tuple[int, str, str, int], tuple[str, int, float]]
"""(whose version, doc_id, source, start) -> source, labels, mean loss: the held-out pieces of one model."""


def compare_corpora(a: Path, b: Path, out: Path, config: Config, seeds: int) -> dict[str, Any]:
    """Trains 2 x `seeds` models (each resumable, under `out`) and returns differences and the verdict.

    Raises:
        MismatchError: tokenizers or row lengths differ.
        ValueError: fewer than two seeds, or nothing held out.
    """
    corpora = [Packed(a), Packed(b)]
    one, other = (corpus.manifest for corpus in corpora)
    if (one.tokenizer_sha256, one.seq_len) != (other.tokenizer_sha256, other.seq_len):
        raise MismatchError(
            f"{a} and {b} have other tokenizers or row lengths, so their losses cannot be compared; "
            "pack both with tokenize: {file: ...} and one seq_len"
        )
    if seeds < 2:
        raise ValueError("compare needs at least two seeds to know its error; give --seeds 3")
    wanted = _held_out(corpora)
    means: list[list[dict[str, float]]] = []
    pieces: list[Mapping[Any, tuple[str, int, float]]] = []
    tokens = [0, 0]
    for seed in range(seeds):
        losses = []
        for at, corpus in enumerate(corpora):
            folder = out / f"{'ab'[at]}-seed{seed}"
            run = config.model_copy(update={"seed": config.seed + seed, "eval_every": 0, "save_every": 0})
            print(f"--- corpus {'AB'[at]}, seed {run.seed}", file=sys.stderr)
            tokens[at] = train(corpus.folder, folder, run)["tokens"]
            losses.append(_measure(folder, run, corpora, wanted))
        names = ["all", *_sources(losses[0])]
        means.append([{name: _mean(of, name) for name in names} for of in losses])
        pieces.append({key: (*of[:2], of[2] - losses[1][key][2]) for key, of in losses[0].items()})
    by_source = {
        name: _difference([(a[name], b[name]) for a, b in means], pieces, name) for name in means[0][0]
    }
    return {
        "a": str(a), "b": str(b), "seeds": seeds, "tokens": {"a": tokens[0], "b": tokens[1]},
        "held_out_documents": len({ident for _, ident in wanted}),
        "difference": by_source,
        "verdict": verdict(by_source["all"], seeds),
    }  # fmt: skip


def verdict(difference: Mapping[str, float], seeds: int) -> str:
    """The better corpus, or that one cannot tell."""
    limit = _limit(seeds) * difference["standard_error"]
    if abs(difference["mean"]) <= limit or difference["mean"] == 0:
        return "cannot tell"
    return "B better" if difference["mean"] > 0 else "A better"


def table(result: Mapping[str, Any]) -> str:
    """What `compare_corpora` found, for people: a line a source, and the verdict last."""
    seeds, whole = result["seeds"], result["difference"]["all"]
    wide = max(len(name) for name in result["difference"])
    documents = f"{result['held_out_documents']} documents that neither corpus trains on"
    lines = [
        f"Loss (nats a token) on {documents}, mean of {seeds} seeds; lower is better",
        "",
        f"{'':{wide}}  {'labels':>9}  {'A':>8}  {'B':>8}  {'A - B':>8}  standard error",
    ]
    lines += [
        f"{name:{wide}}  {of['labels']:>9,}  {of['a']:8.4f}  {of['b']:8.4f}  {of['mean']:+8.4f}  "
        f"{of['standard_error']:.4f} ({of['standard_error_of_seeds']:.4f} of it between seeds)"
        for name, of in result["difference"].items()
    ]
    least = _limit(seeds) * whole["standard_error"]
    reason = f"over all, A - B is {whole['mean']:+.4f}; with {seeds} seeds, up to {least:.4f} may be chance"
    return "\n".join([*lines, "", f"A: {result['a']}", f"B: {result['b']}", f"{result['verdict']}: {reason}"])


def _limit(seeds: int) -> float:
    return T_95.get(seeds - 1, 1.96)


def _held_out(corpora: Sequence[Packed]) -> set[tuple[int, bytes]]:
    """(Whose version, doc_id) of the documents that models are judged on."""
    held = [_documents(corpus, "validation") for corpus in corpora]
    trained = _documents(corpora[0], "train") | _documents(corpora[1], "train")
    shared = (held[0] & held[1]) - trained
    wanted = {(at, ident) for at in (0, 1) for ident in (shared or held[at] - trained)}
    if not wanted:
        raise ValueError("nothing is held out of both corpora; pack them with validation above 0")
    return wanted


def _documents(corpus: Packed, split: str) -> set[bytes]:
    rows = corpus.split(split)
    found: set[bytes] = set()
    for first in range(0, len(rows), 4096):
        ids = rows.segments(range(first, min(first + 4096, len(rows)))).doc
        found.update(ids[at].tobytes() for at in range(len(ids)))
    return found


def _measure(
    folder: Path, config: Config, corpora: Sequence[Packed], wanted: set[tuple[int, bytes]]
) -> Losses:
    """Losses of a run's last weights on the held-out pieces."""
    found = checkpoint.newest(folder)
    if found is None:
        raise checkpoint.DamagedError(f"{folder}: no whole checkpoint; delete the folder and compare again")
    losses: Losses = {}
    config = config.model_copy(update={"compile": False, "attention": "auto"})  # one look at each row
    with started(config) as world:
        model = Decoder(config, corpora[0].manifest.vocab_size)
        model.load_state_dict(found.model, strict=False)
        model.to(world.device)
        for at, corpus in enumerate(corpora):
            split, manifest = corpus.split("validation"), corpus.manifest
            rows = np.arange(len(split))
            drawn = (rows, np.zeros_like(rows))
            micro = world.micro(config, manifest.seq_len)
            for one in document_losses(model, Batches(split, manifest, config), drawn, world, micro):
                if one.labels and (at, bytes.fromhex(one.doc_id)) in wanted:
                    losses[_key(at, one)] = (one.source, one.labels, one.loss)
    return losses


def _key(at: int, one: Traced) -> tuple[int, str, str, int]:
    return at, one.doc_id, one.source, one.start


def _sources(losses: Losses) -> list[str]:
    return sorted({source for source, _, _ in losses.values()})


def _mean(losses: Losses, name: str) -> float:
    """Mean loss a label of a source or of all, each corpus' version of the documents counting half."""
    halves = []
    for at in (0, 1):
        of = [
            (n, loss) for key, (source, n, loss) in losses.items() if key[0] == at and name in {"all", source}
        ]
        if of:
            halves.append(sum(n * loss for n, loss in of) / sum(n for n, _ in of))
    return sum(halves) / len(halves)


def _difference(
    means: Sequence[tuple[float, float]], pieces: Sequence[Mapping[Any, tuple[str, int, float]]], name: str
) -> dict[str, float]:
    """Mean over seeds of loss on A less loss on B, and its standard error; both losses beside it."""
    a, b = np.array(means).T
    seeds = float(np.var(a - b, ddof=1)) / len(means)
    keys = [key for key, (source, _, _) in pieces[0].items() if name in {"all", source}]
    weight = np.array([pieces[0][key][1] for key in keys], float)
    value = np.array([np.mean([piece[key][2] for piece in pieces]) for key in keys])
    mean = float((weight * value).sum() / weight.sum())
    share = weight / weight.sum()
    documents = float(
        (share**2 * (value - mean) ** 2).sum()
    )  # of a weighted mean (Cochran 1977, ratio estimate)
    return {
        "a": float(a.mean()), "b": float(b.mean()), "mean": float((a - b).mean()), "standard_error": math.sqrt(seeds + documents),
        "standard_error_of_seeds": math.sqrt(seeds), "labels": int(weight.sum()),
    }  # fmt: skip
