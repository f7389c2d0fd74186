"""The corpus report: report.json for machines, report.html for people.

    counts.py     documents, bytes and tokens by stage, source, language and reason
    outcomes.py   mixture, contamination, packing, training: what came of the run
    samples.py    excerpts of what was dropped, and of what it duplicates
    charts.py     numbers become paths of SVG
    templates/    the page, without scripts, its style, and its words in other languages

Everything is read from what the run stored; nothing is computed here that decides anything.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import card, plain
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.report import charts, counts, duplicates, metrics, outcomes, samples, shards, tables
from pipeline.runs import Run
from pipeline.store import write_json, writing
from pipeline.stored import Stored

__all__ = ["again", "environment", "facts", "render", "write"]

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def write(recipe: Recipe, run: Run) -> None:
    """Writes RUN/report.json and RUN/report.html from what the run stored.

    Args:
        recipe: the recipe that ran; the run's record names everything that is shown.
        run: its state may still be "running": the report is written before the run is done.
    """
    stored = Stored(run)
    found = facts(stored)
    shown = samples.gather(stored, found["stages"])
    for row in found["contamination"]:
        row["examples"] = samples.examples(shown["evidence"].get(row["benchmark"], []))
    tables.write(run.path / "tables", tables.tables(found, shown["reasons"]))
    with writing(run.path / "report.html") as beside:
        beside.write_text(render(found, shown, title=recipe.name), encoding="utf-8")
    card.write(run.path, found)
    write_json(run.path / "report.json", found)


def again(run: Run, language: str = "en", *, interactive: bool = False) -> Path:
    """Writes RUN/report[.<language>][.interactive].html from report.json and the run's texts; returns its path.

    Args:
        run: a run with a report.
        language: of the page's own words.
        interactive: tables that sort and filter, by a script of ours in the page; nothing else may run there.

    Raises:
        RecipeError: a language that the page has no words for.
    """
    known = [path.name.removesuffix(".json") for path in files("pipeline.report").joinpath("templates").iterdir()
             if path.name.endswith(".json")]  # fmt: skip
    if language not in {"en", *known}:
        raise RecipeError([f"the report speaks en and {', '.join(known)}, not {language!r}"])
    found = json.loads((run.path / "report.json").read_bytes())
    stored = Stored(run)
    kind = [*([language] if language != "en" else []), *(["interactive"] if interactive else [])]
    path = run.path / ".".join(["report", *kind, "html"])
    with writing(path) as beside:
        shown = samples.gather(stored, found["stages"])
        page = render(found, shown, title=found["name"], language=language, interactive=interactive)
        beside.write_text(page, encoding="utf-8")
    return path


def facts(stored: Stored) -> dict[str, Any]:
    """All numbers of the report: the content of report.json.

    The keys `run`, `stages`, `tokens`, `mixture`, `contamination` and `packing` are fixed.
    """
    table = counts.Counted(stored.statistics)
    stages = [counts.stage_facts(entry) for entry in stored.stages]
    found: dict[str, Any] = {
        "run": stored.run.id,
        "name": stored.record.get("name"),
        "recipe": stored.record.get("recipe"),
        "started": stored.record.get("started"),
        "documents": table.fates(),
        "stages": stages,
        "tokens": table.tokens(),
        "mixture": outcomes.mixture(stored, table),
        "contamination": outcomes.contamination(stored, table),
        "copies_lost": table.counts["copies_lost"],
        "packing": shards.packing(stored),
        "funnel": counts.funnel(stages),
        "sources": table.by("source"),
        "languages": table.by("lang"),
        "lengths": table.counts["lengths"],
        "metrics": metrics.metrics(stored),
        "duplicates": duplicates.duplicates(stored),
        "domains": table.domains(),
        "vocabulary": table.vocabulary(),
        "ledger": counts.ledger(stages),
        "training": outcomes.training(stored.run.path),
        "versions": counts.versions(stored),
    }
    return found | {"verdicts": outcomes.verdicts(found)}


def render(
    found: dict[str, Any],
    shown: dict[str, Any],
    *,
    title: str,
    language: str = "en",
    interactive: bool = False,
) -> str:
    """The page.

    Args:
        found: `facts(stored)`.
        shown: `samples.gather(...)`.
        title: what the page is called.
        language: of the page's own words, "en" or "zh"; reasons and measurements keep their names.
        interactive: whether tables sort and filter. The page's policy allows that script, by its digest, and
            no other.
    """
    page = environment(language).get_template("page.html")
    script = (
        files("pipeline.report").joinpath("templates", "sorting.js").read_text("utf-8") if interactive else ""
    )
    digest = "sha256-" + b64encode(sha256(script.encode()).digest()).decode()
    return page.render(
        title=title,
        facts=found,
        shown=shown,
        charts=charts,
        language=language,
        script=script,
        script_digest=digest,
    )


def environment(language: str) -> Environment:
    """Templates with the filters that all pages use, and the words of a language."""
    made = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    words = catalogue(language)
    made.install_gettext_callables(  # type: ignore[attr-defined] # the extension adds it
        lambda text: words.get(text, text), lambda one, many, n: one if n == 1 else many, newstyle=True
    )
    made.filters |= {
        "count": count, "size": size, "share": share, "time": duration, "plain": plain.plain, "number": number,
        "quoted": lambda text: plain.plain(json.dumps(text, ensure_ascii=False)),
    }  # fmt: skip
    return made


def catalogue(language: str) -> dict[str, str]:
    """English -> the page's words in another language, from templates/<language>.json; empty for English."""
    if language == "en":
        return {}
    text = files("pipeline.report").joinpath("templates", f"{language}.json").read_text("utf-8")
    words: dict[str, str] = json.loads(text)
    return words


def count(value: float | None) -> str:
    """12345 -> 12,345; nothing -> an en dash."""
    return "–" if value is None else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes in the unit that gives one to three digits before the point."""
    if value is None:
        return "–"
    power = min(int(math.log(value, 1000)), len(_UNITS) - 1) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {_UNITS[power]}"


def share(value: float | None) -> str:
    """0.1234 -> 12.3 %; what is not nothing never reads 0 %."""
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return f"{value:.1%}".replace("%", " %")


def number(value: float | None) -> str:
    """Four significant digits."""
    return "–" if value is None else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
