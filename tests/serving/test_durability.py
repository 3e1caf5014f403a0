"""The benchmark's proof in small: what is acknowledged is in the table once, whoever is killed."""

from pathlib import Path

import pytest

from bench.durability import run


def test_every_answer_and_label_is_collected_once_over_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    found = run(n_rows=20_000, n_kills=3, seed=11, n_connections=16, max_rows=20)
    assert set(found["ratios"].values()) == {0}, found
    conditions = found["conditions"]
    assert conditions["acknowledged_rows"] >= 20_000
    assert conditions["acknowledged_labels"] > 0
    assert conditions["requests_cut_off"] > 0
    assert conditions["server_kills"] == 5  # and the two that served at the end
    assert conditions["collector_kills"] >= 3
