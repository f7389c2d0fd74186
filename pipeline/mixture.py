"""The mixture that a recipe asks for, as far as it can be known before it is made: for `gristmill plan`.

Made already, it is what the stage decided. Before that, shares come from the recipe and sizes from the ledgers of the
last stage before `mix` that has run; what later stages drop is not known yet, and is said so. It runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from pipeline.flow import Walked
from pipeline.plain import plain
from pipeline.recipe import Recipe
from pipeline.store import read_table
from stages.base import Source, StageError
from stages.mix import PRIOR, Mix

__all__ = ["Group", "Mixture", "mixture"]


@dataclass(frozen=True)
class Group:
    """One group of the mixture; None where it is not known yet.

    Attributes:
        name: the group.
        share: of all tokens that are wanted.
        target: tokens wanted, repeats included.
        documents: how many there are.
        available: their tokens.
        epochs: how often they will be seen.
    """

    name: str
    share: float | None = None
    target: int | None = None
    documents: int | None = None
    available: int | None = None
    epochs: float | None = None


@dataclass(frozen=True)
class Mixture:
    """The groups, and where their sizes come from.

    Attributes:
        groups: in the order of their names.
        note: what the sizes are: made, exact, estimated or a bound.
        problem: why it cannot be had, where that is known already.
    """

    groups: tuple[Group, ...]
    note: str
    problem: str | None = None

    def show(self, console: Console) -> None:
        """Prints it as a table."""
        console.print(f"\nmixture: {self.note}", highlight=False)
        if self.problem:
            console.print(self.problem, highlight=False)
        table = Table(
            "group", "share", "target", "documents", "available", "epochs", box=None, pad_edge=False
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for group in self.groups:
            counts = (group.target, group.documents, group.available)
            table.add_row(
                plain(group.name),
                "?" if group.share is None else f"{group.share:.2%}",
                *("?" if count is None else f"{count:,}" for count in counts),
                "?" if group.epochs is None else f"{group.epochs:.2f}",
            )
        if self.groups:
            console.print(table)


def mixture(recipe: Recipe, walked: Sequence[Walked]) -> Mixture | None:
    """The mixture of a recipe, None if it has none.

    Args:
        recipe: the recipe.
        walked: its stages whose results are all there, in order.
    """
    at, stage = next(((n, s) for n, s in enumerate(recipe.stages) if isinstance(s, Mix)), (0, None))
    if stage is None:
        return None
    if len(walked) > at:
        return _made(walked[at])
    before = [done for done in walked[:at] if done.parts]
    waiting = [later.word() for later in recipe.stages[len(walked[:at]) : at]]
    if stage.by not in ("source", ("source",)):
        shares = stage.weights or {}
        by = stage.by if isinstance(stage.by, str) else "/".join(stage.by)
        groups = tuple(Group(name, share) for name, share in sorted(shares.items()))
        return Mixture(groups, f"groups are the values of {by}: their sizes are known when mix has run")
    documents, sizes, unit = _sizes(recipe, stage, before[-1] if before else None)
    note = f"sizes after {before[-1].stage.word()}" if before else "sizes of the files"
    note += f", in tokens {unit}"
    if waiting:
        note = (
            f"{note}; at most: {', '.join(waiting)} not run yet, so what is left is known after {waiting[-1]}"
        )
    problem = None
    try:
        plan = stage.plan(sizes)
    except StageError as error:
        problem = str(error)
        try:
            plan = stage.plan(sizes, scale=True)
        except StageError:
            plan = {}
    if not before and stage.weights is None and not isinstance(stage.tokens, dict):
        plan = {}  # shares follow sizes, and what is compressed has none yet
    groups = tuple(
        Group(
            name,
            float(plan[name].weight) if name in plan else (stage.weights or {}).get(name),
            plan[name].target if name in plan and not problem else None,
            documents.get(name),
            sizes[name],
            plan[name].epochs if name in plan and not problem else None,
        )
        for name in sorted(sizes)
    )
    return Mixture(groups, note, problem)


def _made(done: Walked) -> Mixture:
    """What mix decided, if anything was asked of it."""
    turns = [f"ruling {turn}" for turn in range(9) if f"ruling {turn}" in done.steps]
    path = done.steps[turns[-1]][0].data if turns else None
    if path is None:
        return Mixture((), "nothing is asked for: every document is seen as often as `upsample` says")
    rows = read_table(path).to_pylist()
    total = sum(row["target"] for row in rows)
    groups = tuple(
        Group(
            row["group"],
            row["target"] / total if total else None,
            row["target"],
            row["documents"],
            row["size"],
            row["epochs"],
        )
        for row in rows
    )
    exact = all(row["unit"] == "tokens" for row in rows)
    return Mixture(
        groups, "as it was made, in " + ("exact tokens" if exact else "tokens estimated from bytes")
    )


def _sizes(
    recipe: Recipe, stage: Mix, last: Walked | None
) -> tuple[Mapping[str, int], Mapping[str, int], str]:
    """Documents and tokens by source, and how tokens were counted."""
    books: dict[str, dict[str, int]] = {name: {} for name in stage.sources}
    if last is None:
        for source in recipe.stages[:1]:
            assert isinstance(source, Source)  # noqa: S101 - the recipe was checked
            for file in source.discover(recipe.base)[0]:
                book = books.setdefault(file.source, {})
                book["bytes"] = book.get("bytes", 0) + file.most_text
    else:
        for marker in last.parts:
            for name, entry in marker["ledger"].items():
                book = books.setdefault(name, {})
                for key in ("alive", "bytes", "token_count"):
                    if key in entry:
                        book[key] = book.get(key, 0) + entry[key]
    documents = {name: book["alive"] for name, book in books.items() if "alive" in book}
    if any("token_count" in book for book in books.values()):
        exact = {name: book.get("token_count", 0) + book.get("alive", 0) for name, book in books.items()}
        return documents, exact, "as counted"
    given = stage.bytes_per_token
    told = given if isinstance(given, dict) else dict.fromkeys(books, given or PRIOR)
    sizes = {name: int(book.get("bytes", 0) / told.get(name, PRIOR)) for name, book in books.items()}
    how = "of so many bytes as the recipe says" if given else f"of {PRIOR:g} bytes (measured when mix runs)"
    return documents, sizes, how
