"""URL rules compare hosts whole and count strings as RULES 7 says; list files are checked."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stages.base import StageError
from stages.clean import Clean
from stages.urls import host_of, registrable
from tests.stages.test_clean import rows

CASES = json.loads((Path(__file__).parent / "cases" / "urls.json").read_text(encoding="utf-8"))


def written(folder: Path, name: str, lines: list[str]) -> str:
    """A list file."""
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def part(*urls: str | None) -> pa.Table:
    """Rows with these URLs."""
    return rows(*(["some text"] * len(urls))).append_column("url", pa.array(urls, pa.string()))


@pytest.mark.parametrize("case", CASES["domains"], ids=lambda case: case["why"])
def test_domains_as_the_case_says(case: dict[str, Any], tmp_path: Path) -> None:
    """Each case of urls.json, domains: which of the URLs are dropped."""
    domains = {"paths": [written(tmp_path, "list", case["list"])], **case.get("options", {})}
    out = Clean(url={"domains": domains}).apply(part(*case["dropped"], *case["kept"]))
    wanted = ["url.domain"] * len(case["dropped"]) + [None] * len(case["kept"])
    assert out.reasons.to_pylist() == wanted


@pytest.mark.parametrize("case", CASES["substrings"], ids=lambda case: case["why"])
def test_substrings_as_the_case_says(case: dict[str, Any], tmp_path: Path) -> None:
    """Each case of urls.json, substrings: which of the URLs are dropped."""
    substrings = {"paths": [written(tmp_path, "list", case["list"])], **case.get("options", {})}
    out = Clean(url={"substrings": [substrings]}).apply(part(*case["dropped"], *case["kept"]))
    wanted = ["url.substring"] * len(case["dropped"]) + [None] * len(case["kept"])
    assert out.reasons.to_pylist() == wanted


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://WWW.Example.CO.UK:8080/a?b#c", "example.co.uk", "example.co.uk"),
        ("http://user:word@blog.example.com./", "blog.example.com", "example.com"),
        ("example.com/path?u=http://other.org", "example.com", "example.com"),
        ("//cdn.example.com/x", "cdn.example.com", "example.com"),
        ("http://a.b.github.io/", "a.b.github.io", "b.github.io"),
        ("http://192.0.2.7/", "192.0.2.7", "192.0.2.7"),
        ("http://[2001:db8::1]:80/", "2001:db8::1", "2001:db8::1"),
        ("http://www.münchen.de/", "xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("http://例子.公司.cn/", "xn--fsqu00a.xn--55qx5d.cn", "xn--fsqu00a.xn--55qx5d.cn"),
        ("http://localhost/", "localhost", "localhost"),
        ("http://[broken/", "", ""),
        ("mailto:a@example.com", "example.com", "example.com"),
        ("", "", ""),
    ],
)
def test_hosts_and_registrable_domains(url: str, host: str, domain: str) -> None:
    """Ports, users, case, `www.` and the final full stop are no part of a host; suffixes come from the list."""
    assert host_of(url) == host
    assert registrable(host) == domain


def test_documents_without_url_meet_no_rule(tmp_path: Path) -> None:
    """No column, and no value, is no hit; without the rules the columns are null."""
    url = {"domains": {"paths": [written(tmp_path, "list", ["example.com"])]}}
    assert Clean(url=url).apply(rows("some text")).reasons.to_pylist() == [None]
    out = Clean(url=url).apply(part(None, "", "http://example.com"))
    assert out.columns["url_domain"].to_pylist() == [0, 0, 1]
    assert Clean().apply(part("http://example.com")).columns["url_domain"].to_pylist() == [None]


def test_several_lists_are_counted(tmp_path: Path) -> None:
    """RefinedWeb's strict, hard and soft lists in one recipe; the column counts the lists that condemn."""
    strict = {"paths": [written(tmp_path, "strict", ["badsite"])], "ignore_chars": "-."}
    soft = {
        "paths": [written(tmp_path, "soft", ["cam", "webcam"])], "match": "word", "min_distinct_hits": 2,
    }  # fmt: skip
    out = Clean(url={"substrings": [strict, soft]}).apply(
        part("http://bad-site.com/cam/webcam", "http://a.com/cam/cam", "http://a.com/cam_webcam")
    )
    assert out.columns["url_substring"].to_pylist() == [2, 0, 1]


def test_a_list_of_domains_holds_domains(tmp_path: Path) -> None:
    """A path in a domain list is an error that says where it belongs; so is an empty list."""
    for lines, message in ((["example.com/foo"], "no host"), (["# nothing"], "holds no words")):
        url = {"domains": {"paths": [written(tmp_path, f"list{len(message)}", lines)]}}
        with pytest.raises(StageError, match=message):
            Clean(url=url).apply(part("http://a.com"))


def test_a_list_that_changed_is_read_again(tmp_path: Path) -> None:
    """A worker that has seen a list does not judge by what it held before."""
    for host, wanted in (("a.com", [1, 0]), ("bb.com", [0, 1])):
        url = {"domains": {"paths": [written(tmp_path, "list", [host])]}}
        out = Clean(url=url).apply(part("http://a.com", "http://bb.com"))
        assert out.columns["url_domain"].to_pylist() == wanted


def test_identity_names_the_suffix_list_and_no_paths(tmp_path: Path) -> None:
    """The same lists elsewhere are the same stage; the version of the suffix list counts where it is used."""
    one, two = (Clean(url={"domains": {"paths": [folder]}}) for folder in ("a/list", "b/list"))
    assert one.identity() == two.identity()
    assert one.identity()["url"]["suffixes"]
    assert one.files() == {"url.domains": ("a/list",)}
    with pytest.raises(ValueError, match="counted only with `url`"):
        Clean(thresholds={"url.domain": {"max": 1}})
