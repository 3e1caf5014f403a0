"""Performance checks in the ledger: one row a window, and more labels replace fewer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Literal

import pytest

from retrue import ledger
from retrue.errors import LedgerError
from retrue.ledger import Ledger, PerformanceCheck

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def book(either_ledger_url: str) -> Ledger:
    return ledger.connect(either_ledger_url, lambda: NOW)


def record(
    book: Ledger,
    n_labelled: int = 0,
    verdict: Literal["ok", "worse", "cannot tell"] = "ok",
    is_right: bool | None = None,
    version: int = 1,
    start: date | str = date(2024, 2, 1),
) -> PerformanceCheck:
    return ledger.record_performance(
        book,
        "visits",
        version,
        start,
        date(2024, 3, 1),
        verdict=verdict,
        n_rows=900,
        n_labelled=n_labelled,
        is_right=is_right,
        report_json="{}",
    )


def test_a_window_has_one_row_and_more_labels_replace_fewer(book: Ledger) -> None:
    first = record(book)
    assert (first.is_right, first.n_labelled, first.checked_at) == (
        None,
        0,
        NOW.isoformat(timespec="microseconds"),
    )
    assert record(book, 0, "worse") == first
    labelled = record(book, 600, "worse", is_right=False)
    assert (labelled.id, labelled.verdict, labelled.is_right) == (first.id, "worse", False)
    assert record(book, 500, "ok", is_right=True) == labelled, "fewer labels came later"
    assert ledger.performance_checks(book, "visits") == [labelled]
    assert ledger.performance_checks(book, "taxis") == []


def test_what_could_not_tell_is_replaced_by_what_can(book: Ledger) -> None:
    record(book, 0, "cannot tell")
    assert record(book, 0, "ok").verdict == "ok"
    assert record(book, 0, "cannot tell").verdict == "ok"


def test_versions_and_windows_have_rows_of_their_own_in_order(book: Ledger) -> None:
    late, early = record(book), record(book, version=2, start="2024-01-01")
    assert ledger.performance_checks(book, "visits") == [early, late]
    assert ledger.performance_checks(book, "visits", 2) == [early]
    assert record(book, start="2024-02-01T01:00:00+01:00") == late
    with pytest.raises(LedgerError, match="ISO"):
        record(book, start="February")


def test_of_many_threads_one_writes_the_row_and_the_most_labels_stand(book: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: record(book, n), range(8)))
    (only,) = ledger.performance_checks(book, "visits")
    assert only.n_labelled == 7
