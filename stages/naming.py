"""From a recipe's word to its stage: `dedup` is class `Dedup` of module `stages.dedup`, and nothing is registered.

Does not know what a stage does (`base.py`), nor recipes.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

from stages.base import Stage

_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def stage_class(word: str) -> type[Stage]:
    """The stage that a recipe's word names: class `Dedup` of module `stages.dedup`.

    Raises:
        KeyError: no such stage.
    """
    if not _WORD.fullmatch(word) or importlib.util.find_spec(f"stages.{word}") is None:
        raise KeyError(word)
    module = importlib.import_module(f"stages.{word}")
    found = getattr(module, word.title().replace("_", ""), None)
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise KeyError(word)
    return found


def stage_names() -> list[str]:
    """The words of all stages in this folder, sorted.

    Reads the files instead of importing them, so that a recipe pays for the libraries of its own stages only.
    """
    import stages  # noqa: PLC0415 - the package looks at its own folder

    found = []
    for path in (path for folder in stages.__path__ for path in Path(folder).glob("*.py")):
        heading = rf"^class {path.stem.title().replace('_', '')}\((Source|Local|Global|Shuffle)\):"
        if re.search(heading, path.read_text(encoding="utf-8"), re.MULTILINE):
            found.append(path.stem)
    return sorted(found)
