"""Which of several copies is kept: preferences in order, as numbers to sort by (RULES 10.2).

`source` the source named earlier in the recipe, `quality` the higher score, `longest` the longer comparison
form, `newest(field)` and `oldest(field)` the later or earlier value of a column: a date, a time or a number.
A document without a value comes behind those that have one. After all of them, the least doc_id. Which
documents are copies of each other is the business of `dedup`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import AfterValidator

from stages.base import StageError
from stages.columns import whole
from stages.formats.metadata import dated

_DATED: Final = re.compile(r"(newest|oldest)\(\s*([A-Za-z_]\w*)\s*\)")
_WORDS: Final = ("source", "quality", "longest")
_LAST: Final = np.iinfo(np.int64).max


def _known(word: str) -> str:
    dated = _DATED.fullmatch(word)
    if dated is not None:
        return f"{dated[1]}({dated[2]})"
    if word not in _WORDS:
        raise ValueError(
            f"{word!r} is no preference: expected {', '.join(_WORDS)}, newest(FIELD) or oldest(FIELD), where "
            f"FIELD is a column that an earlier stage writes, or metadata of load"
        )
    return word


Preference = Annotated[str, AfterValidator(_known)]


def columns_for(prefer: Sequence[str]) -> tuple[str, ...]:
    """The columns that preferences read, besides those that every document has."""
    dated = [found[2] for word in prefer if (found := _DATED.fullmatch(word))]
    return (*(["quality"] if "quality" in prefer else []), *dict.fromkeys(dated))


def weights(prefer: Sequence[str], rows: pa.Table) -> pa.Array:
    """The values of `columns_for` as numbers, less is better: list<int64>, a number a preference, or null.

    Args:
        prefer: the preferences.
        rows: documents with these columns.
    """
    found = []
    for word in prefer:
        dated = _DATED.fullmatch(word)
        if dated is not None:
            moments = [moment(value, dated[2]) for value in rows[dated[2]].to_pylist()]
            sign = -1 if dated[1] == "newest" else 1
            found.append([_LAST if m is None else sign * m for m in moments])
        elif word == "quality":
            scores = rows["quality"].to_pylist()  # from 0 to 1, as integers that sort alike
            found.append([_LAST if s is None or math.isnan(s) else -round(s * 2**40) for s in scores])
    kind = pa.list_(pa.int64())
    if not found:
        return pa.nulls(rows.num_rows, kind)
    return pa.array([list(own) for own in zip(*found, strict=True)], kind)


def moment(value: Any, field: str) -> int | None:
    """A date or time as microseconds, a whole number as itself, others in millionths; None where there is none.

    Text is read as ISO 8601, down to a year or a month alone; without a zone it is UTC.

    Raises:
        StageError: the text is no date; the message shows it.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return max(-_LAST, min(_LAST, value if isinstance(value, int) else round(value * 1_000_000)))
    if isinstance(value, str):
        try:
            value = dated(value)
        except ValueError as error:
            raise StageError(
                f"dedup: prefer: the column {field!r} holds {value!r:.60}, which is neither a number nor a date in ISO "
                f"8601 (2026, 2026-11, 2026-11-21, 2026-11-21T14:00:00Z); mend it, choose another field, or read it with "
                f"load: {{metadata: {{{field}: date}}}}, which takes what is no date for none"
            ) from error
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - set below
    value = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    found: int = since // timedelta(microseconds=1)
    return found


def source_ranks(column: pa.ChunkedArray, sources: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each document's source among `sources`; others come behind them, by name."""
    names = whole(column).dictionary_encode()
    present = names.dictionary.to_pylist()
    ranked = [*sources, *sorted(set(present) - set(sources))]
    ranks = np.array([ranked.index(name) for name in present], np.int64)
    found: npt.NDArray[np.int64] = ranks[np.asarray(names.indices)]
    return found


def order_of(
    prefer: Sequence[str], sources: Sequence[str], findings: pa.Table, doc_ids: npt.NDArray[np.uint64]
) -> list[npt.NDArray[Any]]:
    """Keys for `lexsort`, the last one the most important: least doc_id, then the preferences backwards.

    Args:
        prefer: the preferences.
        sources: sources in order of priority.
        findings: documents with `source`, `chars` and `weights`.
        doc_ids: uint64[documents, 2], most significant half first.
    """
    keys: list[npt.NDArray[Any]] = [doc_ids[:, 1], doc_ids[:, 0]]
    weighed = [word for word in prefer if word not in {"source", "longest"}]
    values = np.zeros((len(findings), 0), np.int64)
    if weighed:
        values = whole(findings["weights"]).flatten().to_numpy().reshape(len(findings), len(weighed))
    for preference in reversed(prefer):
        if preference == "longest":
            keys.append(-findings["chars"].to_numpy())
        elif preference == "source":
            keys.append(source_ranks(findings["source"], sources))
        else:
            keys.append(values[:, weighed.index(preference)])
    return keys
