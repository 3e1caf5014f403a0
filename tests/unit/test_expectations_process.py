"""A large table is judged a few columns at a time, and nothing of it stays behind."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue import expectations_process
from retrue.expectations_process import evaluate
from retrue.handover import handed_over

N_ROWS = 2_000
FRAME = pd.DataFrame(
    {
        "id": np.arange(N_ROWS),
        "x": np.where(np.arange(N_ROWS) % 7, 0.5, np.nan),
        "y": np.arange(N_ROWS) / 10,
        "s": pd.Categorical(np.where(np.arange(N_ROWS) % 2, "a", "b")),
    },
    # Labels are rows of a file: some were cut before.
    index=pd.Index(np.arange(N_ROWS) * 2),
)


def rule(kind: str, severity: str = "critical", **kwargs: object) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity}


RULES = [
    rule("table_row_count_to_be_between", min_value=1, max_value=10),
    rule("table_columns_to_match_set", column_set=["id", "x", "y", "s"], exact_match=True),
    rule("column_values_to_not_be_null", "warning", column="x", mostly=0.9),
    rule("column_values_to_be_between", "warning", column="y", min_value=0, max_value=199),
    rule("compound_columns_to_be_unique", column_list=["s", "id"]),
    rule("column_pair_values_a_to_be_greater_than_b", column_A="id", column_B="y", or_equal=True),
    rule("column_values_to_be_in_type_list", column="id", type_list=["int64"]),
    rule("column_values_to_be_in_set", "info", column="s", value_set=["a"]),
    rule("column_values_to_not_be_null", column="gone"),
    rule(
        "column_values_to_be_between",
        column="y",
        max_value=9,
        row_condition="id < 90",
        condition_parser="pandas",
    ),
]


def test_a_table_in_parts_is_judged_as_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(RULES, FRAME, {})
    handed: list[list[str]] = []

    def noted(pipe: Any, value: Any) -> Any:
        handed.append(list(value[1]))
        return handed_over(pipe, value)

    monkeypatch.setattr(expectations_process, "handed_over", noted)
    monkeypatch.setattr(expectations_process, "_PART_BYTES", 2 * 8 * N_ROWS)
    parts = evaluate(RULES, FRAME, {})

    assert str(parts) == str(whole)  # as text, in which NaN is NaN
    assert [one["success"] for one in whole] == [i in (1, 4, 5, 6, 9) for i in range(10)]
    shape, *some, whole_table = handed
    assert shape == whole_table == list(FRAME)
    assert max(len(names) for names in some) <= 3


def test_the_process_lets_go_of_a_table_when_it_has_answered() -> None:
    n_rows = 1_000_000
    frame = pd.DataFrame({"x": np.arange(n_rows) / 2}, index=pd.Index(np.arange(n_rows) * 2))
    rules = [rule("column_values_to_be_between", "info", column="x", min_value=0, max_value=9)]
    evaluate(rules, frame, {})

    status = Path(f"/proc/{expectations_process._children[0].pid}/status")
    deadline = time.monotonic() + 10
    while (shared := _kb(status, "RssShmem")) > 1024 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shared <= 1024


def _kb(status: Path, name: str) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])
