"""A recipe: YAML 1.2 in, frozen stages out, every complaint at once with its line.

The words at the top level are the stages, in the order in which they run, and a few keys of the run itself
(`name`, `seed`, `work`, `max_drop`, `train`). Paths are relative to the recipe. This module reads the recipe
and looks whether the named files exist; it runs nothing.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import pyarrow as pa
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.complaints import Lines, explain, nearest, place_of
from pipeline.errors import RecipeError
from pipeline.keys import canonical
from stages.base import Global, Source, Stage
from stages.naming import stage_class, stage_names

RUN_KEYS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "name": ((str,), "text"),
    "seed": ((int,), "a whole number"),
    "work": ((str,), "a path"),
    "max_drop": ((float, int, dict), "a share, or shares by source"),
    "train": ((dict,), "keys of the trainer"),
}
MAX_BYTES: Final = 1 << 20  # a recipe is written by hand
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Recipe:
    """What to do.

    Attributes:
        path: the recipe's file.
        name: what the run is called.
        seed: what every draw is derived from.
        work: folder of results.
        stages: in the order in which they run; the first is a Source.
        train: the trainer's configuration with its defaults filled in, or None.
        resolved: the recipe as JSON values with all defaults, for `recipe.resolved.yaml`.
    """

    path: Path
    name: str
    seed: int
    work: Path
    stages: tuple[Stage, ...]
    train: Mapping[str, Any] | None
    resolved: Mapping[str, Any]

    @property
    def base(self) -> Path:
        """Where relative paths start."""
        return self.path.parent

    def locate(self, patterns: Iterable[str]) -> list[Path]:
        """The files that patterns name, sorted within each pattern."""
        return [path for pattern in patterns for path in matching(self.base, pattern)]


def matching(base: Path, pattern: str) -> list[Path]:
    """The regular files that a path or glob names, relative to `base`, sorted."""
    absolute = str(base / Path(pattern).expanduser())
    found = sorted(glob(absolute, recursive=True)) if has_magic(pattern) else [absolute]  # noqa: PTH207 - absolute
    return [Path(name) for name in found if Path(name).is_file()]


def read(path: Path, settings: Sequence[str] = (), work: Path | None = None) -> Recipe:
    """Reads a recipe and checks all of it.

    Args:
        path: the YAML file.
        settings: `a.b=value` overrides, the value as YAML.
        work: overrides the folder of results.

    Raises:
        RecipeError: with every complaint, each naming its line and the nearest known word.
    """
    tree = _parse(path)
    overridden = [_override(tree, setting) for setting in settings]
    lines = Lines(path, tree, overridden)
    complaints: list[str] = []
    words = stage_names()
    complaints += [
        f"{lines.at(key)}: unknown key {key!r}{nearest(str(key), [*words, *RUN_KEYS])}"
        for key in tree
        if key not in words and key not in RUN_KEYS
    ]
    for key, (kinds, expected) in RUN_KEYS.items():
        value = tree.get(key)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            complaints.append(f"{lines.at(key)}: {key}: expected {expected}, found {value!r}")
    name = tree.get("name") or path.stem
    if isinstance(name, str) and not _NAME.fullmatch(name):
        complaints.append(
            f"{lines.at('name')}: name {name!r}: use letters, digits, '.', '_' and '-', at most 64"
        )
    stages = _stages(tree, words, lines, complaints)
    train = _train(tree, lines, complaints)
    if not complaints:
        complaints += _order(stages, lines)
    complaints += _files(stages, path.parent, lines)
    if complaints:
        raise RecipeError(complaints)
    stages = [stage.followed_by(stages[at + 1 :]) for at, stage in enumerate(stages)]
    plain = _plain(tree)
    resolved = {"name": name, "seed": plain.get("seed", 0), "work": plain.get("work", "work")}
    resolved |= {stage.word(): stage.model_dump(mode="json") for stage in stages}
    resolved |= {"train": train} if train is not None else {}
    where = work if work is not None else path.parent / Path(str(resolved["work"])).expanduser()
    return Recipe(path, name, resolved["seed"], where.resolve(), tuple(stages), train, resolved)


def _parse(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(
                [f"{path}: larger than {MAX_BYTES} bytes; a recipe names files, it does not hold them"]
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([f"{path}: cannot read the recipe: {error}"]) from error
    try:
        tree = YAML(typ="rt", pure=True).load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise RecipeError([f"{path}:{line}: not YAML: {error.problem or error.context}"]) from error
    except YAMLError as error:
        raise RecipeError([f"{path}: not YAML: {error}"]) from error
    if not isinstance(tree, Mapping):
        raise RecipeError(
            [f"{path}:1: a recipe is a mapping of stages to their parameters, beginning with load:"]
        )
    return tree


def _override(tree: Any, setting: str) -> str:
    """Applies one `a.b=value` to the tree; returns the dotted key."""
    dotted, equals, text = setting.partition("=")
    if not equals or not dotted:
        raise RecipeError([f"--set {setting}: expected KEY.KEY=VALUE, such as dedup.threshold=0.7"])
    try:
        value = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except YAMLError as error:
        raise RecipeError([f"--set {setting}: the value is not YAML: {error}"]) from error
    *parents, last = dotted.split(".")
    node = tree
    for key in parents:
        if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, Mapping):
            if node.get(key) is None:
                node[key] = {}  # type: ignore[index]
            node = node[key]
        else:
            raise RecipeError([f"--set {setting}: {key!r} is not a key of the recipe there"])
    if isinstance(node, list) and last.isdecimal() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError([f"--set {setting}: {'.'.join(parents)} has no keys"])
    return dotted


def _plain(node: Any) -> Any:
    """The tree without the parser's own types."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _stages(tree: Any, words: list[str], lines: Lines, complaints: list[str]) -> list[Stage]:
    sources: tuple[str, ...] = ()
    stages: list[Stage] = []
    plain = _plain(tree)
    for word in tree:
        if word not in words:
            continue
        given = plain[word] if plain[word] is not None else {}
        if not isinstance(given, dict):
            complaints.append(
                f"{lines.at(word)}: {word}: expected keys, found {given!r} (null means all defaults)"
            )
            continue
        kind = stage_class(word)
        seed = plain.get("seed")
        filled: dict[str, Any] = {"seed": seed if isinstance(seed, int) else 0, "sources": list(sources)}
        if plain.get("max_drop") is not None and kind.model_fields["max_drop"].default < 1:
            filled["max_drop"] = plain["max_drop"]
        for key, value in filled.items():
            if key in kind.model_fields and not issubclass(kind, Source):
                given.setdefault(key, value)
        try:
            stage = kind.model_validate(given)
        except ValidationError as error:
            complaints += explain(error, word, kind, lines)
            continue
        if isinstance(stage, Source):
            sources = stage.source_names()
        stages.append(stage)
    return stages


def trainer_config(settings: Sequence[str]) -> Mapping[str, Any]:
    """The trainer's configuration from `--set` alone, for shards without a recipe.

    Raises:
        RecipeError: a key or value that the trainer does not know.
    """
    tree: dict[str, Any] = {"train": {}}
    dotted = [_override(tree, setting) for setting in settings]
    complaints: list[str] = []
    config = _train(tree, Lines(Path("train"), tree, dotted), complaints)
    if complaints or config is None:
        raise RecipeError(complaints)
    return config


def _train(tree: Any, lines: Lines, complaints: list[str]) -> Mapping[str, Any] | None:
    """The trainer's configuration, checked by the trainer itself in a process of its own."""
    if "train" not in tree:
        return None
    given = _plain(tree["train"]) or {}
    if not isinstance(given, dict):
        return None
    given.setdefault("seed", _plain(tree).get("seed") or 0)
    with NamedTemporaryFile(suffix=".json") as file:
        file.write(canonical(given))
        file.flush()
        command = [sys.executable, "-m", "trainer", "check", "--config", file.name]
        done = subprocess.run(command, capture_output=True, check=False)
    answer = YAML(typ="safe", pure=True).load(done.stdout) if done.stdout else None
    if not isinstance(answer, dict):
        raise RecipeError(
            [f"the trainer could not check train: {done.stderr.decode(errors='replace')[-800:]}"]
        )
    for finding in answer.get("errors", ()):
        place = str(finding["key"]).split(".")
        complaints.append(f"{lines.at('train', *place)}: train.{finding['key']}: {finding['message']}")
    config: Mapping[str, Any] | None = answer.get("config")
    return config


def _order(stages: Sequence[Stage], lines: Lines) -> list[str]:
    """Complaints about what cannot work whatever the data: no source first, columns nobody wrote before."""
    complaints = []
    if not stages or not isinstance(stages[0], Source):
        return [f"{lines.path}:1: the first stage of a recipe is load:, which names the sources"]
    written: dict[str, pa.DataType | None] = {"row": None, "doc_id": None}
    made: set[str] = set()
    for stage in stages:
        word = stage.word()
        needed = stage.needed if isinstance(stage, Global) else ()
        for missing in sorted({*stage.wanted, *needed} - written.keys()):
            maker = next((n for n in stage_names() if missing in stage_class(n).writes and n != word), None)
            hint = (
                f"put {maker}: before it"
                if maker
                else f"if records have it, load: {{metadata: {{{missing}: ...}}}}"
            )
            complaints.append(
                f"{lines.at(word)}: {word} reads the column {missing!r}, which no stage before it writes; {hint}"
            )
        for name in stage.numbers:
            kind = written.get(name)
            if kind is not None and not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                complaints.append(
                    f"{lines.at(word)}: {word} compares the column {name!r} with numbers, but it holds {kind}; "
                    f"metadata of load may be read as numbers, {{{name}: number}}"
                )
        for missing in sorted({*stage.uses} - made):
            maker = next((n for n in stage_names() if missing in stage_class(n).publishes), None)
            hint = f"; put {maker}: before it" if maker else ""
            complaints.append(
                f"{lines.at(word)}: {word} needs {missing}, which no stage before it makes{hint}"
            )
        written |= stage.written
        made |= set(stage.publishes)
    return complaints


def _files(stages: Sequence[Stage], base: Path, lines: Lines) -> list[str]:
    """Complaints about files that are not there, and about what the stages find wrong beforehand."""
    complaints = []
    sizes: dict[str, int] = {}
    for stage in stages:
        word = stage.word()
        if isinstance(stage, Source):
            found, wrong = stage.discover(base)
            for file in found:
                sizes[file.source] = sizes.get(file.source, 0) + file.most_text
            for place, message in wrong:
                near = _near_file(base, str(_value_at(stage, place)))
                complaints.append(f"{lines.at(word, *place)}: {message}{near}")
        for label, patterns in stage.files().items():
            for pattern in patterns:
                if not matching(base, pattern):
                    at = lines.at(word, *place_of(stage, pattern))
                    complaints.append(
                        f"{at}: {word}: no file {base / pattern} ({label}){_near_file(base, pattern)}"
                    )
        complaints += [f"{lines.at(word, *place)}: {message}" for place, message in stage.check(sizes)]
    return complaints


def _value_at(stage: Stage, place: Sequence[str | int]) -> Any:
    value: Any = stage.model_dump(mode="json")
    for key in place:
        value = value[key]
    return value


def _near_file(base: Path, pattern: str) -> str:
    folder = (base / pattern).parent
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return nearest(Path(pattern).name, names)
