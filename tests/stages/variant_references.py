"""RULES 2, 3, 5 as other implementations compute them, slowly, on strings: what the variants are compared with."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from uniseg.wordbreak import words as uax29_segments

from stages.kernels.characters import TERMINAL_MARKS
from stages.kernels.tokens import PUNCTUATION

NEMO_ELLIPSES = ("...", "[...]", "…", "(...)", "[…]", "-»", "read more..", "read more")
Values = dict[str, Any]


def share(count: float, total: float) -> float | None:
    """A ratio; none of nothing."""
    return count / total if total else None


def segments(text: str) -> list[str]:
    """UAX #29 segments that do not begin with white space."""
    return [segment for segment in uax29_segments(text) if not segment[0].isspace()]


def rae2021(text: str, stop_words: Sequence[str]) -> Values:
    """The paper's two readings that the default does not have."""
    tokens = text.split()
    ellipses = sum(map(text.count, ("...", ". . .", "…")))
    ratios = share(text.count("#"), len(tokens)), share(ellipses, len(tokens))
    return {
        "symbol_ratio": None if ratios[0] is None else max(ratios),
        "stop_words": len({token.lower() for token in tokens} & set(stop_words)),
    }


def dolma(text: str, stop_words: Sequence[str], *, empty: bool = True) -> Values:
    """`dolma/taggers/gopher.py`, the attributes of quality."""
    tokens = text.split()
    lines = text.split("\n") if empty else [line for line in text.split("\n") if line]
    return {
        "words": len(tokens),
        "mean_word_length": median(map(len, tokens)) if tokens else None,
        "symbol_ratio": share(sum(any(mark in token for mark in "#…") for token in tokens), len(tokens)),
        "bullet_lines": share(sum(line.startswith(("*", "-")) for line in lines), len(lines)),
        "ellipsis_lines": share(sum(line.endswith("…") for line in lines), len(lines)),
        "stop_words": sum(token in stop_words for token in tokens),
    }


def nemo(text: str, stop_words: Sequence[str]) -> Values:
    """NeMo Curator's heuristic filters."""
    tokens = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    symbols = [token in NEMO_ELLIPSES or token.count("#") / len(token) > 0.5 for token in tokens]
    return {
        "words": len(tokens),
        "symbol_ratio": share(sum(symbols), len(tokens)),
        "bullet_lines": share(sum(line.strip()[0] in "•‣⁃⁌⁍∙○●◘◦⦾⦿" for line in lines), len(lines)),
        "ellipsis_lines": share(
            sum(line.strip().lower().endswith(NEMO_ELLIPSES) for line in lines), len(lines)
        ),
        "stop_words": sum(token in stop_words for token in tokens),
    }


def datatrove(text: str, stop_words: Sequence[str]) -> Values:
    """`GopherQualityFilter` over segments."""
    tokens = segments(text)
    words = [token for token in tokens if any(character not in PUNCTUATION for character in token)]
    lines = text.splitlines()
    ratios = share(text.count("#"), len(tokens)), share(text.count("...") + text.count("…"), len(tokens))
    return {
        "words": len(words),
        "mean_word_length": share(sum(map(len, words)), len(words)),
        "symbol_ratio": None if ratios[0] is None else max(ratios),
        "bullet_lines": share(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines": share(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_words": share(sum(not any(c.isalpha() for c in token) for token in tokens), len(tokens)),
        "stop_words": len(set(stop_words) & set(tokens)),
    }


QUALITY: dict[str, Callable[[str, Sequence[str]], Values]] = {
    "ws_alnum": lambda text, _: {"words": len([token for token in text.split() if token[0].isalnum()])},
    "rae2021": rae2021,
    "dolma": dolma,
    "dolma_v2": lambda text, words: dolma(text, words, empty=False),
    "nemo": nemo,
    "datatrove_uax29": datatrove,
}


def fineweb(text: str) -> Values:
    """`FineWebQualityFilter` over segments."""
    lines = [line for line in text.split("\n") if line.strip()]
    copies = Counter(lines)
    return {
        "line_punct_ratio": share(sum(line.endswith(tuple(TERMINAL_MARKS)) for line in lines), len(lines)),
        "short_line_ratio": share(sum(len(line) <= 30 for line in lines), len(lines)),
        "char_dup_ratio": share(
            sum((times - 1) * len(line) for line, times in copies.items()), len(text.replace("\n", ""))
        ),
        "newline_ratio": share(text.count("\n"), len(segments(text))),
    }


def grams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    """All n-grams."""
    return [tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]


def later(pieces: list[str]) -> tuple[int, int]:
    """How many pieces are copies of an earlier one, and their characters."""
    copies = Counter(pieces)
    return len(pieces) - len(copies), sum((times - 1) * len(piece) for piece, times in copies.items())


def datatrove_rep(text: str) -> Values:
    """`GopherRepetitionFilter` over segments."""
    lines, paragraphs, tokens = re.split("\n+", text), re.split("\n{2,}", text.strip()), segments(text)
    found: Values = {
        "dup_para_frac": later(paragraphs)[0] / len(paragraphs),
        "dup_para_char_frac": share(later(paragraphs)[1], len(text)),
        "dup_line_frac": later(lines)[0] / len(lines),
        "dup_line_char_frac": share(later(lines)[1], len(text)),
    }
    for n in range(2, 5):
        copies = Counter(" ".join(gram) for gram in grams(tokens, n))
        gram, times = copies.most_common(1)[0] if copies else ("", 0)
        found[f"top_{n}_gram"] = share(len(gram) * times, len(text))
    for n in range(5, 11):
        seen: set[str] = set()
        chars = place = 0
        while place < len(tokens) - n + 1:
            joined = "".join(tokens[place : place + n])
            chars += len(joined) if joined in seen else 0
            place += n if joined in seen else 1
            seen.add(joined)
        found[f"dup_{n}_gram"] = share(chars, len(text))
    return found


def dolma_rep(text: str, *, empty: bool = True) -> Values:
    """`dolma/taggers/gopher.py`, the attributes of repetition."""
    tokens = text.split()
    lines = text.split("\n") if empty else re.split("\n+", text)
    chars = sum(map(len, tokens))
    many = {line: times for line, times in Counter(lines).items() if times > 1}
    found: Values = {
        "dup_line_frac": sum(many.values()) / len(lines),
        "dup_line_char_frac": share(sum(len(line) * times for line, times in many.items()), chars),
    }
    for n in range(2, 11):
        sizes = {gram: times * sum(map(len, gram)) for gram, times in Counter(grams(tokens, n)).items()}
        copies = Counter(grams(tokens, n))
        if n <= 4:
            found[f"top_{n}_gram"] = sizes[copies.most_common(1)[0][0]] / chars if copies else 0
        else:
            repeated = sum(size for gram, size in sizes.items() if copies[gram] > 1)
            found[f"dup_{n}_gram"] = repeated / max(sum(sizes.values()), 1)
    return found


def longest_top(tokens: list[str], n: int) -> tuple[tuple[str, ...], int]:
    """The most frequent n-gram: of equals the longest, then the first."""
    copies = Counter(grams(tokens, n))
    best = max(copies, key=lambda gram: (copies[gram], sum(map(len, gram))))
    return best, copies[best]


def nemo_rep(text: str) -> Values:
    """NeMo Curator's repetition filters, with ties settled."""
    tokens, paragraphs = text.split(), text.split("\n\n")
    lines = [line for line in text.split("\n") if line.strip()]
    found: Values = {
        "dup_line_frac": share(later(lines)[0], len(lines)),
        "dup_line_char_frac": share(later(lines)[1], sum(map(len, lines))),
        "dup_para_frac": share(later(paragraphs)[0], len(paragraphs)),
        "dup_para_char_frac": share(later(paragraphs)[1], sum(map(len, paragraphs))),
    }
    for n in range(2, 11):
        name = f"top_{n}_gram" if n <= 4 else f"dup_{n}_gram"
        if len(tokens) < n:
            found[name] = 1.0 if text else None
        elif n <= 4:
            deleted = text.replace(" ".join(longest_top(tokens, n)[0]), "")
            found[name] = (len(text) - len(deleted)) / len(text)
        else:
            counts: Counter[tuple[str, ...]] = Counter()
            chars = overlap = 0
            for gram in grams(tokens, n):
                counts[gram] += 1
                if counts[gram] > 1:
                    chars += sum(map(len, gram[overlap:])) + min(n - overlap, n - 1)
                    overlap = n
                overlap = max(overlap - 1, 0)
            found[name] = chars / len(text)
    return found


def position_set_top(text: str) -> Values:
    """Words under the most frequent n-gram, each once."""
    words = [segment for segment in uax29_segments(text) if segment[0].isalnum()]
    found: Values = {}
    for n in (2, 3, 4):
        best, times = longest_top(words, n) if len(words) >= n else ((), 0)
        places = {
            place + step for place, gram in enumerate(grams(words, n)) if gram == best for step in range(n)
        }
        chars = sum(len(words[place]) for place in places) if times > 1 else 0
        found[f"top_{n}_gram"] = chars / max(sum(map(len, words)), 1)
    return found


REPETITION: dict[str, Callable[[str], Values]] = {
    "datatrove_uax29": datatrove_rep,
    "dolma": dolma_rep,
    "dolma_v2": lambda text: dolma_rep(text, empty=False),
    "nemo": nemo_rep,
    "position_set_top": position_set_top,
}
