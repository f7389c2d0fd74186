"""The keys of `train:`: defaults that are complete, faults that are told all at once."""

from __future__ import annotations

import pytest

from trainer.config import Config, ConfigError, parse


def errors(mapping: dict[str, object]) -> dict[str, str]:
    """Key -> message of a mapping that must be refused."""
    with pytest.raises(ConfigError) as fault:
        parse(mapping)
    return {error["key"]: error["message"] for error in fault.value.errors}


def test_an_empty_mapping_and_a_bare_key_are_all_defaults() -> None:
    """`{}` and null give the same complete configuration."""
    assert parse({}) == parse(None)
    assert parse({}).kv_heads == parse({}).heads


def test_what_others_imply_is_filled_in_and_stays_when_read_again() -> None:
    """A run's record holds no "auto" where a number decides the result, and reads back as itself."""
    config = parse({"width": 128, "heads": 4, "steps": 50})
    assert (config.kv_heads, config.hidden, config.warmup) == (4, 320, 5)
    assert config.lr == pytest.approx(0.5 / 128)
    assert parse(config.model_dump(mode="json")) == config


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    """A typo is answered with what was meant."""
    assert errors({"widht": 64}) == {"widht": "unknown key; did you mean 'width'?"}


def test_all_faults_are_told_at_once() -> None:
    """Three faults, three messages, each under its key."""
    found = errors({"layers": 0, "heads": 4, "width": 30, "objective": "casual"})
    assert set(found) == {"layers", "width", "objective"}
    assert "32" in found["width"]


@pytest.mark.parametrize(
    ("mapping", "key"),
    [
        ({"heads": 6, "kv_heads": 4}, "kv_heads"),
        ({"lr": float("nan")}, "lr"),
        ({"dropout": 1.0}, "dropout"),
        ({"device": "gpu"}, "device"),
        ({"offload": True}, "offload"),
        ({"steps": "many"}, "steps"),
        ({"compile": "yes please"}, "compile"),
    ],
)
def test_a_bad_value_is_refused_under_its_key(mapping: dict[str, object], key: str) -> None:
    """The message stands under the key to change and says what was given."""
    found = errors(mapping)
    assert list(dict.fromkeys(found)) == [key]


def test_every_key_is_documented() -> None:
    """The JSON schema, which editors show, has a sentence for every key."""
    properties = Config.model_json_schema()["properties"]
    assert set(properties) == set(Config.model_fields)
    assert all(entry.get("description") for entry in properties.values())


def test_the_keys_that_may_change_exist() -> None:
    """The lists that resumption goes by name real keys."""
    assert set(Config.model_fields) >= Config.free >= Config.machine
