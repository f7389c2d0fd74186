"""The sample corpus is what its generator makes, and its labels say what is in it.

Reads the files with plain libraries, so that the labels stand on their own. What the stages make of the
corpus is tested where the whole recipe is run.
"""

from __future__ import annotations

import gzip
import importlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from ruamel.yaml import YAML

SAMPLE = Path(__file__).parents[2] / "sample_data"
CORPUS = SAMPLE / "corpus"


@pytest.fixture(scope="module")
def labels() -> dict[str, dict[str, Any]]:
    """The labels by `at`."""
    found = [json.loads(line) for line in (CORPUS / "labels.jsonl").read_text("utf-8").splitlines()]
    assert len({label["at"] for label in found}) == len(found)
    return {label["at"]: label for label in found}


@pytest.fixture(scope="module")
def texts(labels: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The texts of all readable records but pages, by `at`."""
    return dict(_texts(labels))


@pytest.fixture(scope="module")
def edits() -> Iterator[Any]:
    """The generator's module that measures similarity."""
    sys.path.insert(0, str(SAMPLE))
    yield importlib.import_module("edits")
    sys.path.remove(str(SAMPLE))


def _texts(labels: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    fields = {"forum": "body", "code": "text", "damaged": "text"}
    rows = pq.read_table(CORPUS / "library.parquet").column("content").to_pylist()
    for at, label in labels.items():
        path = SAMPLE / label["file"]
        if label["fate"] in {"quarantined", "no_row"} or label["source"] in {"web", "crawl"}:
            continue
        if label["source"] == "library":
            yield at, rows[label["record"]]
        elif label["source"] == "notes":
            yield (
                at,
                path.read_text("utf-8").split("---\n", 2)[2].removeprefix("\n").removeprefix("# ").strip(),
            )
        elif label["source"] == "letters":
            yield at, path.read_bytes().decode(label["charset"]).replace("\r\n", "\n").strip()
        else:
            record = json.loads(_content(path).split(b"\n")[label["record"]])
            yield (
                at,
                record["article"]["body"] if label["source"] == "news" else record[fields[label["source"]]],
            )


def _content(path: Path) -> bytes:
    """What a file holds, decompressed as far as it goes."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    content = b""
    while path.suffix == ".gz" and data:
        member = zlib.decompressobj(31)
        content += member.decompress(data)
        data = member.unused_data
    return content if path.suffix == ".gz" else data


def _made(folder: Path, hash_seed: str) -> dict[str, bytes]:
    """The files that the generator writes."""
    command = [sys.executable, str(SAMPLE / "make.py"), str(folder)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": hash_seed})
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_generator_makes_what_is_committed(tmp_path: Path) -> None:
    """Same files, same content; byte for byte in every run, whatever the hash seed."""
    made = _made(tmp_path / "one", "0")
    assert _made(tmp_path / "two", "1") == made
    committed = {path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file()}
    assert committed == made.keys()
    for name in sorted(committed):
        one, two = CORPUS / name, tmp_path / "one" / name
        if name.endswith(".parquet"):
            assert pq.read_table(one).equals(pq.read_table(two))
            assert pq.ParquetFile(one).num_row_groups == pq.ParquetFile(two).num_row_groups > 2
        else:  # compressors differ between versions, so that content is compared
            assert _content(one) == _content(two), (
                f"{name}: run `python sample_data/make.py` and commit corpus/"
            )


def test_every_record_has_one_label(labels: dict[str, dict[str, Any]]) -> None:
    """Lines, rows, archive records and single-document files are counted independently."""
    counted: Counter[str] = Counter()
    for path in CORPUS.rglob("*"):
        name = path.relative_to(SAMPLE).as_posix()
        if not path.is_file() or path.name == "labels.jsonl":
            continue
        if ".jsonl" in path.name:
            content = _content(path)
            counted[name] = content.count(b"\n") + (not content.endswith(b"\n"))
        elif path.suffix == ".parquet":
            counted[name] = pq.read_metadata(path).num_rows
        elif path.name.endswith(".warc.gz"):
            counted[name] = sum(1 for _ in ArchiveIterator(io.BytesIO(path.read_bytes()), parse_http=False))
        else:
            counted[name] = 1
    assert Counter(label["file"] for label in labels.values()) == counted
    assert {(label["file"], label["record"]) for label in labels.values()} == {
        (name, record) for name, count in counted.items() for record in range(count)
    }


def test_copies_are_as_alike_as_their_labels_say(
    labels: dict[str, dict[str, Any]], texts: dict[str, str], edits: Any
) -> None:
    """Exact copies are equal, normalised ones have similarity 1, edited ones what is noted."""
    for at, label in labels.items():
        if at not in texts or "partners" not in label or label["kind"] == "mojibake_duplicate":
            continue
        likeness = [edits.jaccard(texts[at], texts[one]) for one in label["partners"] if one in texts]
        if label["kind"] == "exact_duplicate":
            assert texts[at] == texts[label["partners"][0]], at
        elif label["kind"] == "normalised_duplicate":
            assert likeness == [1.0], at
            assert texts[at] != texts[label["partners"][0]], at
        else:
            assert max(likeness) == pytest.approx(label["jaccard"], abs=1e-4), at
            assert (label["jaccard"] >= 0.82) if label["fate"] == "dedup" else (label["jaccard"] <= 0.68), at


def test_nothing_is_alike_but_what_was_planted(
    labels: dict[str, dict[str, Any]], texts: dict[str, str], edits: Any
) -> None:
    """Documents that no label relates share hardly a phrase."""
    planted = {
        at: {at, *label.get("partners", ())}
        for at, label in labels.items()
        if label["kind"] not in {"spam", "empty"}
    }
    shingles = {at: edits.shingles(texts[at]) for at in planted if at in texts}
    for one, two in itertools.combinations(shingles, 2):
        if not planted[one] & planted[two] and shingles[one] and shingles[two]:
            assert edits.overlap(shingles[one], shingles[two]) < 0.12, (one, two)


def test_quotations_stand_in_the_text(labels: dict[str, dict[str, Any]], texts: dict[str, str]) -> None:
    """Contaminated documents and mentions contain what was planted; damaged ones do not contain it yet."""
    kinds: Counter[str] = Counter()
    for at, text in texts.items():
        label = labels[at]
        if label["kind"] in {"contaminated", "short_mention"}:
            assert label["contains"] in text, at
            kinds[label["kind"]] += 1
        if label["kind"].startswith("mojibake"):
            assert label["contains"] not in text, at
            kinds[label["kind"]] += 1
        assert all(one in text for one in label.get("pii", ())), at
    assert min(kinds.values()) >= 4


def test_the_cut_archive_ends_inside_a_record() -> None:
    """Python's gzip, too, finds that the end is missing."""
    path = CORPUS / "damaged" / "cut-off.jsonl.gz"
    with pytest.raises(EOFError), gzip.open(path) as stream:
        stream.read()
    assert b"\n" not in _content(path).rpartition(b"\n")[2]


def test_the_recipe_names_what_is_there(labels: dict[str, dict[str, Any]]) -> None:
    """Sources stand in the order of the labels, their patterns match, and all eight stages are there."""
    recipe = YAML(typ="safe").load((SAMPLE / "recipe.yaml").read_text("utf-8"))
    stages = ["load", "clean", "langid", "dedup", "decontaminate", "mix", "tokenize", "pack"]
    assert [key for key in recipe if key in stages] == stages
    sources = {source["name"]: source["paths"] for source in recipe["load"]["sources"]}
    assert list(sources) == list(dict.fromkeys(label["source"] for label in labels.values()))
    assert all(list(SAMPLE.glob(pattern)) for patterns in sources.values() for pattern in patterns)
    benchmarks = [path for one in recipe["decontaminate"]["benchmarks"] for path in one["paths"]]
    assert all((SAMPLE / path).is_file() for path in benchmarks)


def test_the_readme_counts_the_plants(labels: dict[str, dict[str, Any]]) -> None:
    """Its table names every kind with its number of records and its fates."""
    table = re.findall(
        r"^\| `(\w+)` \| (\d+) \| .* \| (.*) \|$", (SAMPLE / "README.md").read_text("utf-8"), re.MULTILINE
    )
    said = {kind: (int(count), set(re.findall(r"`(\w+)`", fates))) for kind, count, fates in table}
    counted = Counter(label["kind"] for label in labels.values())
    assert said == {
        kind: (count, {label["fate"] for label in labels.values() if label["kind"] == kind})
        for kind, count in counted.items()
    }


def test_the_sample_is_small_and_large_enough(labels: dict[str, dict[str, Any]]) -> None:
    """Less than 1.5 MB in all, and at least two hundred documents that are distinct and good."""
    files = [path for path in SAMPLE.rglob("*") if path.is_file() and "cache" not in str(path)]
    size = sum(path.stat().st_size for path in files)
    assert size < 1_500_000
    derived = {"similar", "digest"}
    good = [one for one in labels.values() if one["fate"] == "kept" and one["kind"] not in derived]
    assert len(good) >= 200
    assert len(labels) >= 380
