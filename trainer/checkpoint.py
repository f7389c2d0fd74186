"""Checkpoints: safetensors and JSON, written beside and renamed, digested, never a pickle.

    checkpoints/step-000020/model.safetensors       weights, float32
                            optimiser.safetensors   "<parameter>/<what>"
                            state.json              step, configuration, digests of the two and of itself

A folder that is there is whole: it is filled under another name, synced and renamed. A damaged one (a flipped
byte, a lost file) is passed over with a message. One of another corpus, shape or configuration is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from stages.packed import TOKENIZER
from trainer.config import Config
from trainer.model import embedding_rows

__all__ = [
    "Checkpoint", "DamagedError", "MismatchError", "check_same_run", "newest", "prune", "read", "save",
    "warm_weights",
]  # fmt: skip

FORMAT = 3
_MODEL, _OPTIMISER, _STATE = "model.safetensors", "optimiser.safetensors", "state.json"


class DamagedError(ValueError):
    """A checkpoint that is not what its digests say."""


class MismatchError(ValueError):
    """A checkpoint of another run: corpus, shape or configuration."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose digests hold.

    Attributes:
        folder: where it lies.
        state: what `save` was given, with `step`, `config` and `fingerprint`.
        model: parameter name -> float32.
        optimiser: "<parameter>/<what>" -> tensor.
    """

    folder: Path
    state: dict[str, Any]
    model: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]


def save(
    out: Path,
    state: Mapping[str, Any],
    model: Mapping[str, torch.Tensor],
    optimiser: Mapping[str, torch.Tensor],
) -> Path:
    """Writes the checkpoint of step `state["step"]` under `out`, synced to disk; returns its folder."""
    root = out / "checkpoints"
    root.mkdir(parents=True, exist_ok=True)
    for torn in root.glob(".step-*"):
        shutil.rmtree(torn)
    folder = root / f"step-{state['step']:06d}"
    beside = root / f".{folder.name}"
    beside.mkdir()
    for name, tensors in ((_MODEL, model), (_OPTIMISER, optimiser)):
        # a tied weight is one parameter and saved once; .contiguous().cpu() also undoes views
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, beside / name)
    body = {
        **state,
        "format": FORMAT,
        "files": {name: _digest(beside / name) for name in (_MODEL, _OPTIMISER)},
    }
    body["digest"] = _own_digest(body)
    (beside / _STATE).write_text(json.dumps(body, indent=1), encoding="utf-8")
    for path in (*beside.iterdir(), beside):
        _sync(path)
    if folder.exists():  # only a damaged one that was passed over
        shutil.rmtree(folder)
    beside.rename(folder)
    _sync(root)
    return folder


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint and holds it to its digests.

    Raises:
        DamagedError: it is not whole; the message says which file.
    """
    try:
        state = json.loads((folder / _STATE).read_bytes())
        if state["digest"] != _own_digest(state):
            raise DamagedError(f"{folder / _STATE}: its digest does not hold")
        if state["format"] != FORMAT:
            raise DamagedError(f"{folder / _STATE}: format {state['format']}, this release reads {FORMAT}")
        for name, expected in state["files"].items():
            if _digest(folder / name) != expected:
                raise DamagedError(f"{folder / name}: its digest does not hold")
        return Checkpoint(folder, state, load_file(folder / _MODEL), load_file(folder / _OPTIMISER))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as fault:
        if isinstance(fault, DamagedError):
            raise
        raise DamagedError(f"{folder}: cannot be read ({type(fault).__name__}: {fault})") from None


def newest(
    out: Path, before: int | None = None, say: Callable[[str], object] | None = None
) -> Checkpoint | None:
    """The newest whole checkpoint (of a step below `before`, if given); tells of those passed over."""
    tell = say or (lambda line: print(line, file=sys.stderr))
    for step, folder in sorted(_steps(out), reverse=True):
        if before is not None and step >= before:
            continue
        try:
            return read(folder)
        except DamagedError as fault:
            tell(f"passed over a damaged checkpoint: {fault}")
    return None


def prune(out: Path, config: Config) -> None:
    """Deletes all but the newest `keep` and the multiples of `keep_every`."""
    for step, folder in sorted(_steps(out))[: -config.keep]:
        if not (config.keep_every and step % config.keep_every == 0):
            doomed = folder.rename(folder.with_name(f".{folder.name}"))  # half a deletion must not look whole
            shutil.rmtree(doomed)


def check_same_run(state: Mapping[str, Any], config: Config, fingerprint: str, where: Path) -> None:
    """Refuses to go on from another run's checkpoint.

    Raises:
        MismatchError: names what differs and what to do.
    """
    elsewhere = "train into another --out folder, or delete this one to begin again"
    if state["fingerprint"] != fingerprint:
        raise MismatchError(
            f"{where} was made on other shards (fingerprint {state['fingerprint'][:12]}, these are "
            f"{fingerprint[:12]}), so its data order means nothing here; {elsewhere}"
        )
    mine, theirs = config.model_dump(mode="json"), state["config"]
    changed = [
        f"{key} {theirs.get(key)!r} -> {value!r}"
        for key, value in mine.items()
        if key not in config.free and theirs.get(key) != value
    ]
    if changed:
        raise MismatchError(
            f"{where} belongs to a run with another configuration: {', '.join(changed)}; {elsewhere}"
        )


SHAPE = ("layers", "heads", "kv_heads", "width", "hidden", "positions", "rope_base", "qk_norm", "tied")
"""Keys that two runs must share for one's weights to mean the same in the other."""


def warm_weights(run: Path, config: Config, vocab_size: int, tokenizer: Path) -> dict[str, torch.Tensor]:
    """The newest weights of another run, for a model of `config` whose vocabulary may have grown.

    Rows of the embedding and of an untied head are copied for the ids that were known (and for the hidden
    token, where both objectives are `masked`); new rows begin at the mean of the known ones (Hewitt 2021),
    which makes them likely as an average token and moves no other probability far. `tokenizer` is the file that
    made these shards; the run keeps its own as tokenizer.json.

    Raises:
        MismatchError: no checkpoint there, another shape, a vocabulary that shrank or ids that changed.
    """
    found = newest(run)
    if found is None:
        raise MismatchError(f"warm_start: {run} holds no whole checkpoint; give the folder of a training run")
    theirs, known = found.state["config"], int(found.state["vocab_size"])
    mine = config.model_dump(mode="json")
    if differ := [f"{key} {theirs[key]!r}, here {mine[key]!r}" for key in SHAPE if theirs[key] != mine[key]]:
        raise MismatchError(
            f"warm_start: {found.folder} has another shape: {'; '.join(differ)}; make them equal"
        )
    if vocab_size < known:
        raise MismatchError(
            f"warm_start: {found.folder} knows {known} tokens, these shards have {vocab_size}; "
            "a vocabulary may only grow: tokenize with one that has the old ids and more"
        )
    _check_tokens(found, run / TOKENIZER, tokenizer)
    weights = dict(found.model)
    for name in {"embedding.weight", "head.weight"} & weights.keys():
        old = weights[name]
        new = old[:known].mean(0).repeat(embedding_rows(config, vocab_size), 1)
        new[:known] = old[:known]
        if config.objective == theirs["objective"] == "masked":
            new[vocab_size] = old[known]
        weights[name] = new
    return weights


def _check_tokens(found: Checkpoint, old: Path, new: Path) -> None:
    """Refuses weights whose ids mean other tokens here; further ids may follow the old ones."""
    known = found.state["tokenizer_sha256"]
    if new.is_file() and _digest(new) == known:
        return
    if not old.is_file() or _digest(old) != known:
        raise MismatchError(
            f"warm_start: these shards have another tokenizer than {found.folder}, and {old}, which would tell "
            f"whether the ids agree, is not that run's (sha256 {known[:12]}); put its tokenizer there"
        )
    before, now = _tokens(old), _tokens(new)
    for number, token in sorted(before.items()):
        if now.get(number) != token:
            raise MismatchError(
                f"warm_start: id {number} is {token!r} in {old} and {now.get(number)!r} in {new}, so its "
                "weights mean nothing here; tokenize with the run's tokenizer, or one that only adds ids to it"
            )


def _tokens(path: Path) -> dict[int, str]:
    """Id -> token, added ones included."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - a warm start onto another tokenizer is rare

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # noqa: BLE001 - the library raises nothing narrower
        raise MismatchError(f"warm_start: {path} cannot be read as a tokenizer ({fault})") from None
    return {number: token for token, number in tokenizer.get_vocab(with_added_tokens=True).items()}


def _steps(out: Path) -> list[tuple[int, Path]]:
    found = [(folder.name.removeprefix("step-"), folder) for folder in (out / "checkpoints").glob("step-*")]
    return [(int(number), folder) for number, folder in found if number.isdigit()]


def _own_digest(state: Mapping[str, Any]) -> str:
    body = {key: value for key, value in state.items() if key != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
