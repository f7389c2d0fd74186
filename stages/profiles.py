"""Language profiles: which rules of RULES 2-5 make sense for a language, with what bounds and stop words.

English has the bounds of the papers. Other languages follow FineWeb2 (arXiv 2506.20920; RULES 9.3): no
paragraph rules, no `dup_line_char_frac`, no `short_line_ratio`, `char_dup_ratio` at most .1, and bounds of
their own where FineWeb2 published them. A language without published bounds is judged by its stop words and
by the rules that do not lean on a language. Scripts written without spaces have no tokens to speak of: every
rule about tokens is off for them; so is every rule about sentences where nothing marks their ends. A language
without a profile is judged by the rules that lean on none.

Stop words: the eight of Gopher for English; for the others the commonest function words, chosen by us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, FiniteFloat

__all__ = [
    "ANY",
    "OFF",
    "PROFILES",
    "UNMARKED",
    "UNSPACED",
    "WITHOUT_SPACES",
    "Bound",
    "Profile",
    "of_language",
]


@dataclass(frozen=True)
class Bound:
    """Least and greatest value that a rule accepts; None: no limit on that side."""

    min: Annotated[FiniteFloat | None, Field(description="Least value that is kept.")] = None
    max: Annotated[FiniteFloat | None, Field(description="Greatest value that is kept.")] = None


OFF: Final = Bound()


@dataclass(frozen=True)
class Profile:
    """How a language differs from English.

    Attributes:
        name: the code that `langid` gives, or the ISO 15924 code of a script without a language.
        script: ISO 15924 code of the script it is written in.
        bounds: rule -> bound that replaces the preset's.
        stop_words: what `gopher.stop_words` counts; none switches that rule off.
    """

    name: str
    script: str
    bounds: Mapping[str, Bound]
    stop_words: tuple[str, ...] = ()


_FINEWEB2: Final = {
    "gopher_rep.dup_para_frac": OFF,
    "gopher_rep.dup_line_char_frac": OFF,
    "gopher_rep.dup_para_char_frac": OFF,
    "fineweb.short_line_ratio": OFF,
    "fineweb.char_dup_ratio": Bound(max=0.1),
}
_NO_LANGUAGE: Final = {
    "gopher.mean_word_length": OFF,
    "gopher.alpha_words": OFF,
    "gopher.stop_words": OFF,
}
_NO_TOKENS: Final = {"gopher.symbol_ratio": OFF, "rw.word_removal_ratio": OFF}

UNSPACED: Final = frozenset({"Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})

UNMARKED: Final = frozenset({"Thai", "Laoo", "Tibt"})
"""Scripts without a mark at the end of a sentence: no rule asks for one, and none counts sentences."""
_NO_SENTENCES: Final = {"c4.min_sentences": OFF, "fineweb.line_punct_ratio": OFF}

# Published by FineWeb2 at commit d0defb2 (RULES 9.3): word length, tokens without a letter (one minus the
# published share of words with one), repeated lines, lines with terminal punctuation, newlines by word.
_PUBLISHED: Final = {
    "ar": (2, 9, 0.213, 0.304, 0.143, 0.189),
    "bn": (3, 24, 0.200, 0.203, 0.125, 0.171),
    "cs": (3, 11, 0.219, 0.311, 0.060, 0.182),
    "zh": (None, None, None, 0.287, 0.106, 0.178),
    "de": (None, 15, 0.226, 0.263, None, 0.152),
    "el": (3, 11, 0.191, 0.310, 0.167, 0.116),
    "fa": (2, 9, 0.188, 0.246, 0.200, 0.150),
    "fr": (2, 11, 0.188, 0.264, 0.100, 0.185),
    "he": (2, 9, 0.201, 0.340, 0.200, 0.126),
    "hi": (2, 21, 0.163, 0.206, 0.091, 0.316),
    "id": (3, 12, 0.195, 0.241, 0.111, 0.157),
    "it": (3, 21, 0.193, 0.246, 0.025, 0.200),
    "ja": (None, None, None, 0.328, 0.096, 0.130),
    "ko": (1, 6, 0.209, 0.374, 0.062, 0.196),
    "nl": (3, 17, 0.172, 0.296, 0.102, 0.154),
    "pl": (3, 12, 0.274, 0.320, 0.087, 0.158),
    "pt": (3, 13, 0.186, 0.287, 0.077, 0.186),
    "ru": (3, 11, 0.287, 0.322, 0.231, 0.139),
    "es": (3, 14, 0.175, 0.252, 0.182, 0.138),
    "th": (None, None, None, 0.349, None, 0.153),
    "tr": (3, 21, 0.227, 0.272, 0.091, 0.222),
    "uk": (3, 11, 0.306, 0.300, 0.167, 0.175),
    "vi": (3, 11, 0.197, 0.293, 0.333, 0.103),
    "yue": (None, None, None, 0.442, 0.111, 0.238),
}

_STOP_WORDS: Final = {
    ("en", "Latn"): "the be to of and that have with",
    ("de", "Latn"): "der die und das in den von zu mit sich des auf nicht ist ein eine dem für",
    ("fr", "Latn"): "de la le et les des en un une du que qui dans pour est pas sur au par",
    ("es", "Latn"): "de la que el en y los del las un una por con para se no es su lo",
    ("it", "Latn"): "di che la il e un una per in del non con della si è le dei i da",
    ("pt", "Latn"): "de a que o e do da em um uma para com não os no na as se por",
    ("nl", "Latn"): "de van het een en in is dat op te voor met zijn niet aan die er ook",
    ("ca", "Latn"): "de la el i que a les en els per amb un una del és no al com",
    ("ro", "Latn"): "de și în a la cu pe un o care nu din că pentru este mai ce",
    ("sv", "Latn"): "och i att det som en på är av för med till den har inte ett om",
    ("da", "Latn"): "og i at det er en til på af for med den som ikke har et de",
    ("no", "Latn"): "og i det er på til en av for med som at den har ikke et de",
    ("fi", "Latn"): "ja on ei että se oli hän joka mutta myös kun ovat sen tai kuin",
    ("et", "Latn"): "ja on ei et see oli ta mis kui ka aga ning oma või",
    ("is", "Latn"): "og í að er á sem það við til en ekki var um með fyrir",
    ("pl", "Latn"): "i w na z do się nie że to jest o jak po za przez od dla",
    ("cs", "Latn"): "a v se na je že s z do o to k za jako pro ale by",
    ("sk", "Latn"): "a v sa na je že s z do o to k za ako pre ale by",
    ("sl", "Latn"): "in je v na se da za so z ki s pa ne tudi po kot",
    ("hr", "Latn"): "i u je na se da za su od s o koji kao ne to a",
    ("hu", "Latn"): "a az és hogy nem is egy van meg volt ez de csak mint",
    ("sq", "Latn"): "e të në dhe për me një që nga i është se u ka",
    ("lt", "Latn"): "ir į kad yra su iš tai kaip o bet buvo ne per jo",
    ("lv", "Latn"): "un ir ar no par uz ka kas tas bet arī nav gan tā",
    ("tr", "Latn"): "ve bir bu için de da ile olarak çok daha olan gibi ne en",
    ("vi", "Latn"): "và của là có các trong được cho một không với những để người này",
    ("id", "Latn"): "yang dan di untuk dengan dari ini itu pada dalam tidak adalah ke akan",
    ("ms", "Latn"): "yang dan di untuk dengan dari ini itu pada dalam tidak adalah ke akan telah",
    ("tl", "Latn"): "ang ng sa na mga ay at ni para si hindi kung ito nang",
    ("sw", "Latn"): "ya na wa kwa ni katika la za kuwa hii cha kama hiyo",
    ("af", "Latn"): "die en van in is het dat nie wat te met op vir om ook",
    ("eu", "Latn"): "eta da ez bat zen du dira ere izan den baina egin",
    ("gl", "Latn"): "de a que o e do da en un unha para con non os no na as se por",
    ("cy", "Latn"): "y yn a i o ar yr ei am mae bod wedi gan",
    ("ga", "Latn"): "an na a i ar agus is go le ag sé do bhí tá",
    ("eo", "Latn"): "la kaj de en estas ne al kiu por estis kun tio el",
    ("ru", "Cyrl"): "и в не на что с по как это к из он его у за от для",
    ("uk", "Cyrl"): "і в не на що з та у до як це за від його для про але",
    ("bg", "Cyrl"): "и на да в се за не от са като с по че е до",
    ("sr", "Cyrl"): "и у је на се да за су од са о који као не то а",
    ("mk", "Cyrl"): "и на во да се од за е со не што ќе како",
    ("be", "Cyrl"): "і у не на што з як да гэта ад за для па але яго",
    ("kk", "Cyrl"): "және бұл мен бір деп үшін да де сол ол бар",
    ("el", "Grek"): "και το να του η της με που την από για τα είναι στο οι των ο",
    ("hy", "Armn"): "և է որ են ու այդ մի այս էր եմ",
    ("ka", "Geor"): "და არ რომ ეს არის იყო თუ მისი როგორც მაგრამ",
    ("he", "Hebr"): "של את על לא הוא עם כי זה היא גם אל אבל או יש",
    ("ar", "Arab"): "في من على أن إلى عن التي هذا لا ما مع الذي هذه كان أو",
    ("fa", "Arab"): "و در به از که این را با است برای آن یک تا بر",
    ("ur", "Arab"): "کے کی میں ہے اور سے کا کو اس پر نے یہ کہ ہیں",
    ("hi", "Deva"): "के में की है और से का को पर यह ने कि हैं लिए भी",
    ("mr", "Deva"): "आहे आणि या व ते हे होते तर एक मी की त्या",
    ("ne", "Deva"): "र छ को मा यो पनि हो भने लागि गर्न एक",
    ("bn", "Beng"): "এবং ও এই করে থেকে না একটি করা হয় তার জন্য",
    ("gu", "Gujr"): "અને છે આ એક માટે પણ તે હતી તો કે",
    ("pa", "Guru"): "ਦੇ ਦੀ ਹੈ ਵਿੱਚ ਅਤੇ ਨੂੰ ਤੋਂ ਦਾ ਇਹ ਨੇ",
    ("ta", "Taml"): "ஒரு மற்றும் இந்த என்று அந்த என்ற இது அது ஆனால்",
    ("te", "Telu"): "ఒక ఈ మరియు ఆ అని కూడా నుండి ఉంది లో",
    ("ml", "Mlym"): "ഒരു ഈ എന്ന ആ എന്നാൽ നിന്ന് അത് ഇത്",
    ("kn", "Knda"): "ಈ ಮತ್ತು ಒಂದು ಆ ಎಂದು ಅವರು ಇದು ಅದು",
    ("ko", "Kore"): "이 그 있는 수 있다 등 및 것은 한다 것이다 대한 더 또한 것이",
}


def _bounds(name: str, script: str, stop_words: str) -> dict[str, Bound]:
    if name == "en":
        return {}
    bounds: dict[str, Bound] = dict(_FINEWEB2)
    if script in UNSPACED:
        bounds |= _NO_LANGUAGE | _NO_TOKENS
    elif name not in _PUBLISHED:
        bounds |= _NO_LANGUAGE
        if stop_words:
            del bounds["gopher.stop_words"]
    if name in _PUBLISHED:
        least, most, letterless, repeated, ending, newlines = _PUBLISHED[name]
        if script not in UNSPACED:
            bounds["gopher.mean_word_length"] = Bound(least, most)
            bounds["gopher.alpha_words"] = Bound(max=letterless)
        bounds["gopher_rep.dup_line_frac"] = Bound(max=repeated)
        bounds["fineweb.line_punct_ratio"] = Bound(min=ending)
        bounds["fineweb.newline_ratio"] = Bound(max=newlines)
    if script in UNMARKED:
        bounds |= _NO_SENTENCES
    return bounds


def _profiles() -> dict[str, Profile]:
    found = {
        name: Profile(name, script, _bounds(name, script, words), tuple(words.split()))
        for (name, script), words in _STOP_WORDS.items()
    }
    for name, script in (("zh", "Hani"), ("ja", "Jpan"), ("th", "Thai"), ("lo", "Laoo"), ("km", "Khmr"),
                         ("my", "Mymr"), ("bo", "Tibt"), ("yue", "Hani")):  # fmt: skip
        found[name] = Profile(name, script, _bounds(name, script, ""))
    return found


PROFILES: Final = _profiles()
"""Profiles by language, English first: among equals the earlier one is taken."""

WITHOUT_SPACES: Final = frozenset(name for name, profile in PROFILES.items() if profile.script in UNSPACED)
"""Profiles of scripts that write none between words: their lines have no tokens to count."""

_CODES: Final = (
    "afr:af als:sq ara:ar arb:ar bel:be ben:bn bod:bo bul:bg cat:ca ces:cs cmn:zh cym:cy dan:da deu:de ekk:et "
    "ell:el eng:en epo:eo est:et eus:eu fas:fa fil:tl fin:fi fra:fr gle:ga glg:gl guj:gu heb:he hin:hi hrv:hr "
    "hun:hu hye:hy ind:id isl:is ita:it jpn:ja kan:kn kat:ka kaz:kk khm:km kor:ko lao:lo lav:lv lit:lt lvs:lv "
    "mal:ml mar:mr mkd:mk msa:ms mya:my nep:ne nld:nl nob:no nor:no npi:ne pan:pa pes:fa pol:pl por:pt ron:ro "
    "rus:ru slk:sk slv:sl spa:es sqi:sq srp:sr swa:sw swe:sv swh:sw tam:ta tel:te tgl:tl tha:th tur:tr ukr:uk "
    "urd:ur vie:vi zho:zh zsm:ms"
)
"""The codes of GlotLID and FineWeb2 -> those of lid.176, for languages with a profile."""
_OF_CODE: Final = dict(pair.split(":") for pair in _CODES.split())


def of_language(label: str) -> Profile | None:
    """The profile of a label of lid.176 (`en`) or GlotLID (`eng_Latn`), whatever its script; None: there is none."""
    language = label.partition("_")[0]
    return PROFILES.get(_OF_CODE.get(language, language))


ANY: Final = Profile("any", "Zyyy", dict(_FINEWEB2) | _NO_LANGUAGE)
"""For a language, or a script, that has no profile."""
