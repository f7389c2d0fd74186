"""The files that a run reads: found, checked and digested, each once.

Digests are remembered beside the store under the file's size, change times and inode, so that an unchanged
corpus is not read again to learn that nothing changed. How a source's patterns become files, and what its
formats are, is the business of `stages.load`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.errors import InfrastructureFailed, RecipeError
from pipeline.executors import cores
from pipeline.store import file_sha256, write_json
from stages.base import Found, InputFile, Source


class Inputs:
    """Digests of files, remembered in `store/inputs.json`."""

    def __init__(self, store: Path) -> None:
        self._path = store / "inputs.json"
        try:
            self._known: dict[str, Any] = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            self._known = {}
        self._changed = False

    def of_sources(self, stage: Source, base: Path) -> list[InputFile]:
        """The digested files of all sources.

        Raises:
            RecipeError: a pattern names no file, or one outside its root.
            InfrastructureFailed: a file cannot be read.
        """
        found, wrong = stage.discover(base)
        if wrong:
            raise RecipeError([message for _, message in wrong])
        with ThreadPoolExecutor(cores()) as pool:
            files = list(pool.map(lambda file: self._input(stage, file), found))
        self._remember()
        return files

    def sha256(self, path: Path) -> str:
        """The digest of a file that a stage reads whole (a model, a benchmark, a tokenizer)."""
        signature = _signature(path)
        known = self._known.get(f"{path}")
        if known and known["signature"] == signature:
            return str(known["sha256"])
        sha256 = file_sha256(path)
        self._known[f"{path}"] = {"signature": signature, "sha256": sha256}
        self._changed = True
        self._remember()
        return sha256

    def _input(self, stage: Source, found: Found) -> InputFile:
        if found.refused:
            return stage.digest(found)
        key = f"{found.path}\n{stage.word()} {getattr(stage, 'part_bytes', '')}"
        signature = _signature(found.path)
        known = self._known.get(key)
        if known and known["signature"] == signature:
            body = {**known["file"], "lines": tuple(known["file"]["lines"])}
            return replace(InputFile(**body), source=found.source, name=found.name)
        try:
            file = stage.digest(found)
        except OSError as error:
            raise InfrastructureFailed(f"{found.path} cannot be read: {error}") from error
        self._known[key] = {"signature": signature, "file": asdict(file)}
        self._changed = True
        return file

    def _remember(self) -> None:
        if self._changed:
            write_json(self._path, self._known)
            self._changed = False


def _signature(path: Path) -> list[int]:
    """What changes whenever a file is written through the file system."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
