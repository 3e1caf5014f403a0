"""A problem definition is loaded whole, or refused in one line that says where and why."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import ConfigError
from retrue.problems import load_problem, problem_sha256

if TYPE_CHECKING:
    from tests.unit.conftest import Small

ROOT = Path(__file__).parents[2]


def test_the_flights_definition_loads_by_name_and_by_path() -> None:
    by_name = load_problem("flights", ROOT)

    assert by_name == load_problem(ROOT / "configs" / "flights.yaml")
    assert by_name.data.links[0].on == {"origin": "origin", "time_hour": "time_hour"}
    assert by_name.training.until.isoformat() == "2013-04-01"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  seed: 7", "  sed: 7", ["yaml:", "training.sed", "unknown key sed", "mean seed?"]),
        ("label: {expr", "lable: {expr", ["lable", "did you mean label?"]),
        ("    - table: shops", "    - tabel: shops", ["data.links.0.tabel", "did you mean table?"]),
        ("  seed: 7", "  seed: '7'", ["training.seed", "a valid integer", "'7'"]),
        ("  seed: 7", "  seed: true", ["training.seed", "a valid integer", "True"]),
        ("holdout_days: 5", "holdout_days: 0", ["training.holdout_days", "greater than", "0"]),
        ("holdout_days: 5", "holdout_days: 19", ["holdout_days", "fewer days than the span of 19"]),
        ("until: 2024-01-20", "until: 2023-01-20", ["training.until", "start is 2024-01-01"]),
        ("until: 2024-01-20", "until: 2024-02-30", ["training.until", "2024-02-30"]),
        ("  main: visits", "  main: visit", ["data.main", "found visit;", "did you mean visits?"]),
        ("- table: shops", "- table: shop", ["data.links.0.table", "did you mean shops?"]),
        ("[amount, shop_size", "[amount, amount", ["features.numeric.1", "amount again"]),
        ("[shop, shop_kind]", "[shop, delay]", ["features.categorical.1", "no leak", "delay"]),
        ("[shop, shop_kind]", "[shop, at]", ["features.categorical.1", "time column at"]),
        ("size: shop_size", "size: visit", ["data.links.0.columns.size", "visit, already taken"]),
        ("  seed: 7", "  seed: 7\n  seed: 8", ["training.seed", "first on line 37", "remove one"]),
        ("  seed: 7", "  seed: [7", ["expected YAML", "yaml:"]),
        ("  seed: 7", "  seed: !!python/name:os.system", ["a plain value", "tag"]),
        ("  seed: 7", "  seed: &s 7\n  num_threads: *s", ["yaml:38", "an alias"]),
        ("  seed: 7", f"  seed: {'9' * 5000}", ["yaml:37", "a plain value"]),
        ("delay > 5", "delay >", ["label.expression", "invalid syntax", "use columns"]),
        ("delay > 5", "exec(delay)", ["label.expression", "call", "use columns"]),
        ("delay > 5", "late_label > 5", ["label.expression", "label.late: true"]),
        ("delay > 5, known", "delay, task: regression, known", ["gate.metric", "squared_error"]),
        ("{path: visits.csv}", "{path: v.csv, folder: in}", ["sources.visits", "path and folder"]),
        ("{path: visits.csv}", "{query: select 1}", ["sources.visits", "found none"]),
        ("on: {shop: code}", "within_hours: 3", ["links.0", "on, as_of or both"]),
        ("  until: 2024-01-20\n", "", ["training.until", "a date"]),
        ("training:", "processing: {clip: {wnd: [0, 1]}}\ntraining:", ["did you mean wind?"]),
        ("training:", "processing: {clip: {wind: [1, 0]}}\ntraining:", ["two quantiles"]),
        ("training:", "processing: {fill: {wind: low}}\ntraining:", ["median, mean or a num"]),
        ("training:", "processing: {fill: {shop: mean}}\ntraining:", ["most_frequent or"]),
        ("  num_boost_round: 10\n", "", ["training", "the key num_boost_round", "found nothing"]),
    ],
)
def test_a_wrong_definition_is_refused_in_one_line(
    small: "Small", old: str, new: str, words: list[str]
) -> None:
    path = small.replace("configs/visits.yaml", old, new)

    with pytest.raises(ConfigError) as refusal:
        load_problem("visits", small.root)

    message = str(refusal.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_the_line_named_is_the_line_of_the_fault(small: "Small") -> None:
    path = small.replace("configs/visits.yaml", "seed: 7", "seed: seven")
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "seven" in text)

    with pytest.raises(ConfigError, match=f"visits.yaml:{line} training.seed: expected a valid"):
        load_problem(path)


def test_an_unknown_name_lists_what_is_there(small: "Small") -> None:
    with pytest.raises(ConfigError, match=r"no such file; did you mean visits\?"):
        load_problem("visit", small.root)
    with pytest.raises(ConfigError, match="problems here: visits"):
        load_problem("zzz", small.root)


@pytest.mark.parametrize(
    "content", [b"", b"- 1\n", b"7\n", b"\xff\xfe", b"a: \x00\n", b"a: b: c\n", b"[" * 3000]
)
def test_a_file_that_is_no_mapping_is_refused(small: "Small", content: bytes) -> None:
    small.write("configs/visits.yaml", content)

    with pytest.raises(ConfigError) as refusal:
        load_problem("visits", small.root)
    assert "\n" not in str(refusal.value)


def test_yaml_words_and_numbers_mean_what_they_say(small: "Small") -> None:
    small.replace("configs/visits.yaml", "  seed: 7", "  seed: 007\n  params: {a: 1e-3, b: no}")

    training = small.problem.training

    assert training.seed == 7
    assert training.params == {"a": 0.001, "b": "no"}


def test_the_hash_ignores_layout_and_sees_meaning(small: "Small") -> None:
    before = problem_sha256(small.problem)

    small.replace("configs/visits.yaml", "  seed: 7", "  # chosen by lot\n  seed:   7")
    assert problem_sha256(small.problem) == before
    small.replace("configs/visits.yaml", "seed:   7", "seed: 8")
    assert problem_sha256(small.problem) != before


@given(st.binary(max_size=200))
def test_any_bytes_are_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        load_problem(path)
