"""A folder that batches are added to: each taken once, in order, and only from there."""

import os
import sys
import types
from pathlib import Path

import pandas as pd
import pytest

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import Delivery, deliveries, read_source
from retrue.sources.detection import detect_source

SOURCE = Source(folder="in")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def put(inbox: Path, name: str, content: str) -> None:
    (inbox / name).write_text(content)


def taken(inbox: Path, known: frozenset[str] = frozenset()) -> list[Delivery]:
    return list(deliveries("t", SOURCE, inbox.parent, {"a": "number"}, known))


def test_batches_come_in_order_of_their_names_and_each_content_once(inbox: Path) -> None:
    put(inbox, "2024-02.csv", "a\n2\n")
    put(inbox, "2024-01.csv", "a\n1\n")
    put(inbox, "2024-03.jsonl", '{"a": 3}\n')
    put(inbox, "2024-02-again.csv", "a\n1\n")

    found = taken(inbox)

    assert [d.frame["a"].tolist() for d in found] == [[1], [2], [3]]
    assert [d.path.name for d in found if d.path] == ["2024-01.csv", "2024-02.csv", "2024-03.jsonl"]
    assert found[0].where == str(inbox / "2024-01.csv")
    assert {d.table for d in found} == {"t"}


def test_known_content_is_not_parsed_again(inbox: Path) -> None:
    put(inbox, "1.csv", "a\n1\n")
    known = frozenset(d.sha256 for d in taken(inbox))
    put(inbox, "0.csv", "a\n1\n")
    put(inbox, "2.csv", "a\n2\n")

    assert [d.frame["a"].tolist() for d in taken(inbox, known)] == [[2]]


def test_hidden_and_partial_files_and_folders_are_left_out(inbox: Path) -> None:
    put(inbox, "1.csv", "a\n1\n")
    for name in (".1.csv.swp", "2.csv.tmp", "2.csv.part", "3.CSV.TMP"):
        put(inbox, name, "cut of")
    (inbox / "archive").mkdir()

    assert len(taken(inbox)) == 1


def test_one_batch_is_in_memory_at_a_time(inbox: Path) -> None:
    put(inbox, "1.csv", "a\n1\n")
    put(inbox, "2.csv", "a\noops\n")

    found = deliveries("t", SOURCE, inbox.parent, {"a": "number"})

    assert next(found).frame["a"].tolist() == [1]
    with pytest.raises(DataError, match=r"2\.csv row 2 column a: expected a number"):
        next(found)


def test_a_folder_read_whole_is_typed_as_if_it_were_one_file(inbox: Path) -> None:
    put(inbox, "1.csv", "id,n,s,late,none,mixed\n1,1,x,,,1\n")
    put(inbox, "2.csv", "id,n,s,late,none,mixed\n2,2.5,y,z,,x\n")
    put(inbox, "3.csv", "id,n,s\n3,3,x\n")

    frame, file = read_source("t", SOURCE, inbox.parent, {"s": "text"})

    kinds = [str(kind) for kind in frame.dtypes]
    assert kinds == ["int64", "float64", "category", "category", "float64", "category"]
    assert frame["n"].tolist() == [1.0, 2.5, 3.0]
    assert frame["s"].tolist() == ["x", "y", "x"]
    assert frame["mixed"].tolist()[:2] == ["1", "x"]
    assert file.path == inbox
    before = file.sha256
    put(inbox, "4.csv", "id,n,s\n4,4,y\n")
    assert read_source("t", SOURCE, inbox.parent, {})[1].sha256 != before


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(inbox: Path, kind: str) -> None:
    outside = inbox.parent / "secret"
    if kind == "folder":
        outside.mkdir()
    else:
        outside.write_text("a\n1\n")
    (inbox / "1.csv").symlink_to(outside)

    with pytest.raises(DataError, match=r"in/1\.csv: .* a link that leads out of it"):
        taken(inbox)


def test_a_link_within_the_folder_is_its_content(inbox: Path) -> None:
    put(inbox, "1.csv", "a\n1\n")
    (inbox / "2.csv").symlink_to("1.csv")

    assert len(taken(inbox)) == 1


def test_an_empty_and_a_missing_folder_are_named(inbox: Path) -> None:
    assert taken(inbox) == []
    with pytest.raises(DataError, match="files in the folder"):
        read_source("t", SOURCE, inbox.parent, {})
    inbox.rmdir()
    with pytest.raises(DataError, match="a folder of files"):
        taken(inbox)


@pytest.mark.parametrize("change", ["append", "replace", "overwrite"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    put(inbox, "1.csv", "a\n1\n")
    path = inbox / "1.csv"
    os.utime(path, ns=(1, 1))
    real = os.fstat
    calls: list[int] = []

    def stat_then_change(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if not calls:
            if change == "append":
                with path.open("a") as file:
                    file.write("2\n")
            elif change == "overwrite":
                path.write_text("a\n9\n")
            else:
                path.unlink()
                path.write_text("a\n2\n")
                os.utime(path, ns=(1, 1))
        calls.append(descriptor)
        return found

    monkeypatch.setattr(os, "fstat", stat_then_change)

    with pytest.raises(DataError, match=r"1\.csv: expected a file at rest, found one that changed"):
        taken(inbox)


def test_a_folder_is_detected_by_its_first_file(inbox: Path) -> None:
    put(inbox, ".hidden", "no")
    put(inbox, "1.csv", "a;b\n1;x\n")

    source, why = detect_source(str(inbox), inbox.parent)

    assert (source.folder, source.delimiter) == ("in", ";")
    assert "1.csv" in why["folder"]


def test_a_single_file_is_one_delivery(inbox: Path) -> None:
    put(inbox, "1.csv", "a\n1\n")
    source = Source(path="in/1.csv")

    (delivery,) = deliveries("t", source, inbox.parent, {})

    assert delivery.sha256 == read_source("t", source, inbox.parent, {})[1].sha256
    assert list(deliveries("t", source, inbox.parent, {}, {delivery.sha256}))


def test_served_rows_are_a_source_by_the_name_of_the_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("retrue.labelling.served_rows")
    asked: list[str] = []

    def served_rows(problem: str) -> pd.DataFrame:
        asked.append(problem)
        return pd.DataFrame(
            {"n": [1, 2], "s": ["x", None], "at": pd.to_datetime(["2024-01-01", "2024-01-02"])}
        )

    module.served_rows = served_rows  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "retrue.labelling.served_rows", module)

    (delivery,) = deliveries(
        "t", Source(served=True), Path(), {"at": "time", "s": "text"}, problem="visits"
    )

    assert asked == ["visits"]
    assert [str(k) for k in delivery.frame.dtypes] == ["int64", "category", "datetime64[us, UTC]"]
    assert delivery.path is None
