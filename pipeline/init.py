"""A recipe to begin with, from the files that a folder holds.

Files are grouped into sources by format, by the first folder they lie in and by what their fields are called, which
the first record of each file tells. What is written is a proposal: it runs as it is, and says what to change.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from pipeline.errors import RecipeError
from pipeline.store import writing
from stages.formats.spec import kind_of_name
from stages.formats.streams import Damage, blocks, open_regular

NAME: Final = "recipe.yaml"
# What fields are called in corpora that people publish, most likely first; an id or an address may be missing.
FIELDS: Final = {
    "text": ("text", "content", "raw_content", "body", "article", "document", "markdown", "code", "story"),
    "id": ("id", "doc_id", "docid", "uuid", "_id"),
    "url": ("url", "uri", "link", "source_url"),
}
_HEAD: Final = 1 << 20
_LISTED: Final = 100  # files of one kind that are looked into one by one
_REST: Final = """
clean: {presets: [gopher]}             # rules of Rae et al. 2021; also c4, fineweb, refinedweb; {} only measures
langid: {}                             # keep: [en, zh] and min_score: 0.65 drop other languages
dedup: {}                              # exact and near copies; threshold: 0.75
# decontaminate:                       # benchmarks that the model will be judged by
#   benchmarks: [{name: gsm8k, paths: [eval/gsm8k.jsonl], question: question, answer: answer}]
# mix: {temperature: 0.7}              # or weights by source, tokens, max_epochs
tokenize: {train: {kind: bpe, vocab_size: 32000}}      # or file: tokenizer.json
pack: {seq_len: 2048, validation: 0.005}
# train: {}                            # a small model on what comes out
"""


def init(folder: Path) -> Path:
    """Writes `recipe.yaml` into a folder of documents, and returns its path.

    Raises:
        RecipeError: there is a recipe already, no such folder, or no file of a known format in it.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise RecipeError([f"init: {folder} is not a folder; say where the documents lie"])
    if path.exists():
        raise RecipeError(
            [f"init: {path} is there already; remove it, or go on with `gristmill plan {path}`"]
        )
    sources = _sources(folder)
    if not sources:
        raise RecipeError(
            [f"init: {folder} holds no file of a known format (.jsonl .parquet .txt .md .html .warc.gz ...)"]
        )
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.") or "corpus"
    lines = [
        f"name: {name}",
        "seed: 7",
        "work: work                             # results; relative to this file",
    ]
    lines += ["load:", "  sources:"]
    for source, (paths, first) in sources.items():
        fields = _fields(first)
        keys = {"name": source, "paths": paths, **fields}
        pairs = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())
        note = "   # text: which field?" if fields.get("text") is None and _records(first) else ""
        lines.append(f"    - {{{pairs}}}{note}")
    with writing(path) as beside:
        beside.write_text("\n".join(lines) + _REST, encoding="utf-8")
    return path


def _sources(folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Name -> patterns and first file; a source a first folder, extension and set of fields."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for directory, folders, names in os.walk(folder):
        inside = Path(directory).relative_to(folder)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (inside.parts or f != "work"))
        for name in sorted(names):
            if not name.startswith(".") and kind_of_name(name).format:
                first = inside.parts[0] if inside.parts else ""
                groups.setdefault((first, _extension(name)), []).append(Path(directory, name))
    found: dict[str, tuple[list[str], Path]] = {}
    for (first, extension), paths in sorted(groups.items()):
        alone = sum(other == first for other, _ in groups) == 1
        name = first if first and alone else "-".join(filter(None, (first, extension.replace(".", "-"))))
        alike = _alike(paths)
        start = _literal(first)
        pattern = f"{start}/**/*.{extension}" if first else f"*.{extension}"
        for same in alike:
            listed = [_literal(path.relative_to(folder).as_posix()) for path in same]
            own = name if len(alike) == 1 else f"{name}-{same[0].name.removesuffix(f'.{extension}')}"
            found[_free(own, found)] = ([pattern] if len(alike) == 1 else listed, same[0])
    return found


def _alike(paths: list[Path]) -> list[list[Path]]:
    """Files whose records have the same fields for text, id and address; all alike where there are too many to list."""
    if not _records(paths[0]) or len(paths) > _LISTED:
        return [paths]
    groups: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for path in paths:
        groups.setdefault(tuple(_fields(path).items()), []).append(path)
    return list(groups.values())


def _literal(name: str) -> str:
    """A path in which a glob finds no wildcard."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name as a source may be called, and as none is called yet."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:60] or "source"
    while name in taken:
        name += "-2"
    return name


def _extension(name: str) -> str:
    """`part-0.jsonl.gz` -> jsonl.gz: what decides the format, in lower or upper case as it is."""
    parts = name.split(".")
    return ".".join(parts[-2:] if kind_of_name(name).compressed and len(parts) > 2 else parts[-1:])


def _records(path: Path) -> bool:
    return kind_of_name(path.name).format in {"jsonl", "parquet", "csv", "tsv", "arrow"}


def _fields(path: Path) -> dict[str, str]:
    """Role -> field of a file's records, where the name tells; `text` only if it is called otherwise."""
    names = _first_names(path)
    found: dict[str, str] = {}
    for role, likely in FIELDS.items():
        ways = [(name.count("."), likely.index(last), name) for name in names
                if (last := name.lower().rpartition(".")[2]) in likely]  # fmt: skip
        if ways:
            found[role] = min(ways)[2]
    return found


def _first_names(path: Path) -> list[str]:
    """The fields of a file's first record; none where it has no fields or cannot be read."""
    kind = kind_of_name(path.name)
    with suppress(OSError, ValueError):
        if kind.format == "parquet":
            return list(pq.read_schema(path).names)
        if kind.format in {"jsonl", "csv", "tsv"}:
            with closing(open_regular(path)) as file:
                head = next(iter(blocks(file, 1000)), b"")
            line = (
                b"" if isinstance(head, Damage) else head[:_HEAD].lstrip(b"\xef\xbb\xbf \n[").split(b"\n")[0]
            )
            if kind.format != "jsonl":
                return line.decode("utf-8", "replace").strip().split("," if kind.format == "csv" else "\t")
            return _paths(json.loads(line))
    return []


def _paths(record: object) -> list[str]:
    """The keys of a record that hold text or a number, those of objects inside it as `outer.inner`."""
    found: list[str] = []
    for key, value in record.items() if isinstance(record, Mapping) else ():
        found += [f"{key}.{inner}" for inner in _paths(value)] if isinstance(value, Mapping) else []
        found += [str(key)] if isinstance(value, str | int) else []
    return found
