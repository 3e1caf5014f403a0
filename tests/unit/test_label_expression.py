"""Label expressions: columns compared and combined, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import ConfigError
from retrue.labelling import label_expression

FRAME = pd.DataFrame(
    {
        "delay": [20.0, 3.0, np.nan, 16.0],
        "cancelled": [0, 0, 1, 1],
        "kind": pd.Categorical(["a", "b", None, "c"]),
        "배송 지연": [1.0, 2.0, 3.0, 4.0],
    }
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("delay > 15", [1, 0, np.nan, 1]),
        ("delay > 15 and cancelled == 0", [1, 0, np.nan, 0]),
        ("delay > 15 or not kind == 'b'", [1, 0, np.nan, 1]),
        ("10 < delay <= 16", [0, 0, np.nan, 1]),
        ("kind in ['a', 'b']", [1, 1, np.nan, 0]),
        ("kind not in ('a', 'b')", [0, 0, np.nan, 1]),
        ("delay / 2 - cancelled", [10, 1.5, np.nan, 7]),
        ("`배송 지연` >= 2", [0, 1, 1, 1]),
        ("-cancelled", [0, 0, -1, -1]),
    ],
)
def test_an_expression_has_a_value_where_all_its_columns_have_one(
    expression: str, expected: list[float]
) -> None:
    found = label_expression.evaluate(expression, FRAME)
    np.testing.assert_array_equal(found.to_numpy(), np.array(expected))


def test_a_plain_column_of_text_stays_text() -> None:
    found = label_expression.evaluate("kind", FRAME)
    assert found[[0, 1, 3]].tolist() == ["a", "b", "c"]
    assert found.isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("__import__('os').system('true')", "call"),
        ("delay.real > 1", "attribute"),
        ("delay[0] > 1", "subscript"),
        ("[x for x in delay]", "listcomp"),
        ("delay >", "invalid syntax"),
        ("`delay > 1", "backtick"),
        ("1 > 0", "no column"),
        ("(" * 400, "too many"),
    ],
)
def test_what_is_no_label_expression_is_refused_in_one_line(expression: str, word: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        label_expression.columns(expression)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("expression", ["speed > 1", "kind > 3", "kind + 1 > 2"])
def test_what_does_not_fit_the_frame_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match="label.expression"):
        label_expression.evaluate(expression, FRAME)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        names = label_expression.columns(text)
    except ConfigError:
        return
    assert names
