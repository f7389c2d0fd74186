"""Identity: what a result depends on, as a digest.

A key covers the stage's name and version, its effective parameters, the versions of the libraries that
change its bytes, and the digests of what it reads. It never covers worker counts, paths of WORK, comments
or log levels. This module hashes; it opens no files but its own sources (for the build digest).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.base import Stage


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes.

    A file's name may have bytes that are not UTF-8, which Python holds as surrogates; `json.loads` takes them back.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def digest(*values: Any) -> str:
    """SHA-256 over JSON values, as 64 hex digits."""
    return hashlib.sha256(canonical(values)).hexdigest()


def short(*values: Any) -> str:
    """The first 16 hex digits of `digest`: names in the store."""
    return digest(*values)[:16]


@cache
def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the distributions that decide bytes; Arrow writes every file, Unicode classes every text."""
    found = {name: version(name) for name in sorted({*names, "pyarrow"})}
    return {**found, "unicode": unicodedata.unidata_version}


def stage_identity(stage: Stage, parameters: dict[str, Any], files: dict[str, list[str]]) -> dict[str, Any]:
    """Everything that a stage's results depend on besides its rows.

    Args:
        stage: the stage, for its name, version and libraries.
        parameters: the parameters that count for the step at hand.
        files: label -> sha256 digests of the files and artifacts that the stage reads.
    """
    return {
        "stage": stage.word(),
        "version": stage.version,
        "parameters": parameters,
        "libraries": library_versions(stage.libraries),
        "files": files,
    }


@cache
def build_digest() -> str:
    """A digest of Gristmill's own sources: a worker with other code refuses the driver's tasks."""
    home = Path(__file__).parent.parent
    state = hashlib.sha256()
    for room in ("pipeline", "stages"):
        for path in sorted((home / room).rglob("*.py")):
            state.update(path.relative_to(home).as_posix().encode())
            state.update(path.read_bytes())
    return state.hexdigest()[:16]
