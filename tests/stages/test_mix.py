"""What a mixture promises: shares, budgets, epochs, and errors that say what is possible."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.apportion import apportion, plan_mixture, temperature_shares
from stages.base import StageError
from stages.mix import Mix
from tests.stages.rounds import cut, run_global

SIZES = {"books": 1000, "code": 3000, "web": 6000}


def corpus(counts: dict[str, int], *, tokens: bool = True, seed: int = 0) -> pa.Table:
    """Documents of varied sizes, sources interleaved."""
    draw = np.random.default_rng(seed)
    sources = draw.permutation(np.repeat(list(counts), list(counts.values())))
    size = draw.integers(1, 400, len(sources))
    table = pa.table(
        {
            "doc_id": pa.array([draw.bytes(16) for _ in sources], pa.binary(16)),
            "source": pa.array(sources.tolist(), pa.string()),
            "bytes": pa.array(size * 4, pa.int64()),
            "lang": pa.array(np.where(size % 3 == 0, "de", "en").tolist(), pa.string()),
            "cluster_size": pa.array(1 + size % 4, pa.int32()),
        }
    )
    return table.append_column("token_count", pa.array(size - 1, pa.int64())) if tokens else table


def seen(rows: pa.Table, by: str = "source") -> dict[str, int]:
    """Tokens by group, ends of documents and repeats included."""
    counts = rows["token_count"].to_numpy()
    tokens = (counts + (counts > 0)) * rows["repeats"].to_numpy()
    groups = rows[by].to_numpy(zero_copy_only=False)
    return {str(name): int(tokens[groups == name].sum()) for name in np.unique(groups)}


# ------------------------------------------------------------------------------------------ arithmetic


@given(st.integers(0, 10**12), st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any))
def test_apportioned_sizes_sum_to_the_total(total: int, parts: list[int]) -> None:
    """Hamilton: the sum is exact, and each size is its quota rounded down or up."""
    shares = {str(name): Fraction(part, sum(parts)) for name, part in enumerate(parts)}
    sizes = apportion(total, shares)
    assert sum(sizes.values()) == total
    for name, share in shares.items():
        assert int(total * share) <= sizes[name] <= int(total * share) + 1


def test_remainders_go_to_the_largest_then_to_the_first() -> None:
    """10 in thirds: the first of equal fractions gets the one left over."""
    assert apportion(10, dict.fromkeys("abc", Fraction(1, 3))) == {"a": 4, "b": 3, "c": 3}
    assert apportion(11, {"a": Fraction(1, 10), "b": Fraction(9, 10)}) == {"a": 1, "b": 10}


@pytest.mark.parametrize(
    ("temperature", "roots"), [(0, [1, 1, 1]), (0.5, [10, 20, 30]), (1, [100, 400, 900])]
)
def test_temperature_is_the_exponent_of_the_sizes(temperature: float, roots: list[int]) -> None:
    """0: equal shares; 0.5: in proportion to square roots; 1: as they are."""
    found = temperature_shares({"a": 100, "b": 400, "c": 900}, temperature)
    assert [found[name] for name in "abc"] == [Fraction(root, sum(roots)) for root in roots]


def test_empty_groups_have_no_share_at_any_temperature() -> None:
    """0 ** 0 is nothing here, else an empty group would be owed documents."""
    assert temperature_shares({"a": 0, "b": 5}, 0) == {"a": 0, "b": 1}


def test_without_a_total_the_shares_are_kept_and_nothing_is_repeated() -> None:
    """The largest total that keeps the shares: books is the bottleneck at one epoch."""
    plan = plan_mixture(SIZES, weights={"books": 0.5, "code": 0.25, "web": 0.25})
    assert {name: group.target for name, group in plan.items()} == {"books": 1000, "code": 500, "web": 500}


def test_without_a_total_groups_are_repeated_as_far_as_allowed() -> None:
    """With four epochs, the total grows up to the size of the corpus and no further."""
    plan = plan_mixture(SIZES, weights={"books": 0.4, "code": 0.3, "web": 0.3}, max_epochs=4)
    assert {name: group.target for name, group in plan.items()} == {"books": 4000, "code": 3000, "web": 3000}
    assert plan["books"].epochs == 4.0


def test_a_total_is_met_with_whole_epochs_and_a_rest() -> None:
    """3,500 of 1,000 are three passes and half of one."""
    plan = plan_mixture(SIZES, weights={"books": 0.5, "code": 0.5, "web": 0}, total=7000, max_epochs=4)
    assert (plan["books"].whole_epochs, plan["books"].remainder) == (3, 500)
    assert plan["web"].target == 0


def test_the_largest_feasible_total_is_feasible_and_one_more_is_not() -> None:
    """What the error promises can be had."""
    weights = {"books": 0.3, "code": 0.3, "web": 0.4}
    assert plan_mixture(SIZES, weights=weights, total=6666, max_epochs=2)
    with pytest.raises(StageError, match="6,666"):
        plan_mixture(SIZES, weights=weights, total=6667, max_epochs=2)


def test_an_infeasible_total_names_the_group_and_what_is_possible() -> None:
    """Which group, how much is wanted of it, how much there is, how much could be had."""
    with pytest.raises(StageError) as error:
        plan_mixture(
            SIZES, weights={"books": 0.5, "code": 0.5, "web": 0}, total=9000, max_epochs={"books": 2}
        )
    for part in ("9,000", "'books'", "50.00%", "4,500", "4.50 epochs", "1,000", "2,000", "4,000 tokens"):
        assert part in str(error.value)


def test_a_shortfall_may_be_scaled_down() -> None:
    """`on_shortfall: scale` takes the largest total that keeps the shares."""
    plan = plan_mixture(
        SIZES, weights={"books": 0.5, "code": 0.5, "web": 0}, total=9000, on_shortfall="scale"
    )
    assert {name: group.target for name, group in plan.items()} == {"books": 1000, "code": 1000, "web": 0}


def test_the_rest_shares_in_proportion_to_size() -> None:
    """`*` stands for code and web, one to two."""
    plan = plan_mixture(SIZES, weights={"books": 0.1, "*": 0.9}, total=3000)
    assert {name: group.target for name, group in plan.items()} == {"books": 300, "code": 900, "web": 1800}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"weights": {"books": 0.5, "web": 0.5}}, "nothing of 'code'"),
        ({"weights": {"books": 0.5, "film": 0.5, "*": 0}}, "'film', of which nothing is left"),
        ({"weights": {"books": 0.5, "*": 0.4}}, "sum to 0.9"),
        ({"budgets": {"books": 5, "code": 4, "web": 6001}}, "'web'"),
    ],
)
def test_weights_must_fit_the_groups(asked: dict[str, Any], message: str) -> None:
    """Groups without a weight, weights without a group, sums that are not 1: all are errors."""
    with pytest.raises(StageError, match=message):
        plan_mixture(SIZES, **asked)


def test_a_corpus_with_nothing_left_cannot_be_mixed() -> None:
    """Every group is empty: said plainly."""
    with pytest.raises(StageError, match="no documents are left"):
        plan_mixture({"web": 0}, temperature=0.5)


# ------------------------------------------------------------------------------------------- the stage


def test_without_a_wish_every_document_is_seen_once() -> None:
    """No weights, no temperature, no budget: no rounds, repeats 1."""
    rows, ruling = run_global(Mix(), [corpus({"web": 20})])
    assert ruling is None
    assert rows["repeats"].to_pylist() == [1] * 20


@pytest.mark.parametrize("tokens", [9000, 50_000, 123_457])
def test_realised_tokens_are_within_one_document_of_the_target(tokens: int) -> None:
    """Never above the target, and never more than the largest document below it."""
    parts = cut(corpus({"web": 300, "books": 40, "code": 100}), [100, 250])
    stage = Mix(weights={"web": 0.5, "books": 0.3, "code": 0.2}, tokens=tokens, max_epochs=9)
    rows, ruling = run_global(stage, parts)
    assert ruling is not None
    assert sum(ruling["target"].to_pylist()) == tokens
    found = seen(rows)
    for group in ruling.to_pylist():
        assert 0 <= group["target"] - found[group["group"]] < 400
        assert group["realised"] == found[group["group"]]
        assert group["epochs"] == group["target"] / group["size"]


def test_estimated_tokens_come_from_bytes() -> None:
    """Without token counts a token is so many bytes, by group."""
    table = corpus({"web": 300, "books": 300}, tokens=False)
    stage = Mix(tokens={"web": 5000, "books": 5000}, bytes_per_token={"web": 2.0})
    rows, ruling = run_global(stage, [table])
    assert ruling is not None
    assert ruling["unit"].to_pylist() == ["bytes", "bytes"]
    size = np.array(rows["bytes"]) * np.array(rows["repeats"])
    web = rows["source"].to_numpy(zero_copy_only=False) == "web"
    assert 0 <= 5000 * 2 - size[web].sum() < 1600
    assert 0 <= 5000 * 4 - size[~web].sum() < 1600


def test_numbers_are_grouped_by_range() -> None:
    """Below the first edge, between edges, from the last on; what has no value is `null`."""
    rows = corpus({"web": 5}).append_column("quality", pa.array([0.1, 0.3, 0.69, 0.7, None], pa.float32()))
    stage = Mix(by=("source", "quality"), ranges={"quality": [0.25, 0.7]}, temperature=0, max_epochs=9)
    found, _ = run_global(stage, [rows])
    names = ["below 0.25", "0.25 to 0.7", "0.25 to 0.7", "from 0.7", "null"]
    assert found["mix_group"].to_pylist() == [f"web/{name}" for name in names]


def test_a_smaller_budget_takes_a_subset() -> None:
    """Nested: what is seen for 10,000 tokens is seen for 20,000 too."""
    table = corpus({"web": 200, "books": 200})
    less, more = (
        run_global(Mix(tokens=tokens), [table])[0]["repeats"].to_numpy() for tokens in (10_000, 20_000)
    )
    assert (less <= more).all()
    assert less.sum() < more.sum()


def test_another_seed_takes_other_documents() -> None:
    """The draw is the seed's."""
    table = corpus({"web": 200})
    one, other = (run_global(Mix(tokens=10_000, seed=seed), [table])[0]["repeats"] for seed in (1, 2))
    assert one.to_pylist() != other.to_pylist()


def test_a_weight_of_zero_takes_nothing_and_says_so() -> None:
    """Documents seen never are dropped, with a reason."""
    rows, _ = run_global(Mix(weights={"web": 1, "books": 0}), [corpus({"web": 20, "books": 20})])
    left = rows.filter(pc.equal(rows["source"], "books"))
    assert set(left["repeats"].to_pylist()) == {0}
    assert set(left["reason"].to_pylist()) == {"not_sampled"}
    assert rows.filter(pc.equal(rows["source"], "web"))["reason"].null_count == 20


def test_groups_of_several_columns_are_joined_by_a_slash() -> None:
    """Source and language together are a group."""
    stage = Mix(by=("source", "lang"), weights={"web/de": 0.5, "*": 0.5})
    _, ruling = run_global(stage, [corpus({"web": 60, "books": 20})])
    assert ruling is not None
    assert ruling["group"].to_pylist() == ["books/de", "books/en", "web/de", "web/en"]


def test_a_column_that_nobody_wrote_is_named() -> None:
    """Grouping by language without langid says which stage writes the column."""
    with pytest.raises(StageError, match=r"'lang'.*langid"):
        run_global(Mix(by="lang", temperature=0.5), [corpus({"web": 5}).drop_columns("lang")])


def test_upsampling_multiplies_before_everything_else() -> None:
    """Copies by a column: below the first step one, from then on as the step says; nothing for 0."""
    stage = Mix(upsample={"cluster_size": {2: 2, 4: 0}})
    rows, _ = run_global(stage, [corpus({"web": 50})])
    expected = {1: 1, 2: 2, 3: 2, 4: 0}
    assert rows["repeats"].to_pylist() == [expected[size] for size in rows["cluster_size"].to_pylist()]


def test_upsampled_sizes_count_towards_the_budget() -> None:
    """The budget is met by the copies, not by the documents."""
    stage = Mix(upsample={"cluster_size": {2: 3}}, tokens=20_000)
    rows, _ = run_global(stage, [corpus({"web": 200})])
    assert 0 <= 20_000 - seen(rows)["web"] < 1200


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 120), max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_the_cut_of_the_corpus_changes_nothing(bounds: list[int], random: Any, tokens: bool) -> None:
    """Any parts in any order: the same repeats, reasons and ruling."""
    table = corpus({"web": 80, "books": 40}, tokens=tokens)
    stage = Mix(weights={"web": 0.3, "books": 0.7}, tokens=9000, max_epochs=3)
    parts = cut(table, bounds)
    rows, ruling = run_global(stage, parts, random.randrange(1000))
    whole, ruling_of_whole = run_global(stage, [table])
    assert rows["repeats"].to_pylist() == whole["repeats"].to_pylist()
    assert rows["reason"].to_pylist() == whole["reason"].to_pylist()
    assert ruling is not None
    assert ruling.equals(ruling_of_whole)


def test_changing_weights_does_not_count_again() -> None:
    """Only groups, copies and the seed decide the sizes that are surveyed."""
    one, other = Mix(weights={"a": 1.0}, seed=3), Mix(temperature=0.3, tokens=10, seed=3)
    assert one.survey_identity(0) == other.survey_identity(0)
    assert one.survey_identity(1) != other.survey_identity(1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": {"web": 0.5, "books": 0.4}}, "sum to 0.9"),
        ({"weights": {"web": 1}, "temperature": 0.5}, "contradict"),
        ({"weights": {"web": 0.5, "boks": 0.5}, "sources": ["web", "books"]}, "no source 'boks'"),
        ({"weights": {"web": 1}, "sources": ["web", "books"]}, "nothing is said of 'books'"),
        ({"ranges": {"quality": [0.5]}}, "expected a column of `by`"),
        ({"by": "quality", "ranges": {"quality": [0.5, 0.2]}}, "ascending"),
        ({"tokens": 0}, "greater than 0"),
        ({"max_epochs": 0}, "greater than 0"),
    ],
)
def test_contradictions_are_found_before_anything_runs(fields: dict[str, Any], message: str) -> None:
    """A recipe that cannot be meant is refused when it is read."""
    with pytest.raises(ValidationError, match=message):
        Mix.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"tokens": 1001}, "1,001 tokens cannot come from 1,000 bytes"),
        ({"tokens": 1000}, None),
        ({"tokens": 1000, "weights": {"web": 0.5, "books": 0.5}}, "books would have to give 500"),
        ({"tokens": 1000, "weights": {"web": 0.5, "books": 0.5}, "max_epochs": {"books": 9}}, None),
        ({"tokens": {"web": 901, "books": 1}}, "web would have to give 901"),
        ({"tokens": 1001, "on_shortfall": "scale"}, None),
    ],
)
def test_budgets_beyond_all_text_are_seen_beforehand(fields: dict[str, Any], found: str | None) -> None:
    """A token takes at least a byte, so sizes of files already bound what can be had."""
    complaints = Mix.model_validate(fields).check({"web": 900, "books": 100})
    assert [message for _, message in complaints if found and found in message] or (
        not found and not complaints
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"max_epochs": float("inf")}, {"temperature": 1e6}, {"tokens": 10**30}, {"by": ()},
        {"bytes_per_token": 1e-300}, {"weights": {"web": float("inf")}},
        {"ranges": {"bytes": (float("nan"),)}, "by": "bytes"}, {"upsample": {"bytes": {1: 1 << 40}}},
    ],
)  # fmt: skip
def test_numbers_beyond_all_reason_are_refused(fields: dict[str, Any]) -> None:
    """They would overflow in the middle of a run."""
    with pytest.raises(ValidationError):
        Mix(**fields)


def test_repeats_beyond_their_column_are_an_error() -> None:
    """They would wrap around to nothing."""
    many = {name: {0: 1000} for name in ("bytes", "a", "b", "c")}
    rows = corpus({"web": 1})
    for name in "abc":
        rows = rows.append_column(name, pa.array([1] * len(rows)))
    with pytest.raises(StageError, match="would be seen 1,000,000,000,000 times"):
        Mix(upsample=many).apply(rows, None)
