"""What a stage is: a frozen model whose fields are its recipe keys and whose methods are pure.

Four kinds, told apart by what travels between parts of the corpus:

    Source   nothing yet: files become rows                     load
    Local    nothing                                            clean, langid
    Global   small keyed findings, exchanged in rounds          dedup, decontaminate, mix, tokenize
    Shuffle  the rows themselves                                pack

Up to the shuffle, rows stay where they are: a stage adds columns and may give a row a reason to be dropped;
it never reorders, inserts or deletes rows. It is handed living rows only, in order.

This module does no I/O and knows nothing of stores, plans or workers: `pipeline` does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

__all__ = [
    "Found",
    "Global",
    "InputFile",
    "Local",
    "Out",
    "Share",
    "Shuffle",
    "Slice",
    "Source",
    "Stage",
    "StageError",
]

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class StageError(ValueError):
    """A request that no data can satisfy (an infeasible mixture, a model of the wrong kind).

    The message says what was wrong, what was expected and what to change in the recipe.
    """


@dataclass(frozen=True)
class Out:
    """What a stage says of the rows it was handed.

    Attributes:
        columns: name -> array, as long as the input; names and types as declared in `writes`.
        reasons: strings as long as the input, null where the row lives; codes as declared in `reasons`.
        tallies: integer counts that add up over parts, whatever the order.
    """

    columns: Mapping[str, pa.Array]
    reasons: pa.Array
    tallies: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class InputFile:
    """One file of a source.

    Attributes:
        source: name of the source it belongs to.
        path: where it lies, absolute.
        name: its path relative to the source's root, with forward slashes; part of every doc_id.
        size: bytes on disk.
        sha256: hex digest of its content.
        lines: line feeds before each multiple of `part_bytes` in the file (uncompressed line formats only).
    """

    source: str
    path: str
    name: str
    size: int
    sha256: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Slice:
    """A piece of work for `Source.read`: some whole files, or one range of one file.

    Attributes:
        name: unique among the slices, stable when other files come or go; parts are named after it.
        source: name of the source.
        files: the files it covers.
        start: first byte (line formats), row group (Parquet) or record batch (Arrow) of the range.
        stop: end of the range, exclusive; -1 means to the end of the file.
        first_record: record number of the first record that begins in the range.
    """

    name: str
    source: str
    files: tuple[InputFile, ...]
    start: int = 0
    stop: int = -1
    first_record: int = 0


class Stage(BaseModel):
    """A frozen model: fields are parameters and recipe keys; methods are pure functions of Arrow tables.

    The docstring of a stage is its line in the README's table: what it does. Class attributes, declared in the
    body of each stage:

    Attributes:
        version: raised whenever the output changes for the same input.
        reads: columns of the rows it is handed. `row` (uint32, position in the part) and `doc_id`
            (fixed binary 16) are always there.
        optional: columns handed over when an earlier stage of the recipe wrote them, absent otherwise.
        writes: column name -> Arrow type of what it adds, whatever its parameters (see `written`).
        meanings: column name -> one sentence, for every column that it writes.
        reasons: code -> one sentence, for every reason it may drop a row for.
        libraries: distributions whose version may change the output; they enter the key.
        uses: names of artifacts of earlier stages that it needs ("tokenizer.json").
        publishes: names of artifacts that it makes.
        guards: fields that stop a run but never change its output; they stay out of the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[Mapping[str, pa.DataType]] = {}
    meanings: ClassVar[Mapping[str, str]] = {}
    reasons: ClassVar[Mapping[str, str]] = {}
    libraries: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    publishes: ClassVar[tuple[str, ...]] = ()
    guards: ClassVar[frozenset[str]] = frozenset({"max_drop"})

    max_drop: Share | dict[str, Share] = 0.95
    """Largest share of a source's documents that this stage may drop before the run stops (exit 3).

    One number, or a number by source.
    """

    _files: dict[str, tuple[Path, ...]] = PrivateAttr(default_factory=dict)

    @classmethod
    def word(cls) -> str:
        """The one word that names the stage everywhere: its module's name."""
        return cls.__module__.rpartition(".")[2]

    def files(self) -> Mapping[str, Sequence[str]]:
        """Label -> paths (globs allowed) of the files this stage needs; their digests enter the key."""
        return {}

    def located(self, files: Mapping[str, Sequence[Path]]) -> Self:
        """A copy that knows where the files of `files()` and the artifacts that it reads lie."""
        copy = self.model_copy()
        copy._files = {  # noqa: SLF001 - its own copy
            label: tuple(Path(path) for path in paths) for label, paths in files.items()
        }
        return copy

    def paths(self, label: str) -> tuple[Path, ...]:
        """Where the files of a label lie: as located, else as written in the recipe."""
        if label in self._files:
            return self._files[label]
        return tuple(Path(path) for path in self.files().get(label, ()))

    def followed_by(self, stages: Sequence[Stage]) -> Self:
        """This stage, told which stages come after it in the recipe."""
        del stages
        return self

    def check(self, sizes: Mapping[str, int]) -> list[tuple[tuple[str | int, ...], str]]:
        """What can be seen to be wrong before anything runs: (key under the stage, message) each.

        Args:
            sizes: source -> the most bytes of text that its files can hold.
        """
        del sizes
        return []

    @property
    def written(self) -> Mapping[str, pa.DataType]:
        """The columns that it writes with these parameters: all of `writes`, unless a stage knows better."""
        return self.writes

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that it reads with these parameters: all of `reads`, unless a stage knows better."""
        return self.reads

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that it compares with numbers of the recipe: none, unless a stage knows better."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The parameters that decide the output: every field but the guards, as JSON values."""
        return self.model_dump(mode="json", exclude=set(self.guards))


@dataclass(frozen=True)
class Found:
    """A file that belongs to a source, before it is read.

    Attributes:
        source, name, path: as in `InputFile`.
        most_text: upper bound on the bytes of text it can hold.
        refused: why it must not be opened; None if it may be.
    """

    source: str
    name: str
    path: Path
    most_text: int
    refused: str | None = None


class Source(Stage):
    """Files become rows."""

    @abstractmethod
    def source_names(self) -> tuple[str, ...]:
        """The names of the sources in order of priority."""

    @abstractmethod
    def discover(self, base: Path) -> tuple[list[Found], list[tuple[tuple[str | int, ...], str]]]:
        """The files of all sources, sorted, and complaints (key under the stage, message) about patterns."""

    @abstractmethod
    def digest(self, found: Found) -> InputFile:
        """Reads a file once: its digest, and whatever `slices` needs to cut it."""

    @abstractmethod
    def for_slice(self, piece: Slice) -> Self:
        """This stage with the one source that a slice belongs to."""

    @abstractmethod
    def slice_identity(self, piece: Slice) -> dict[str, Any]:
        """The parameters that decide the rows of a slice: its source's, not those of other sources."""

    @abstractmethod
    def slices(self, files: Sequence[InputFile]) -> list[Slice]:
        """Cuts the files into slices: a function of each file alone, so that adding one leaves the others."""

    @abstractmethod
    def read(self, piece: Slice) -> Iterator[pa.Table]:
        """Reads a slice, part after part; columns as in `written`, and `reason` (null: a good record).

        A record that cannot be read is a row too, without text: its reason says what was wrong with it.
        """


class Local(Stage):
    """Every part on its own.

    What it learns from its files alone (a classifier, from labelled documents) it may publish: made once,
    before the first part, found by every `apply` under `paths(name)`.
    """

    def artifact_identity(self) -> dict[str, Any]:
        """The parameters that decide what `artifacts` makes (all, unless a stage knows better)."""
        return self.identity()

    def artifacts(self) -> Mapping[str, bytes]:
        """The files of `publishes`, made from the files of `files()`."""
        return {}

    @abstractmethod
    def apply(self, rows: pa.Table) -> Out:
        """Columns and reasons for these rows, from these rows alone."""


class Global(Stage):
    """Rounds of: survey every part, decide every bucket of findings, settle one ruling; then apply it.

    Findings are tables with a column `bucket` (uint16): rows of one bucket meet in one `decide`, from all
    parts. Rows of the corpus are named by `row` in findings; where findings and rulings meet, the pipeline
    has added `part` (uint32). A ruling with columns `part` and `row` reaches each part as its own slice,
    without `part`; any other ruling reaches every part whole.
    """

    apply_reads: ClassVar[tuple[str, ...]] = ()
    """Columns that `apply` needs (surveys get `survey_reads`)."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that `apply` needs with these parameters: `apply_reads`, unless a stage knows better."""
        return self.apply_reads

    @property
    def rounds(self) -> int:
        """How many rounds of findings; 0 makes the stage local."""
        return 1

    @property
    def mergeable(self) -> int | None:
        """Most rows of decisions that are settled in one piece; more are merged before. None: any number."""
        return None

    def survey_identity(self, turn: int) -> dict[str, Any]:
        """The parameters that decide the findings of a round (all, unless a stage knows better)."""
        del turn
        return self.identity()

    def survey_reads(self, turn: int) -> tuple[str, ...]:
        """The columns that the survey of a round reads: `wanted` and `optional`, unless a stage knows better."""
        del turn
        return (*self.wanted, *self.optional)

    @abstractmethod
    def survey(self, rows: pa.Table, turn: int, ruling: pa.Table | None) -> pa.Table:
        """Findings of one part in round `turn`, given the ruling of the round before."""

    @abstractmethod
    def decide(self, findings: pa.Table, turn: int) -> pa.Table:
        """What one bucket's findings, from all parts in any order, imply."""

    def merge(self, rulings: pa.Table, turn: int) -> pa.Table:
        """Decisions of some buckets in fewer rows that settle to the same (default: as they are)."""
        del turn
        return rulings

    def settle(self, rulings: pa.Table, turn: int) -> pa.Table:
        """The round's ruling from the decisions of all buckets (default: just these).

        Counts about the corpus as a whole are the schema's metadata `tallies`, as JSON.
        """
        del turn
        return rulings

    def artifacts(self, ruling: pa.Table | None) -> Mapping[str, bytes]:
        """The files of `publishes`, made from the last ruling."""
        del ruling
        return {}

    def alarms(self, artifacts: Mapping[str, bytes]) -> list[str]:
        """What a person should look at though the run goes on, from the files of `publishes`."""
        del artifacts
        return []

    @abstractmethod
    def apply(self, rows: pa.Table, ruling: pa.Table | None) -> Out:
        """Columns and reasons for these rows, given the last ruling (None when `rounds` is 0)."""


class Shuffle(Stage):
    """The rows travel: every part routes its rows to buckets; groups of buckets become shards."""

    @abstractmethod
    def route(self, rows: pa.Table) -> tuple[pa.Table, Mapping[str, int]]:
        """Rows for the shards, with `bucket` (uint16) and `weight` (int64, fills a group), and tallies."""

    @abstractmethod
    def groups(self, weights: Mapping[int, int]) -> Mapping[str, tuple[int, ...]]:
        """Shard name -> the buckets it holds, from the total weight of each bucket that is not empty."""

    @abstractmethod
    def write(self, name: str, group: pa.Table, path: Path) -> Mapping[str, Any]:
        """Writes one group's shard to `path`; returns its entry for the manifest (JSON values)."""

    @abstractmethod
    def manifest(self, shards: Sequence[Mapping[str, Any]], folder: Path) -> None:
        """Completes the folder of shards (in the order of `groups`) with what describes them."""
