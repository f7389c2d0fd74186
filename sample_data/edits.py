"""Texts made out of texts: copies with edits, damage and spam. All are functions of (text, random generator).

Knows nothing of files. Similarity is the Jaccard similarity of sets of five consecutive units, the same
notion that deduplication uses, written out slowly here so that the labels do not depend on what they test.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from random import Random

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_UNITS = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])[^\W_])+")
_SENTENCE = re.compile(r"(?<=[.!?:;»”“])\s+(?=\S)|(?<=[。！？])(?![」』”\n])|\n\n")

REWORDINGS = {
    "en": "and then=and afterwards|because=since|very=rather|little=small|people=folk|about=roughly|"
    "always=invariably|never=at no time|must=have to|begin=start|however=yet|whole=entire|enough=sufficient|"
    "often=frequently|also=in addition|only=merely|quite=fairly|large=big|old=aged|asked=inquired|"
    "after=following|every=each|before=ahead of|again=once more|perhaps=maybe|which=that|long=lengthy|"
    "good=fine|still=even now|most=the majority|nothing=not a thing|the two=both|away=off|"
    "looked=gazed|has been=was|would=might|could=was able to|last=final|with=together with|"
    "from=out of|into=in|first=initial|of course=naturally|so that=in order that|who=that|not=hardly",
    "de": "aber=jedoch|auch=ebenfalls|sehr=überaus|immer=stets|nur=lediglich|oft=häufig|dann=danach|"
    "weil=da|wenn=falls|nicht=keineswegs|man=jeder|mit=samt|wird=würde|noch=weiterhin|war=ist|ist=war",
    "es": "pero=sin embargo|también=además|muy=bastante|solo=únicamente|siempre=a diario|después=luego|"
    "porque=ya que|cuando=en cuanto|hay=existe|no=nunca|más=mucho más|está=queda|una=alguna|con=junto con",
    "fr": "mais=toutefois|aussi=également|très=fort|toujours=sans cesse|puis=ensuite|peu=guère|"
    "car=parce que|avec=muni de|sans=hors de|pour=afin de|plus=davantage|est=reste|était=fut|dans=dedans",
    "zh": "因为=由于|可是=不过|但是=然而|没有=没|觉得=感到|的时候=之时|已经=早已|就=便|也=亦|很=非常|"
    "说=讲|不=并不|把=将|还=仍|只=仅|都=全|大家=众人|一点=些许|忽然=突然|看=瞧",
    "ja": "しかし=けれども|とても=たいへん|すぐ=ただちに|また=ふたたび|少し=わずかに|だから=したがって|"
    "それから=そのあと|いつも=つねに|みんな=皆|一つ=ひとつ|ところ=場所|とき=折|よく=しばしば|思う=考える|"
    "いう=言う|ない=なかった|ある=あった|する=した|人=ひと|それ=これ",
}
"""What an editor might write instead; some of it is clumsy, as edits are."""

LIKE_UTF8 = {code: bytes([code]).decode("cp1252", "replace") for code in range(256)} | {
    code: chr(code) for code in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
"""What Windows programs show for a byte; the five that cp1252 leaves out become control characters."""


def shingles(text: str) -> set[tuple[str, ...]]:
    """Sets of five consecutive units: words without case and apostrophes, single CJK characters."""
    units = _UNITS.findall(unicodedata.normalize("NFC", re.sub("['’ʼ]", "", text)).lower())
    return {tuple(units[place : place + 5]) for place in range(len(units) - 4)}


def overlap(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    """Common shingles / all shingles."""
    return len(one & other) / len(one | other)


def jaccard(one: str, other: str) -> float:
    """The Jaccard similarity of two texts, rounded to four digits."""
    return round(overlap(shingles(one), shingles(other)), 4)


def edited(text: str, lang: str, target: float, random: Random) -> str:
    """A copy whose Jaccard similarity with the text is as near to `target` as 120 attempts come."""
    pairs = [pair.split("=") for pair in REWORDINGS[lang].split("|")]
    sentences, original = _SENTENCE.split(text), shingles(text)
    best, distance = text, 1.0
    for _ in range(120):
        copy = text
        for sentence in random.sample(sentences, random.randint(0, int((1 - target) * len(sentences)))):
            copy = copy.replace(sentence, "", 1)
        for old, new in random.sample(
            pairs, min(len(pairs), random.randint(1, max(2, int((1 - target) * 40))))
        ):
            edge = "" if lang in {"zh", "ja"} else r"\b"
            copy = re.sub(edge + old + edge, new, copy, count=1)
        copy = re.sub(r"\n\s*\n\s*", "\n\n", re.sub(r"[ \t]+", " ", copy)).strip()
        found = abs(overlap(original, shingles(copy)) - target)
        if found < distance and copy != text:
            best, distance = copy, found
    return best


def retyped(text: str, way: int, random: Random) -> str:
    """The same words in the same order; case, white space or punctuation differ."""
    if way == 0:
        return re.sub(r"(?<!['’\w])\w", lambda found: found[0].upper(), text)
    if way == 1:
        return "\n\n".join(textwrap.fill(one, 60, break_long_words=False) for one in text.split("\n\n"))
    if way == 2:
        return re.sub(" ", lambda _: random.choice([" ", " ", "  ", " \u00a0", "\t"]), text)
    if way == 3:
        return re.sub(r"[,;:]", "", text).replace(".", "!").replace("。", "！").replace("，", "、")
    return text.lower().replace("\n\n", "\n").replace(".", " .").replace("。", "。\u3000")


def misread(text: str, times: int = 1) -> str:
    """UTF-8 read as cp1252, so many times in a row."""
    for _ in range(times):
        text = "".join(LIKE_UTF8[byte] for byte in text.encode())
    return text


def inserted(text: str, paragraph: str) -> str:
    """The text with one more paragraph, as near to its middle as its paragraphs allow."""
    paragraphs = text.split("\n\n")
    place = (len(paragraphs) + 1) // 2
    return "\n\n".join([*paragraphs[:place], paragraph, *paragraphs[place:]])


def spam(random: Random) -> list[tuple[str, str, str]]:
    """(what it is, language, text): pages that no one should learn from."""
    cheap = "cheap boots|discount boots|best boots online|boots free delivery|boots sale|order boots now"
    billig = "günstig|kaufen|online|Angebot|billig|Rabatt|Schnäppchen|Gutschein|sofort|Matratze|Test"
    hot = "优惠|特价|包邮|正品|热卖|限时|抢购|折扣|秒杀|爆款|新款|批发"
    tags = "love sunset happy insta travel food cat weekend smile music art life fun beach coffee style"
    signs = "★★★ ### $$$ ➤➤ !!! wow ▓▓ ~~~"
    menu = "Home|Products|About us|Contact|Login|Register|Basket|Imprint|Sitemap|News|Jobs|Press|Top"
    click = "Click here to see the prices that the shops do not want you to see."
    money = "Gana dinero desde casa con este truco de la abuela."

    def draw(words: list[str], count: int, between: str) -> str:
        return between.join(random.choice(words) for _ in range(count))

    numbers = [f"{random.randint(1, 999)} {random.random():.6f} {random.getrandbits(24)}" for _ in range(90)]
    links = [
        f"http://shop-{random.randint(100, 999)}.example/?id={random.getrandbits(40)}" for _ in range(60)
    ]
    return [
        ("keywords", "en", draw(cheap.split("|"), 220, ", ")),
        ("keywords", "de", draw(billig.split("|"), 240, " ")),
        ("keywords", "zh", draw(hot.split("|"), 300, "")),
        ("repeated lines", "en", "\n".join([click] * 40)),
        ("repeated paragraphs", "es", "\n\n".join([money] * 30)),
        ("repeated phrase", "en", "the best of the best of " * 90),
        ("repeated word", "en", "buffalo " * 400),
        ("symbols", "en", draw(signs.split(), 260, " ")),
        ("hashtags", "en", "#" + draw(tags.split(), 160, " #")),
        ("bullets", "en", "\n".join(f"- {one} {number}" for number in range(8) for one in menu.split("|"))),
        ("ellipses", "en", "\n".join(f"You will not believe what the {one} did ..." for one in tags.split())),
        ("numbers", "en", "\n".join(numbers)),
        ("blob", "en", "\n".join(textwrap.wrap(draw(list("ABCDEFabcdef0123456789+/"), 1800, ""), 76))),
        ("links", "en", "\n".join(links)),
    ]
