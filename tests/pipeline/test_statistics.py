"""Statistics of parts: any cut of the corpus gives the same, and they are what a loop over the rows finds."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datasketch import HyperLogLogPlusPlus
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import statistics
from pipeline.statistics import measurements, phrases, shards, sketches
from pipeline.tabulate import ASIDE, FIXED, metric_columns
from stages.clean import Clean
from stages.kernels import distinct
from stages.packed import write_shard
from tests.trainer.corpus import documents as token_arrays
from tests.trainer.corpus import rows_of

CLEAN = Clean(presets=("gopher",)).model_dump(mode="json")
SENTENCES = ["the mill by the river", "The mill, by the river!", "a mill by a weir", "水车在河边转动", ""]


def documents(**columns: Any) -> tuple[pa.Table, pa.Table]:
    """The documents table of some rows, and what is counted besides; what is not given is null or plain."""
    rows = len(next(iter(columns.values())))
    ids = [sha256(str(row).encode()).hexdigest()[:32] for row in range(rows)]
    plain: dict[str, Any] = {
        "doc_id": ids,
        "source": ["a"] * rows,
        "fate": ["kept"] * rows,
        "repeats": [1] * rows,
    }
    given_ = {**plain, **columns}
    kinds = [(name, kind) for name, kind, _ in FIXED] + metric_columns()
    table = {name: pa.array(given_.get(name, [None] * rows), kind) for name, kind in kinds}
    aside = {name: pa.array(given_.get(name, [None] * rows), kind) for name, kind in ASIDE.items()}
    return pa.table(table), pa.table(aside)


def of(table: pa.Table, aside: pa.Table, texts: list[str]) -> statistics.Statistics:
    """The statistics of some rows, all of them in the sample."""
    return statistics.of_part(
        table,
        aside,
        CLEAN,
        phrases.sampled(table.column("doc_id"), 0),
        lambda rows: pa.array([texts[row] for row in rows], pa.large_string()),
    )


def counted(**columns: Any) -> statistics.Statistics:
    """The statistics of one part without texts."""
    table, aside = documents(**columns)
    return statistics.merged([of(table, aside, [""] * len(table))])


@st.composite
def corpora(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of some documents, of every fate."""
    rows = draw(st.integers(1, 24))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    fates = column(st.sampled_from(["kept", "kept", "clean", "dedup", "decontaminate", "quarantined"]))
    hit = st.fixed_dictionaries(
        {
            "benchmark": st.sampled_from("xy"),
            "item": st.sampled_from("123"),
            "start": st.just(0),
            "end": st.just(9),
        }
    )
    host = st.sampled_from([None, "http://a.org/1", "http://a.org/2", "http://b.org/"])
    return {
        "fate": fates,
        "reason": [None if fate == "kept" else f"{fate}.why" for fate in fates],
        "source": column(st.sampled_from("ab")),
        "lang": column(st.sampled_from(["en", "zh", None])),
        "mix_group": column(st.sampled_from(["g", "h", None])),
        "url": column(host),
        "similarity": column(st.none() | st.floats(0, 1)),
        "cluster_size": column(st.none() | st.integers(1, 4)),
        "survivor_source": column(st.sampled_from([None, "a", "b"])),
        "contamination": column(st.none() | st.lists(hit, max_size=2)),
        "chars": column(st.none() | st.integers(0, 5000)),
        "tokens": column(st.none() | st.integers(0, 99)),
        "repeats": column(st.integers(0, 3)),
        "bytes": column(st.integers(0, 9999)),
        "profile": column(st.sampled_from(["en", "zh", None])),
        "words": column(st.none() | st.integers(0, 200_000)),
        "text": column(st.sampled_from(SENTENCES)),
    }


@settings(max_examples=60, deadline=None)
@given(corpora(), st.data())
def test_any_cut_gives_the_same_statistics(columns: dict[str, list[Any]], data: st.DataObject) -> None:
    """Counts, sketches, examples and large clusters of the parts merge to those of the whole."""
    texts = columns.pop("text")
    table, aside = documents(**columns)
    rows = len(table)
    cuts = sorted({0, rows, *data.draw(st.lists(st.integers(0, rows), max_size=4))})
    whole = statistics.merged([of(table, aside, texts)])
    parts = [
        of(table.slice(a, b - a), aside.slice(a, b - a), texts[a:b]) for a, b in itertools.pairwise(cuts)
    ]
    assert statistics.merged(parts) == whole


@settings(max_examples=60, deadline=None)
@given(corpora())
def test_counts_are_those_of_a_loop_over_the_rows(columns: dict[str, list[Any]]) -> None:
    """By source and fate, by host, by reason, by benchmark."""
    texts = columns.pop("text")
    table, aside = documents(**columns)
    found = statistics.merged([of(table, aside, texts)])
    rows = [one | other for one, other in zip(table.to_pylist(), aside.to_pylist(), strict=True)]
    for source, fates in found["counts"]["source"].items():
        for fate, sums in fates.items():
            mine = [row for row in rows if (row["source"], row["fate"]) == (source, fate)]
            assert sums["documents"] == len(mine) > 0
            assert sums["repeated"] == sum((row["tokens"] or 0) * row["repeats"] for row in mine)
            assert sums["contaminated"] == sum(bool(row["contamination"]) for row in mine)
            assert sums["bytes"] == sum(row["bytes"] for row in mine)
    hosts = Counter(row["url"].split("/")[2] for row in rows if row["url"])
    assert {host: own["documents"] for host, own in found["counts"]["hosts"].items()} == hosts
    for benchmark, own in found["counts"]["contamination"].items():
        spans = [
            (row, hit) for row in rows for hit in row["contamination"] or () if hit["benchmark"] == benchmark
        ]
        assert own["items"] == Counter(hit["item"] for _, hit in spans)
        assert own["documents"] == len({row["doc_id"] for row, _ in spans})
    for fate, reasons in found["least"]["reasons"].items():
        for reason, least in reasons.items():
            ids = sorted(row["doc_id"] for row in rows if (row["fate"], row["reason"]) == (fate, reason))
            assert [doc for doc, _ in least] == ids[: statistics.EXAMPLES]
            assert [rows[row]["doc_id"] for _, row in least] == [doc for doc, _ in least]


def test_copies_whose_survivor_is_contaminated_are_counted() -> None:
    """Those that were dropped for it; not the survivor itself, nor copies of others."""
    found = counted(
        fate=["decontaminate", "dedup", "dedup", "kept", "dedup"],
        duplicate_of=[None, "a", "a", None, "d"],
        cluster_size=[3, 3, 3, 2, 2],
    )
    assert found["counts"]["copies_lost"] == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_registers_are_those_of_datasketch(hashed: list[int]) -> None:
    """Bit for bit those of HyperLogLogPlusPlus that is updated with the same hashes."""
    theirs = HyperLogLogPlusPlus(p=distinct.PRECISION, hashfunc=lambda value: value)
    for value in hashed:
        theirs.update(value)
    ours = distinct.values(np.array(hashed, np.uint64))
    assert ours.tolist() == theirs.reg.tolist()


@pytest.mark.parametrize("words", [10, 3_000, 50_000, 400_000])
def test_distinct_words_are_estimated_within_the_error(words: int) -> None:
    """Within four standard errors, whatever the number; the same word in another case counts once."""
    text = " ".join(f"w{n} W{n}" for n in range(words))
    table, aside = documents(source=["a"])
    found = statistics.merged([of(table, aside, [text])])
    assert sketches.estimate(found["distinct"]["words"]["a"]) == pytest.approx(
        words, rel=4 * sketches.ERROR, abs=1
    )


def test_the_stated_error_is_that_of_the_precision() -> None:
    """1.04 / sqrt(m), Flajolet et al. 2007."""
    assert pytest.approx(1.04 / math.sqrt(2**distinct.PRECISION), rel=0.01) == sketches.ERROR


def test_a_sample_holds_between_half_and_all_of_its_most() -> None:
    """Whatever the size of the corpus; a small one is in it whole."""
    for size in (1, 2048, 2049, 4096, 10_000, 1_000_000, 123_456_789):
        expected = size / 2 ** phrases.level(size)
        assert (
            expected == size
            if size <= phrases.SAMPLED
            else phrases.SAMPLED / 2 <= expected <= phrases.SAMPLED
        )
    ids = pa.chunked_array([[sha256(str(n).encode()).hexdigest()[:32] for n in range(8000)]])
    chosen = phrases.sampled(ids, 2)
    assert pc.sum(chosen).as_py() == pytest.approx(2000, rel=0.1)
    deeper = phrases.sampled(ids, 3)
    assert not pc.any(pc.and_not(deeper, chosen)).as_py(), "a deeper sample is part of the one above"


def test_phrases_are_counted_once_a_document() -> None:
    """Three words, or three characters of scripts without spaces; kept and dropped apart."""
    table, aside = documents(fate=["kept", "clean", "quarantined"], source=["a"] * 3)
    found = of(table, aside, ["One two three. One two three!", "水车转", "one two three"])["counts"][
        "phrases"
    ]
    assert found["kept"] == {"one two three": 1, "two three one": 1, "three one two": 1}
    assert found["dropped"] == {"水车转": 1}
    assert found["documents"] == {"kept": 1, "dropped": 1}


def test_shards_are_counted_row_by_row(tmp_path: Path) -> None:
    """Rows, cuts, documents a row and every token, over several shards."""
    counted, tables = [], []
    for number in range(2):
        drawn = token_arrays(60, 50 + number, seed=number)
        tables.append(rows_of([(0, tokens) for tokens in drawn], 64, 51))
        path = tmp_path / f"train-{number:05d}.arrow"
        write_shard(path, tables[-1])
        counted.append(shards.of_shard(path))
    sums, tokens = shards.merged(counted)
    rows = [row for table in tables for row in table.to_pylist()]
    assert [own["file"] for own in counted] == ["train-00000.arrow", "train-00001.arrow"]
    assert sums["rows"] == len(rows)
    assert sums["cuts"] == sum(start > 0 for row in rows for start in row["segment_start"])
    segments = Counter(len(row["segment_doc"]) for row in rows)
    assert sums["rows_by_segments"] == [segments[n] for n in range(max(segments) + 1)]
    occurs = Counter(token for row in rows for token in row["input_ids"])
    assert tokens.tolist() == [occurs[token] for token in range(max(occurs) + 1)]


@pytest.mark.parametrize("integer", [True, False])
def test_a_bin_holds_what_lies_between_its_edges(integer: bool) -> None:
    """Position and edge are inverse; edges rise."""
    edges = [measurements.edge(place, integer=integer) for place in range(120)]
    assert edges == sorted(edges)
    for place, value in enumerate(edges[2:], 2):
        assert measurements.position(value, integer=integer) == pytest.approx(place)
