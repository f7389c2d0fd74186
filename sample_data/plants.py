"""Who stands where: every record of the sample, with what was planted in it and what should become of it.

Decides texts and labels, not bytes: `make.py` writes them. All draws come from one seeded generator, in one
order, so that the same pieces give the same corpus.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import edits
import words
from passages import SPOKEN, Passage, passages

SOURCES = ("library", "news", "forum", "notes", "letters", "code", "web", "crawl", "damaged")
"""In the order of the recipe: of two duplicates the one in the earlier source stays."""

_FIXED = {
    "notes": {"en": 9, "zh": 3, "ja": 3, "de": 2, "es": 2, "fr": 2},
    "letters": {"en": 5, "zh": 2, "ja": 2, "de": 2, "es": 1, "fr": 1},
    "web": {"en": 8, "zh": 4, "ja": 4, "de": 3, "es": 2, "fr": 2},
    "crawl": {"en": 6, "zh": 3, "ja": 2, "de": 1, "es": 1, "fr": 1},
    "damaged": {"en": 12},
}
"""Passages by source and language; all others are dealt to library, news and forum in turn."""


@dataclass(eq=False)
class Doc:
    """A record to be.

    Attributes:
        text: what a reader should get out of it.
        lang: its language, or `code`.
        source: where it is written.
        title: heading for formats that have one.
        piece: the passage it comes from; empty if from none.
        kind: what was planted, `good` if nothing.
        fate: what the recipe should make of it: `kept`, or the stage that drops it, or `either` of a pair.
        partners: the records that it is a copy of.
        notes: more for the label.
        free: nothing has been planted in it, and nothing copied from it.
        file: where it was written, relative to `sample_data/`.
        record: its position in the file.
        orig_id: the id that it carries there.
    """

    text: str
    lang: str
    source: str
    title: str = ""
    piece: str = ""
    kind: str = "good"
    fate: str = "kept"
    partners: list[Doc] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    free: bool = True
    file: str = ""
    record: int = 0
    orig_id: str | None = None


class Planner:
    """The corpus while it grows; `documents` are all records so far."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - not for secrets
        self.documents: list[Doc] = []
        self._deal()

    def _deal(self) -> None:
        stacks = {lang: passages(lang) for lang in SPOKEN}
        for stack in stacks.values():
            self.random.shuffle(stack)
        for source, wanted in _FIXED.items():
            for lang, count in wanted.items():
                for _ in range(count):
                    self._settle(stacks[lang].pop(), source)
        rest = [passage for stack in stacks.values() for passage in stack]
        for place, passage in enumerate(rest):
            self._settle(passage, ("library", "news", "forum")[place % 3])
        for passage in passages("code"):
            self._settle(passage, "code")
        for place, passage in enumerate(passages("other")):
            self._settle(passage, ("forum", "web", "library", "news", "crawl")[place])
            self.documents[-1].kind, self.documents[-1].fate = "other_language", "langid"
            self.documents[-1].free = False

    def _settle(self, passage: Passage, source: str) -> None:
        self.documents.append(Doc(passage.text, passage.lang, source, passage.title, passage.name))

    def take(self, sources: str, langs: str) -> Doc:
        """A passage that is still free, from one of the sources and languages (words in a string)."""
        fit = [
            one
            for one in self.documents
            if one.free and one.source in sources.split() and one.lang in langs.split()
        ]
        if not fit:
            raise LookupError(f"no free passage in {langs} is left in {sources}: add pieces or plant less")
        chosen = self.random.choice(fit)
        chosen.free = False
        return chosen

    def alter(
        self, doc: Doc, kind: str, change: Callable[[str], str], fate: str = "kept", **notes: Any
    ) -> None:
        """Plants something in a passage."""
        doc.text, doc.kind, doc.fate, doc.notes = change(doc.text), kind, fate, notes

    def copy(self, base: Doc, source: str, kind: str, text: str, fate: str, **notes: Any) -> Doc:
        """Adds a record made from another one."""
        doc = Doc(text, base.lang, source, base.title, base.piece, kind, fate, [base], notes, free=False)
        self.documents.append(doc)
        return doc

    def add(self, source: str, kind: str, lang: str, text: str, fate: str, **notes: Any) -> Doc:
        """Adds a record that comes from no passage."""
        doc = Doc(text, lang, source, kind=kind, fate=fate, notes=notes, free=False)
        self.documents.append(doc)
        return doc


def plan(seed: int) -> list[Doc]:
    """All documents of the corpus, in the order of the sources, shuffled within each."""
    planner = Planner(seed)
    for plant in (_contaminated, _mentions, _phrase, _mojibake, _pii, _boilerplate):
        plant(planner)
    for copy in (_near, _digests, _pages, _normalised, _exact):
        copy(planner)
    _rubbish(planner)
    planner.random.shuffle(planner.documents)
    return sorted(planner.documents, key=lambda one: SOURCES.index(one.source))


def _exact(planner: Planner) -> None:
    """The same text again, in a source that comes later, in the same file, and three times over."""
    routes = "library>news library>forum news>forum forum>letters news>damaged code>damaged letters>damaged"
    for route in routes.split() * 2:
        home, _, target = route.partition(">")
        base = planner.take(home, "en de es fr zh ja code")
        planner.copy(base, target, "exact_duplicate", base.text, "dedup")
    for source in ("library", "forum", "forum"):
        base = planner.take(source, " ".join(SPOKEN))
        base.fate = "either"
        planner.copy(base, source, "exact_duplicate", base.text, "either")
    base = planner.take("library news forum", " ".join(SPOKEN))
    for source in ("letters", "letters", "damaged"):
        planner.copy(base, source, "exact_duplicate", base.text, "dedup")


def _normalised(planner: Planner) -> None:
    """The same words; case, white space or punctuation differ."""
    targets = ("news", "forum", "letters", "notes", "crawl")
    for number in range(15):
        way = number % 5
        base = planner.take("library news", "en es fr" if way < 3 else "en de zh ja")
        text = edits.retyped(base.text, way, planner.random)
        later = [one for one in targets if SOURCES.index(one) > SOURCES.index(base.source)]
        what = ("capitals", "line breaks", "white space", "punctuation", "case and spacing")[way]
        planner.copy(base, later[number % len(later)], "normalised_duplicate", text, "dedup", change=what)


def _near(planner: Planner) -> None:
    """Edited copies: above the threshold of 0.75, and clearly below it."""
    above = [0.97, 0.95, 0.93, 0.9, 0.88, 0.86, 0.84]
    below = [0.65, 0.6, 0.5, 0.4]
    wanted = [(level, "en") for level in above * 2] + [(level, "en") for level in below * 2]
    for lang in ("zh", "de", "ja", "es", "fr"):
        wanted += [(level, lang) for level in (0.94, 0.87, 0.58)]
    for number, (level, lang) in enumerate(wanted):
        base = planner.take("library news forum", lang)
        text = edits.edited(base.text, lang, level, planner.random)
        later = ("news", "forum", "notes", "letters")[max(0, SOURCES.index(base.source)) :]
        kind, fate = ("near_duplicate", "dedup") if level > 0.75 else ("similar", "kept")
        similarity = edits.jaccard(base.text, text)
        planner.copy(base, later[number % len(later)], kind, text, fate, jaccard=similarity)


def _digests(planner: Planner) -> None:
    """Two passages in one record: half alike to each, and no duplicate of either."""
    for number, (opening, between) in enumerate(words.DIGESTS):
        one, other = planner.take("library news", "en"), planner.take("library news", "en")
        text = f"{opening}\n\n{one.text}\n\n{between}\n\n{other.text}"
        doc = planner.copy(one, ("forum", "letters", "notes")[number % 3], "digest", text, "kept")
        doc.partners.append(other)
        doc.notes["jaccard"] = max(edits.jaccard(text, one.text), edits.jaccard(text, other.text))


def _pages(planner: Planner) -> None:
    """Texts of other sources as web pages, and pages that were crawled again in another charset."""
    for target, lang in (("web", "en"), ("web", "de"), ("crawl", "en"), ("crawl", "fr")):
        base = planner.take("library news", lang)
        planner.copy(base, target, "syndicated", base.text, "dedup")
    for lang, charset, again in (("zh", "gb2312", "utf-8"), ("ja", "shift_jis", "euc-jp")):
        base = planner.take("web", lang)
        base.notes |= {"charset": charset, "site": "blog"}
        planner.copy(base, "crawl", "recoded", base.text, "dedup", charset=again, site="blog")


def _contaminated(planner: Planner) -> None:
    """Items of the benchmarks inside documents: word for word, in capitals, without punctuation."""
    for lang in ("en", "zh"):
        items = {item["id"]: item for item in benchmark(lang)}
        homes = ("library", "news", "forum", "notes", "web", "letters", "crawl")
        for number, (item_id, way) in enumerate(words.CONTAMINATED[lang]):
            item = items[item_id]
            quoted = {
                "question": item["question"],
                "answer": item["answer"],
                "both": f"{item['question']} {item['answer']}",
                "capitals": item["question"].upper(),
                "bare": "".join(one for one in item["question"] if one.isalnum() or one == " "),
            }[way]
            leads = words.LEADS[lang]
            paragraph = f"{leads[number % len(leads)]}{' ' if lang == 'en' else ''}{quoted}"
            doc = planner.take(homes[number % len(homes)], lang)
            facts = {"benchmark": f"quiz_{lang}", "item": item_id, "quoted": way, "contains": quoted}
            planner.alter(doc, "contaminated", _with(paragraph), "decontaminate", **facts)


def _mentions(planner: Planner) -> None:
    """A few words of an item, or an item that is too short to tell: no contamination."""
    for lang in ("en", "zh"):
        for item_id, sentence in words.MENTIONS[lang]:
            doc = planner.take("forum letters notes web crawl", lang)
            facts = {"benchmark": f"quiz_{lang}", "item": item_id, "contains": sentence}
            planner.alter(doc, "short_mention", _with(sentence), **facts)


def _phrase(planner: Planner) -> None:
    """A sentence of an item that many documents share: a common phrase, and no contamination."""
    homes = {"library": 2, "news": 3, "forum": 3, "notes": 3, "damaged": 3}
    for home in (home for home, count in homes.items() for _ in range(count)):
        doc = planner.take(home, "en")
        facts = {"benchmark": "quiz_en", "item": words.COMMON_ITEM}
        planner.alter(doc, "common_phrase", lambda text: f"{text}\n\n{words.COMMON_PHRASE}", **facts)


def _mojibake(planner: Planner) -> None:
    """UTF-8 read as cp1252; some of it twice, some of it copies that are only found once repaired."""
    for lang, times in (("de", 1), ("de", 1), ("es", 1), ("fr", 1), ("fr", 2), ("zh", 1), ("ja", 1)):
        doc = planner.take("news forum notes", lang)
        planner.alter(doc, "mojibake", _misread(times), contains=_telling(doc.text, lang), times=times)
    for lang in ("de", "es", "fr", "zh"):
        base = planner.take("library news", lang)
        text = edits.misread(base.text)
        planner.copy(base, "forum", "mojibake_duplicate", text, "dedup", contains=_telling(base.text, lang))


def _pii(planner: Planner) -> None:
    """Addresses of people who do not exist, at hosts that cannot exist."""
    for number, (paragraph, finds) in enumerate(words.PERSONAL):
        doc = planner.take(("forum", "news", "library", "letters")[number % 4], "en")
        planner.alter(doc, "pii", _with(paragraph), pii=list(finds))


def _boilerplate(planner: Planner) -> None:
    """Lines that belong to a web site and not to its text."""
    for number, lines in enumerate(words.BOILERPLATE):
        doc = planner.take(("forum", "news", "notes")[number % 3], "en")
        above, below = "\n".join(lines[:2]), "\n".join(lines[2:])
        planner.alter(doc, "boilerplate", lambda text: f"{above}\n\n{text}\n\n{below}", lines=lines)  # noqa: B023 - called at once


def _rubbish(planner: Planner) -> None:
    """Spam, records that say nothing, records that say too little."""
    homes = ("forum", "news", "library", "crawl", "web", "forum", "notes")
    for number, (what, lang, text) in enumerate(edits.spam(planner.random)):
        planner.add(homes[number % len(homes)], "spam", lang, text, "clean", what=what, when="presets")
    for source, text in words.EMPTY:
        planner.add(source, "empty", "und", text, "clean")
    for source, text in words.SHORT:
        planner.add(source, "short", "en", text, "clean", when="presets")


def benchmark(lang: str) -> list[dict[str, str]]:
    """The items of `benchmark/quiz-LANG.jsonl`."""
    path = Path(__file__).parent / "benchmark" / f"quiz-{lang}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _with(paragraph: str) -> Callable[[str], str]:
    return lambda text: edits.inserted(text, paragraph)


def _misread(times: int) -> Callable[[str], str]:
    return lambda text: edits.misread(text, times)


def _telling(text: str, lang: str) -> str:
    """A stretch of the text that damage would spoil: a word with a character beyond ASCII."""
    if lang in {"zh", "ja"}:
        return text[:8]
    candidates: Sequence[str] = [word for word in text.split() if word.isalpha() and not word.isascii()]
    return max(candidates, key=len)
