"""Any version can be listed, shown and taken out exactly, and never half."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrue import data_versions, lake, quarantine
from retrue.errors import DataError
from retrue.refs import DataRef

FRAME = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "x": [0.1 + 0.2, np.nan, -1e-300],
        "s": pd.Categorical(["a,b", "", None]),
        "t": pd.to_datetime(["2024-01-01T00:00:00.000001", "NaT", "2024-01-02"], format="ISO8601")
        .tz_localize("UTC")
        .astype("datetime64[us, UTC]"),
        "b": [True, False, True],
    }
)
PIN = {"version": 4, "sha256": "0f", "n_rows": 9}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def write(frame: pd.DataFrame = FRAME, until: str = "2024-02-01") -> DataRef:
    meta = {
        "problem_sha256": "cafe",
        "n_set_aside": 2,
        "match_rates": {"shops": 0.5},
        "tables": {"shops": PIN},
    }
    return lake.write_version("p", frame, ["id"], until, meta)


def test_versions_are_listed_with_what_made_them() -> None:
    assert data_versions.entries("p") == []
    first, second = write(), write(FRAME[:2], "2024-03-01")

    found = data_versions.entries("p")

    assert [(one.version, one.until, one.n_rows) for one in found] == [
        (0, "2024-02-01", 3),
        (1, "2024-03-01", 2),
    ]
    assert [one.sha256 for one in found] == [first.sha256, second.sha256]
    assert (found[0].made_by, found[0].n_set_aside) == ("cafe", 2)
    assert pd.Timestamp(found[0].made_at) <= pd.Timestamp(found[1].made_at)


def test_a_version_is_found_by_its_number_or_as_the_newest() -> None:
    with pytest.raises(DataError, match="expected a data version, found none; make one with"):
        data_versions.find("p")
    first, second = write(), write(FRAME[:2])

    assert data_versions.find("p") == second
    assert data_versions.find("p", 0) == first
    with pytest.raises(DataError, match="expected data version 5, found versions 0, 1"):
        data_versions.find("p", 5)


def test_a_version_shows_its_tables_columns_and_faults() -> None:
    ref = write()
    fault = dict.fromkeys(quarantine.QUARANTINE.names, "-") | {
        "source_row": 3,
        "data_sha256": ref.sha256,
        "until": ref.until,
    }
    faults = [fault | {"fault_id": i} for i in "ab"]
    faults.append(fault | {"fault_id": "c", "data_sha256": "another"})
    quarantine.append_quarantine("p", pd.DataFrame(faults))
    quarantine.release("p", ["a"], "Ada", "why", pd.Timestamp("2024-03-01", tz="UTC"))

    shown = data_versions.show(ref, verify=True)

    assert shown.entry == data_versions.entries("p")[0]
    assert shown.tables["shops"].model_dump() == PIN
    assert shown.columns == {
        "id": "whole number",
        "x": "number",
        "s": "text",
        "t": "time",
        "b": "yes or no",
    }
    assert (shown.key, shown.match_rates, shown.verified) == (("id",), {"shops": 0.5}, True)
    assert (shown.n_faults, shown.n_released) == (2, 1)


def test_a_damaged_version_is_shown_but_not_verified_or_exported(tmp_path: Path) -> None:
    ref, other = write(), write(FRAME.assign(id=[4, 5, 6]))
    files = [next(ref.path.glob(f"{v:08d}-*.parquet")) for v in (ref.version, other.version)]
    files[0].write_bytes(files[1].read_bytes())

    assert not data_versions.show(ref).verified
    with pytest.raises(DataError, match=f"expected content {ref.sha256}"):
        data_versions.show(ref, verify=True)
    with pytest.raises(DataError, match=f"expected content {ref.sha256}"):
        data_versions.export(ref, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_csv_keeps_digits_and_tells_empty_from_missing(tmp_path: Path) -> None:
    ref, out = write(), tmp_path / "out.csv"
    write(FRAME.assign(x=1.0))  # an old version is as good as the newest

    assert data_versions.export(ref, out) == out.stat().st_size

    assert out.read_text().splitlines() == [
        '"id","x","s","t","b"',
        '1,0.30000000000000004,"a,b",2024-01-01 00:00:00.000001Z,true',
        '2,,"",,false',
        "3,-1e-300,,2024-01-02 00:00:00.000000Z,true",
    ]


def test_parquet_and_json_lines_hold_the_very_same_values(tmp_path: Path) -> None:
    ref = write()
    data_versions.export(ref, tmp_path / "out.parquet")
    data_versions.export(ref, tmp_path / "out.JSONL")

    back = pd.read_parquet(tmp_path / "out.parquet")
    assert lake.write_version("q", back, ["id"], "2024-02-01").sha256 == ref.sha256
    rows = [json.loads(line) for line in (tmp_path / "out.JSONL").read_text().splitlines()]
    assert rows[0] == {
        "id": 1,
        "x": 0.1 + 0.2,
        "s": "a,b",
        "t": "2024-01-01T00:00:00.000001+00:00",
        "b": True,
    }
    assert (rows[1]["x"], rows[1]["s"], rows[2]["s"]) == (None, "", None)


def test_an_export_replaces_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    ref, out = write(), tmp_path / "out.csv"
    out.write_text("mine")

    with pytest.raises(DataError, match=r"out.csv: expected a new file, .* use --force"):
        data_versions.export(ref, out)
    assert out.read_text() == "mine"
    data_versions.export(ref, out, force=True)
    assert out.read_text().startswith('"id"')
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]


def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, out = write(), tmp_path / "out.csv"

    def slow(*args: object, **kwargs: object) -> pd.DataFrame:
        out.write_text("theirs")
        return lake.read_version(ref)

    monkeypatch.setattr(data_versions, "read_version", slow)
    with pytest.raises(DataError, match="expected a new file"):
        data_versions.export(ref, out)

    assert out.read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]


def test_a_name_without_a_known_ending_or_folder_is_refused(tmp_path: Path) -> None:
    ref = write()

    with pytest.raises(DataError, match=r"ends in .csv, .parquet, .jsonl, found out.xls"):
        data_versions.export(ref, tmp_path / "out.xls")
    with pytest.raises(DataError, match="expected a folder, found none"):
        data_versions.export(ref, tmp_path / "nowhere" / "out.csv")
