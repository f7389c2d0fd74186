"""Passages that many documents have: navigation, licences, boilerplate (`lines:` of dedup).

After documents, parts of them: lines, paragraphs, or windows of sentences (C4, Raffel et al. 2020; RULES 10.3)
are hashed by their match tokens, so case, punctuation and spacing make no difference, and counted over all
kept documents. Those that too many have are removed from the text. What has no letter or number is never a
repeat of anything.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from stages.columns import DOC_ID, TEXT, ids, utf8, whole
from stages.kernels.hashing import mix64

VERDICT: Final = (
    pa.field("doc_id", DOC_ID),
    pa.field("duplicate_of", DOC_ID),
    pa.field("similarity", pa.float64()),
    pa.field("cluster_size", pa.int32()),
    pa.field("survivor_source", pa.string()),
    pa.field("reason", pa.string()),
)
"""What verification says of a member of a cluster."""


class Passages(BaseModel):
    """Which passages are removed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    unit: Literal["lines", "paragraphs", "sentences"] = "lines"
    """What a text is cut into: at line feeds, at blank lines, or by the sentence rule."""

    window: int | None = Field(None, ge=1, le=64)
    """Units in a row that must be repeated together; null: 3 for sentences (C4), else 1."""

    max_documents: int = Field(10, ge=1)
    """A passage in more documents than this is removed; with `keep: first`, one that occurs more often."""

    keep: Literal["none", "first"] = "none"
    """`none`: it goes everywhere; `first`: it stays where it occurs first, in the least doc_id (C4)."""

    min_words: int = Field(1, ge=0)
    """A document that lost passages and has fewer words left is dropped (C4: 50), unless others went for it."""

    min_sentences: int = Field(0, ge=0)
    """A document that lost passages and has fewer sentences left is dropped (C4: 3), unless others went for it."""

    @property
    def length(self) -> int:
        """Units in a window."""
        return self.window or (3 if self.unit == "sentences" else 1)

    def _cut(
        self, texts: pa.Array | pa.ChunkedArray
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        from stages.kernels import passages  # noqa: PLC0415 - Numba is for workers, not for plans

        kinds = {"lines": passages.LINES, "paragraphs": passages.PARAGRAPHS, "sentences": passages.SENTENCES}
        return passages.units(*utf8(texts), kinds[self.unit])

    def survey(self, rows: pa.Table, told: pa.Table, buckets: int, *, everyone: bool) -> pa.Table:
        """{bucket, key, row, unit, doc_id, verdict}: every window of every kept document, and the verdicts.

        Args:
            rows: living rows of a part.
            told: the verdicts on rows of this part.
            buckets: piles to deal findings into.
            everyone: windows of removed documents count too.
        """
        from stages.kernels.units import normalised  # noqa: PLC0415

        verdicts = pa.array(told.select([field.name for field in VERDICT]).to_pylist(), pa.struct(VERDICT))
        own = told["row"].to_numpy()
        if not everyone:
            gone = told.filter(pc.is_valid(told["reason"]))["row"]
            rows = rows.filter(pc.invert(pc.is_in(rows["row"], value_set=whole(gone))))
        texts, _ = normalised(rows["text"])
        row, _, keys = self._cut(texts)
        number = np.arange(len(row)) - np.searchsorted(row, row)
        size = self.length
        first = np.flatnonzero(row[size - 1 :] == row[: max(0, len(row) - size + 1)])
        window = keys[first]
        for k in range(1, size):
            window = mix64(window) ^ keys[first + k]
        bucket = ((window >> np.uint64(48)) * np.uint64(buckets)) >> np.uint64(16)
        lists = np.append(np.zeros(len(first), np.int32), np.arange(len(own) + 1, dtype=np.int32))
        columns = {
            "bucket": pa.array(np.append(bucket, own % buckets).astype(np.uint16)),
            "key": pa.array(np.append(window, np.zeros(len(own), np.uint64))),
            "row": pa.array(np.append(rows["row"].to_numpy()[row[first]], own).astype(np.uint32)),
            "unit": pa.array(np.append(number[first], np.full(len(own), -1)).astype(np.int32)),
            "verdict": pa.ListArray.from_arrays(pa.array(lists), verdicts),
        }
        if self.keep == "first":
            docs = whole(rows["doc_id"]).take(pa.array(row[first]))
            columns["doc_id"] = pa.concat_arrays([docs, pa.nulls(len(own), DOC_ID)])
        return pa.table(columns)

    def decide(self, findings: pa.Table) -> pa.Table:
        """{part, row, unit, verdict}: the windows that are removed, by their first unit; verdicts (unit -1)."""
        from stages.kernels.components import shared  # noqa: PLC0415

        unit = findings["unit"].to_numpy()
        windows = np.flatnonzero(unit >= 0)
        members = windows[shared(findings["key"].to_numpy()[windows])]
        chosen = findings.take(pa.array(members))
        key, number = chosen["key"].to_numpy(), chosen["unit"].to_numpy()
        place = chosen["part"].to_numpy().astype(np.uint64) << np.uint64(32)
        place |= chosen["row"].to_numpy()
        if self.keep == "first":
            doc = ids(chosen["doc_id"]).view(">u8").astype(np.uint64)
            order = np.lexsort((number, doc[:, 1], doc[:, 0], key))
        else:
            order = np.lexsort((number, place, key))
        key, place, number = key[order], place[order], number[order]
        new = np.append(True, key[1:] != key[:-1])[: len(key)]
        group = np.cumsum(new) - 1
        begins = np.flatnonzero(new)[group]
        counted = np.ones(len(key), np.bool_)
        if self.keep == "none":
            counted = new | np.append(True, place[1:] != place[:-1])[: len(key)]
        goes = np.bincount(group, counted)[group] > self.max_documents if len(key) else counted
        if self.keep == "first":  # nor does what overlaps the first occurrence go
            goes &= (place != place[begins]) | (number >= number[begins] + self.length)
        kept = np.append(members[order][goes], np.flatnonzero(unit < 0))
        return findings.select(["part", "row", "unit", "verdict"]).take(pa.array(kept))

    def verdicts(self, ruling: pa.Table) -> pa.Table:
        """The verdicts among the rows of a ruling: its columns but `unit`, and those of `VERDICT`."""
        own = ruling.filter(pc.equal(ruling["unit"], -1))
        said = whole(own["verdict"]).flatten()
        found = own.drop_columns(["unit", "verdict"])
        for number, field in enumerate(VERDICT):
            found = found.append_column(field, pc.struct_field(said, number))
        return found

    def apply(
        self, rows: pa.Table, ruling: pa.Table, reasons: pa.Array
    ) -> tuple[dict[str, pa.Array], pa.Array, dict[str, int]]:
        """Texts without the passages, what went, who is dropped for it, and counts.

        Args:
            rows: living rows with `row` and `text`.
            ruling: what was decided on them.
            reasons: those of verification; such rows get no text.
        """
        from stages.kernels.units import normalised  # noqa: PLC0415

        removals = ruling.filter(pc.greater_equal(ruling["unit"], 0)).sort_by("row")
        changed, places = np.unique(removals["row"].to_numpy(), return_index=True)
        at = np.searchsorted(rows["row"].to_numpy(), changed)
        texts, _ = normalised(rows["text"].take(pa.array(at)))
        data, offsets = utf8(texts)
        row, starts, _ = self._cut(texts)
        first = np.searchsorted(row, np.arange(len(at) + 1))
        said = self.verdicts(ruling)
        survives = np.isin(changed, said["row"].to_numpy()[np.asarray(said["duplicate_of"].is_null())])
        firsts = np.split(removals["unit"].to_numpy(), places[1:]) if len(at) else []
        removed = np.zeros(rows.num_rows, np.int32)
        rewritten: list[str] = []
        why = np.array(reasons.to_pylist(), np.object_)
        for number, units in enumerate(firsts):
            begins = starts[first[number] : first[number + 1]]
            stays = np.ones(len(begins), np.bool_)
            for k in range(self.length):
                stays[units + k] = False
            ends = np.append(begins[1:], offsets[number + 1])
            pieces = [data[a:b].tobytes() for a, b in zip(begins[stays], ends[stays], strict=True)]
            text = b"".join(pieces).decode().strip()
            rewritten.append(text)
            removed[at[number]] = len(begins) - int(stays.sum())
            if why[at[number]] is None and not survives[number] and self._too_little(text):
                why[at[number]] = "passages"
        mask = np.zeros(rows.num_rows, np.bool_)
        mask[at] = True
        texts = whole(rows["text"]).cast(TEXT)
        if len(at):
            texts = pc.replace_with_mask(texts, pa.array(mask), pa.array(rewritten, TEXT))
        gone = np.array([reason is not None for reason in why], np.bool_)
        texts = pc.if_else(pa.array(gone), pa.scalar(None, TEXT), texts)
        columns = {
            "text": texts,
            "bytes": pc.binary_length(texts),
            "passages_removed": pa.array(removed),
        }
        tallies = {"passages_removed": int(removed.sum()), "documents_rewritten": len(at)}
        return columns, pa.array(why, pa.string()), tallies

    def _too_little(self, text: str) -> bool:
        from stages.kernels.passages import words  # noqa: PLC0415
        from stages.kernels.sentences import count_sentences  # noqa: PLC0415

        data, offsets = utf8(pa.array([text], TEXT))
        if words(data, offsets) < self.min_words:
            return True
        return self.min_sentences > 0 and int(count_sentences(data, offsets)[0]) < self.min_sentences
