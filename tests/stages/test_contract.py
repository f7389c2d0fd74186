"""The laws that every stage keeps, held over every stage of the sample's recipe without a line a stage.

Any cut of the corpus into parts and any order of parts give the same columns and reasons; empty parts,
empty texts and all-dropped parts are fine; only what is declared appears; a stage is small enough to travel.
"""

from __future__ import annotations

import hashlib
import pickle
import random
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import recipe
from stages.base import Global, Local, Shuffle, Source, Stage, StageError
from stages.naming import stage_class, stage_names
from tests import corpus, harness
from tests.command import HOME

ODD = [
    "",
    " ",
    "\u3000\n",
    "word",
    "one two three four",
    "\x00\x01",
    "😀" * 50,
    "…" * 9,
    "https://a.example/" * 3,
]
PROSE = [
    "春天来了，山坡上的花一朵接一朵地开放，孩子们在田野里奔跑，老人坐在门前晒太阳。" * 3,
    "Der Zug fährt langsam durch das Tal, und niemand im Abteil sagt ein Wort. " * 4,
    "吾輩は猫ではない。名前はもうある。朝になると庭に出て、塀の上で風の匂いをかぐ。" * 3,
]


@cache
def pool() -> list[str]:
    """Texts that examples are drawn from: plain, equal, nearly equal, odd, of several scripts."""
    draw = random.Random(5)
    plain = [corpus.document(draw) for _ in range(6)]
    near = [corpus.edited(draw, text) for text in plain[:3]]
    spoiled = [
        plain[0].upper(),
        plain[1].replace(" ", "  "),
        "caf\u00c3\u00a9 " + plain[2],
        f"<p>{plain[3]}</p>",
    ]
    return [*plain, *near, *spoiled, *ODD, *PROSE]


@cache
def sample_stages() -> tuple[Stage, ...]:
    """The stages of the sample's recipe, in order, with their files located; any language, no token budget."""
    settings = ["mix.tokens=null", "langid.keep=null", "langid.min_score=0"]
    read = recipe.read(HOME / "sample_data" / "recipe.yaml", settings)
    return tuple(
        stage.located({label: read.locate(patterns) for label, patterns in stage.files().items()})
        for stage in read.stages
        if not isinstance(stage, Source)
    )


def base_rows(texts: list[str]) -> pa.Table:
    """Rows as load makes them."""
    sources = sample_sources()
    ids = [hashlib.blake2b(str(n).encode(), digest_size=16).digest() for n in range(len(texts))]
    size = len(texts)
    columns: dict[str, Any] = {
        "doc_id": ids,
        "orig_id": [str(n) for n in range(size)],
        "source": [sources[n % len(sources)] for n in range(size)],
        "file": ["f"] * size,
        "record": list(range(size)),
        "url": [None] * size,
        "text": texts,
        "bytes": [len(text.encode()) for text in texts],
        "excerpt": [None] * size,
        "offset": [None] * size,
    }
    kinds = stage_class("load").writes
    return pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()})


def sample_sources() -> tuple[str, ...]:
    """The names of the sample's sources."""
    read = recipe.read(HOME / "sample_data" / "recipe.yaml")
    assert isinstance(read.stages[0], Source)
    return read.stages[0].source_names()


def walk(texts: list[str], bounds: list[int], seed: int, folder: Path) -> dict[str, Any]:
    """Every stage's columns and reasons by doc_id, for one cut and one order; shards as bytes.

    Where a stage refuses the corpus as a whole (nothing is left to mix), its refusal is the last entry.
    """
    found: dict[str, Any] = {}
    try:
        _walk(texts, bounds, seed, folder, found)
    except StageError as refusal:
        found["refusal"] = str(refusal)
    return found


def _walk(texts: list[str], bounds: list[int], seed: int, folder: Path, found: dict[str, Any]) -> None:
    draw = random.Random(seed)
    parts = harness.cut(base_rows(texts), bounds)
    draw.shuffle(parts)
    published: dict[str, Path] = {}
    for plain in sample_stages():
        stage = plain.located({**plain._files, **{name: (published[name],) for name in plain.uses}})
        word = stage.word()
        if isinstance(stage, Shuffle):
            found[word] = harness.shards(stage, parts, folder / "packed", draw)
            continue
        assert isinstance(stage, Local | Global)
        said: dict[bytes, Any] = {}
        given_rows = [part.living(()) for part in parts]
        for part, rows, out in zip(parts, given_rows, harness.outs(stage, parts, draw), strict=True):
            assert set(out.columns) == set(stage.written), word
            assert set(out.reasons.to_pylist()) <= {None, *stage.reasons}, word
            assert all(isinstance(count, int) for count in out.tallies.values()), word
            columns = [out.columns[name].cast(kind).to_pylist() for name, kind in stage.written.items()]
            ids = rows.column("doc_id").to_pylist()
            said |= dict(zip(ids, zip(*columns, out.reasons.to_pylist(), strict=True), strict=True))
            part.take(stage, out)
        found[word] = said
        if isinstance(stage, Global) and stage.publishes:
            for name, content in harness.artifacts(stage, parts, draw).items():
                published[name] = folder / name
                published[name].write_bytes(content)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_cut_and_the_order_of_parts_change_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One part, and any parts in any order, some of them empty: the same columns, reasons and shards."""
    chosen = data.draw(st.lists(st.integers(0, len(pool()) - 1), min_size=1, max_size=25))
    texts = [pool()[n] for n in chosen] + pool()[:3]
    bounds = data.draw(st.lists(st.integers(0, len(texts)), max_size=6))
    seed = data.draw(st.integers(0, 2**16))
    whole = walk(texts, [], 0, tmp_path_factory.mktemp("whole"))
    parts = walk(texts, [0, 0, *bounds], seed, tmp_path_factory.mktemp("parts"))
    assert parts.keys() == whole.keys()
    for word, said in whole.items():
        assert parts[word] == said, word


def test_an_empty_part_is_fine() -> None:
    """No rows in, no rows out."""
    rows = base_rows([])
    for word in stage_names():
        for name, kind in stage_class(word).writes.items():
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.array([], kind))
    for stage in sample_stages():
        if isinstance(stage, Local):
            assert len(harness.outs(stage, [harness.Part(rows, [])], random.Random(0))[0].reasons) == 0
        elif isinstance(stage, Global):
            given_rows = rows.append_column("row", pa.array([], pa.uint32()))
            assert stage.survey(given_rows, 0, None).num_rows == 0, stage.word()


@pytest.mark.parametrize("word", stage_names())
def test_a_stage_declares_itself(word: str) -> None:
    """A version, sentences for its reasons, a meaning for every parameter, and columns that load keeps free."""
    kind = stage_class(word)
    assert kind.version >= 1
    assert kind.__doc__
    for code, sentence in kind.reasons.items():
        assert len(sentence) > 10, code
    for name, spec in kind.model_fields.items():
        assert spec.description, f"{word}.{name}"
    assert not {"row", "reason", "alive", "part", "bucket"} & set(kind.writes)


def test_a_stage_travels_light() -> None:
    """Pickled, a stage of the sample's recipe is smaller than a kilobyte."""
    for stage in recipe.read(HOME / "sample_data" / "recipe.yaml").stages:
        if not isinstance(stage, Source):
            assert len(pickle.dumps(stage)) < 1024, stage.word()


def test_parameters_survive_the_journey_to_a_worker() -> None:
    """JSON and back gives an equal stage."""
    for stage in recipe.read(HOME / "sample_data" / "recipe.yaml").stages:
        assert type(stage).model_validate(stage.model_dump(mode="json")) == stage
