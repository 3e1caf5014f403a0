"""A row in the log is the row that was scored: it gives the same bits again."""

import json
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.serving import packing
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.encoding import encode
from retrue.serving.features import Feature
from retrue.serving.parsing import parse_rows
from retrue.serving.scoring import Scored, Scorer
from tests.serving.tiny_model import Made, json_rows

FEATURES: list[Feature] = [
    {"name": "plain", "kind": "numeric"},
    {"name": "made", "kind": "numeric", "flag": True, "fill": 1.5, "low": -1e9, "high": 1e300},
    {"name": "kind", "kind": "categorical", "categories": ["", "5", "a", "true"], "other": True},
    {"name": "since", "kind": "date"},
    {"name": "note", "kind": "text", "buckets": 8},
]
NUMBERS = (
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**80), 2**80)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.fixed_dictionaries(
    {
        "plain": NUMBERS,
        "made": NUMBERS,
        "kind": NUMBERS | TEXTS | st.booleans() | st.sampled_from(["5", "a", 5, 5.0]),
        "since": st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
        "note": NUMBERS | TEXTS | st.booleans(),
    }
)


def bits(values: Any) -> bytes:
    """The float64 values as they lie in memory."""
    return struct.pack(f"<{len(values)}d", *values)


@given(rows=st.lists(ROWS, min_size=1, max_size=4), is_escaped=st.booleans())
def test_a_logged_row_is_encoded_to_the_same_bits(
    rows: list[dict[str, Any]], is_escaped: bool
) -> None:
    sent = json.dumps({"instances": rows}, ensure_ascii=is_escaped, allow_nan=False).encode()
    parsed = parse_rows(sent)
    logged = [log_of(row) for row in parsed]
    again = [json.loads(text) for text in logged]
    by_server = parse_rows(b'{"instances": [' + ",".join(logged).encode() + b"]}")
    wanted = bits(encode(parsed, FEATURES))
    assert bits(encode(by_server, FEATURES)) == wanted
    assert bits(encode(again, FEATURES)) == wanted
    assert [log_of(row) for row in by_server] == logged


def log_of(row: dict[str, Any]) -> str:
    """The text that the server logs for a row, through its own code."""
    names = [feature["name"] for feature in FEATURES]
    logged = packing.Logged(names, [[row[name] for name in names]], False, None, None)
    (one,) = packing.unpack(packing.make_entries(logged, [0.5], [1], 0, 1, ""))
    return one.row


def test_every_record_of_a_server_scores_again_to_the_same_bits(made: Made) -> None:
    bundle = read_bundle(made.path, made.sha256)
    scorer = Scorer(bundle, self_check(bundle), 1)
    chance = random.Random(7)
    values: list[Any] = [None, 0, -0.0, 5, 1e-300, 12345678901234567890, 0.1, 1e300]
    rows = [
        {
            "temp": chance.choice(values),
            "wind": chance.choice(values),
            "hour": chance.choice(values),
            "carrier": chance.choice(["UA", "ünseen", "", 5, True, None, "\x00\n"]),
            "origin": chance.choice(["EWR", "JFK", None]),
        }
        for _ in range(300)
    ]
    _, entries = scorer.score(json.dumps({"instances": rows}).encode(), True)
    logged = list(packing.unpack(entries))
    body = b'{"instances": [' + ",".join(one.row for one in logged).encode() + b"]}"
    again = list(packing.unpack(scorer.score(body, True)[1]))
    assert bits([one.score for one in again]) == bits([one.score for one in logged])
    assert [one.row for one in again] == [one.row for one in logged]
    assert len({one.score for one in logged}) > 20


@pytest.mark.parametrize("n_rows", [1, 15, 16, 40])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "plain"])
def test_columns_get_the_answers_and_records_of_their_rows(
    made: Made, rich: dict[str, Made], task: str, n_rows: int
) -> None:
    one = rich.get(task, made)
    bundle = read_bundle(one.path, one.sha256)
    scorer = Scorer(bundle, self_check(bundle), 1)
    rows = json_rows(one.frame.tail(n_rows))
    for absent in ("", "flight", "note", "carrier", "temp"):
        kept = [{name: row[name] for name in row if name != absent} for row in rows]
        columns = {name: [row[name] for row in kept] for name in kept[0]}
        for is_logged in (True, False):
            by_row = outcome(scorer.score_rows, kept, is_logged)
            by_column = outcome(scorer.score_columns, columns, is_logged)
            assert by_column == by_row
            is_feature = absent in {feature["name"] for feature in one.features}
            assert isinstance(by_row, str) == is_feature


def outcome(score: Callable[[Any, bool], Scored], given: Any, is_logged: bool) -> Any:
    """What was answered and logged but for ids and times of arrival, or the error."""
    try:
        answer, entries = score(given, is_logged)
    except DataError as error:
        return str(error)
    logged = list(packing.unpack(entries))
    assert [one.prediction_id for one in logged] in (answer.prediction_ids, [])
    said = (answer.predictions, answer.decisions, answer.model_version)
    return said, [one._replace(prediction_id="", received_at_us=0) for one in logged]
