"""What a recipe keeps of a record besides its text: named fields, of a stated type, as columns.

A value that is missing is null. So is one that does not fit its type, or a text too long to be metadata; these
are counted (`unfit.NAME`). Metadata never costs a record. Where the values lie, each reader says: in fields and
columns, in front matter, in the header of an archive's record.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Type = Literal["string", "number", "integer", "boolean", "date"]

KINDS: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.string(),
}
"""Type in the recipe -> type of the column; a date is text in ISO 8601, UTC, so that it sorts as it should."""

LONGEST: Final = 4096
"""Characters of the longest value; more is content, which columns of small values are not made for."""

MEANING: Final = "metadata that the data carry (load: metadata)"
"""What the documents table says of these columns."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_MISFITS: Final = (ValueError, TypeError, KeyError, ArithmeticError)


class MetadataField(BaseModel):
    """A column of metadata: its type and where records have it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: Type = "string"
    """`string`, `number`, `integer`, `boolean` or `date` (ISO 8601); text that reads as one is taken for one."""

    field: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Field or column, `a.b` looks inside `a`; of several the first that has a value; null: the column's name."""


def _written_out(given: Any) -> Any:
    return {"type": given} if isinstance(given, str) else given


def _sorted(given: dict[str, MetadataField]) -> dict[str, MetadataField]:
    """By name: the order in which a recipe lists them changes nothing."""
    return dict(sorted(given.items()))


Metadata = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")],
        Annotated[MetadataField, BeforeValidator(_written_out, json_schema_input_type=Type | MetadataField)],
    ],
    Field(max_length=64),
    AfterValidator(_sorted),
]


def kinds(fields: Mapping[str, MetadataField]) -> dict[str, pa.DataType]:
    """Column -> its Arrow type."""
    return {name: KINDS[field.type] for name, field in fields.items()}


def paths(name: str, field: MetadataField) -> tuple[str, ...]:
    """Where a column's value may lie, in order."""
    given = name if field.field is None else field.field
    return (given,) if isinstance(given, str) else given


def every_path(fields: Mapping[str, MetadataField]) -> set[str]:
    """Where any of the values may lie."""
    return {path for name, field in fields.items() for path in paths(name, field)}


def look_up(record: Mapping[str, Any], path: str) -> Any:
    """The value of a field; `a.b` is the key `a.b`, else the key `b` of the object `a`. None if absent."""
    if path in record:
        return record[path]
    first, dot, rest = path.partition(".")
    inner = record.get(first) if dot else None
    return look_up(inner, rest) if isinstance(inner, dict) else None


def values(
    record: Mapping[str, Any],
    fields: Mapping[str, MetadataField],
    tallies: Counter[str],
    missing: Collection[str] = (),
) -> tuple[Any, ...]:
    """The metadata of one record, in the order of `fields`; texts in `missing` stand for no value."""
    return tuple(
        fitted(_first(record, paths(name, field), missing), name, field.type, tallies)
        for name, field in fields.items()
    )


def columns(
    records: Sequence[Mapping[str, Any]], fields: Mapping[str, MetadataField], tallies: Counter[str]
) -> list[list[Any]]:
    """The metadata of records, a list a field."""
    found = []
    for name, field in fields.items():
        where = paths(name, field)
        if len(where) == 1 and "." not in where[0]:
            given = [record.get(where[0]) for record in records]
        else:
            given = [_first(record, where, ()) for record in records]
        found.append(column(given, name, field.type, tallies))
    return found


def column(given: list[Any], name: str, kind: Type, tallies: Counter[str]) -> list[Any]:
    """All values of a column as `fitted` gives them."""
    return given if _fits(given, kind) else [fitted(value, name, kind, tallies) for value in given]


def _fits(given: Sequence[Any], kind: Type) -> bool:
    """Whether all values are such as `fitted` would leave alone: most columns are, and this is cheap to see."""
    types = set(map(type, given)) - {NoneType}
    if kind == "string" and types == {str}:
        return "" not in given and max(map(len, filter(None, given))) <= LONGEST
    if kind == "integer" and types == {int}:
        present: list[int] = [value for value in given if value is not None]
        return min(present) >= -(2**63) and max(present) < 2**63
    return kind == "boolean" and types == {bool}


def _first(record: Mapping[str, Any], where: Sequence[str], missing: Collection[str]) -> Any:
    for path in where:
        value = look_up(record, path)
        if has_value(value) and not (isinstance(value, str) and value in missing):
            return value
    return None


def has_value(value: Any) -> bool:
    """Whether a field says anything: null, empty text and not-a-number do not."""
    return not (value is None or value == "" or (isinstance(value, float) and math.isnan(value)))


def fitted(value: Any, name: str, kind: Type, tallies: Counter[str]) -> Any:
    """A value as its column takes it; None where there is none, and where it does not fit, which is counted."""
    if not has_value(value):
        return None
    try:
        if isinstance(value, bytes):
            value = value.decode()
        return _AS[kind](value)
    except _MISFITS:
        tallies[f"unfit.{name}"] += 1
        return None


def _as_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if not isinstance(value, str | int | float | Decimal):
        raise TypeError(type(value))
    text = str(value)
    if len(text) > LONGEST:
        raise ValueError(len(text))
    return text


def _as_number(value: Any) -> float | None:
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise ValueError(value)
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(type(value))
    found = float(value)
    if not math.isfinite(found):
        raise OverflowError(value)
    return found


def _as_integer(value: Any) -> int | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        found = int(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        found = int(value)
        if found != value:
            raise ValueError(value)
    else:  # 5.0, as tables with gaps write integers
        number = _as_number(value)
        if number is None:
            return None
        if not number.is_integer():
            raise ValueError(value)
        found = int(number)
    if not -(2**63) <= found < 2**63:
        raise OverflowError(value)
    return found


def _as_boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        return {"true": True, "1": True, "false": False, "0": False}[text]
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise ValueError(value)


def _as_date(value: Any) -> str | None:
    if isinstance(value, str):
        if not value.strip():
            return None
        value = dated(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif not isinstance(value, datetime):
        raise TypeError(type(value))
    value = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    text: str = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text + "Z"


_AS: Final = {
    "string": _as_string,
    "number": _as_number,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "date": _as_date,
}


def dated(text: str) -> datetime:
    """A date or time in ISO 8601, down to a year or a month alone.

    Raises:
        ValueError: it is none.
    """
    text = text.strip()
    return datetime.fromisoformat({4: f"{text}-01-01", 7: f"{text}-01"}.get(len(text), text))
