"""Which encoding bytes are in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.formats.encodings import codec, decode, decode_page
from stages.formats.spec import SourceSpec

TEXTS = {
    "zh": "今天天气很好，我们一起去公园散步。孩子们在草地上放风筝，老人坐在长椅上聊天。",
    "zh-Hant": "今天天氣很好，我們一起去公園散步。孩子們在草地上放風箏，老人坐在長椅上聊天。",
    "ja": "きのうは雨が降っていましたが、今日は朝からよく晴れています。駅まで歩いて行きました。",
    "ko": "어제는 비가 왔지만 오늘은 아침부터 날씨가 맑습니다. 우리는 역까지 걸어서 갔습니다.",
    "ru": "Вчера шёл дождь, а сегодня с утра светит солнце. Мы пошли на вокзал пешком.",
    "de": "Gestern regnete es, doch heute scheint schon früh die Sonne – „schön“, sagte sie.",
    "fr": "Hier il a plu, mais aujourd’hui le soleil brille dès le matin. Ça va être une belle journée !",
    "pl": "Wczoraj padał deszcz, ale dziś od rana świeci słońce. Poszliśmy pieszo, żeby zdążyć.",
    "el": "Χθες έβρεχε, αλλά σήμερα από το πρωί ο ήλιος λάμπει. Πήγαμε στο σταθμό με τα πόδια.",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("zh", "gb18030"), ("zh-Hant", "big5hkscs"), ("zh-Hant", "gb18030"), ("ja", "cp932"),
        ("ja", "euc_jp"), ("ja", "iso2022_jp"), ("ko", "cp949"), ("ru", "cp1251"), ("ru", "koi8-r"),
        ("de", "cp1252"), ("fr", "cp1252"), ("pl", "cp1250"), ("pl", "iso8859-2"), ("el", "cp1253"),
    ],
)  # fmt: skip
def test_legacy_encodings_are_told_apart(language: str, encoding: str) -> None:
    """Two sentences are enough."""
    found = decode(TEXTS[language].encode(encoding))
    assert found is not None
    assert found.text == TEXTS[language]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings_are_told_apart(language: str, encoding: str) -> None:
    """With a byte order mark, and UTF-16 also without one."""
    found = decode(TEXTS[language].encode(encoding))
    assert found is not None
    assert found.text == TEXTS[language]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"the nation\xa1\xa6s genius \xa1X as it were", "the nation’s genius — as it were"),
        (b"cancel the \xbd\xa2 decrease which comes", "cancel the ½¢ decrease which comes"),
        (b"na\xefve caf\xe9", "naïve café"),
        (b"\x93quoted\x94 \x96 it\x92s", "“quoted” – it’s"),
        (b"plain", "plain"),
        (b"a\x00b, c and d, then some more text", "a\x00b, c and d, then some more text"),
        (b"", ""),
    ],
)  # fmt: skip
def test_few_bytes_beyond_ascii_are_read_by_what_they_stand_between(data: bytes, text: str) -> None:
    """Big5 punctuation in English speeches is real; one accented letter is no Chinese character."""
    found = decode(data)
    assert found is not None
    assert found.text == text


def test_a_broken_sequence_in_utf8_stays_utf8() -> None:
    """Not cp1252, which would turn every other character into two."""
    data = TEXTS["ru"].encode()
    found = decode(data[:39] + b"\xff" + data[39:])
    assert found is not None
    assert (found.encoding, found.replaced) == ("utf-8", 1)
    assert found.text.replace("\ufffd", "") == TEXTS["ru"]


def test_a_named_encoding_is_taken_at_its_word() -> None:
    """Also when detection would say otherwise; None where the bytes do not fit."""
    assert decode("é".encode(), "latin-1") == ("Ã©", "cp1252", 0)
    assert decode(b"\xe9", "utf-8") is None


@given(st.binary(max_size=64))
def test_any_bytes_are_text_or_not(data: bytes) -> None:
    """Nothing raises; what is valid UTF-8 text decodes as such or as the UTF-16 that it also is."""
    decode(data)
    decode_page(data, ["gb2312", "nonsense", "utf-16"])


@given(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_printable_utf8_reads_as_itself(text: str) -> None:
    """Whatever it looks like in other encodings."""
    found = decode(text.encode())
    assert found is not None
    assert found.text == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("declared", "encoding", "expected"),
    [
        (["gb2312"], "gb18030", "gb18030"),
        (["shift_jis"], "cp932", "cp932"),
        (["iso-8859-1"], "utf-8", "utf-8"),
        (["utf-8"], "gb18030", "gb18030"),
        (["nonsense", "gbk"], "gb18030", "gb18030"),
        ([], "gb18030", "gb18030"),
    ],
)
def test_pages_are_read_as_they_claim_unless_the_bytes_say_otherwise(
    declared: list[str], encoding: str, expected: str
) -> None:
    """Labels mean what browsers take them to mean."""
    text = TEXTS["ja" if encoding == "cp932" else "zh"]
    found = decode_page(text.encode(encoding), declared)
    assert found is not None
    assert (found.text, found.encoding) == (text, expected)


@pytest.mark.parametrize("label", ["hex", "undefined", "idna", "punycode", "unicode_escape", "utf-7"])
def test_labels_of_codecs_that_make_no_text_mean_nothing(label: str) -> None:
    """Python knows hex and zip as encodings, a recipe may not name them, and a page that does is still read."""
    assert codec(label) is None
    found = decode_page(b"un caf\xe9 noir, s'il vous pla\xeet", [label])
    assert found is not None
    assert found.text == "un café noir, s'il vous plaît"
    with pytest.raises(ValueError, match="is no encoding of text"):
        SourceSpec(name="s", paths=("x",), encoding=label)


def test_a_mark_decides_the_byte_order_of_a_named_encoding() -> None:
    """As RFC 2781 has it: `utf-16` says nothing of the order, and a file may contradict `utf-16-le`."""
    for name in ("utf-16", "utf-16-le", "utf-16-be"):
        found = decode("\ufeffzwölf".encode("utf-16-be"), name)
        assert found is not None
        assert found.text == "zwölf"


def test_labels_are_forgiven_quotes_and_capitals() -> None:
    """As pages write them."""
    assert codec("no-such") is None
    assert codec(' "UTF8" ') == "utf-8"
