"""Rows of a query: the types of a CSV, and never a word of the credentials."""

import sqlite3
import traceback
from pathlib import Path

import pandas as pd
import pytest

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import deliveries, read_source
from tests.unit.postgres import PASSWORD, Postgres


def rows(url: str, query: str, root: Path, **keys: object) -> pd.DataFrame:
    return read_source("t", Source.model_validate({"url": url, "query": query} | keys), root, {})[0]


def refusal(url: str, query: str, root: Path, **kinds: str) -> str:
    with pytest.raises(DataError) as error:
        read_source("t", Source(url=url, query=query), root, kinds)  # type: ignore[arg-type]
    assert PASSWORD not in "".join(traceback.format_exception(error.value))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.executescript(
            "CREATE TABLE sales (id INTEGER, price REAL, shop TEXT, at TEXT, mixed);"
            "INSERT INTO sales VALUES (1, 1.5, 'Köln', '2024-01-01T05:00:00Z', 1);"
            "INSERT INTO sales VALUES (2, NULL, '서울', '2024-01-02 05:00:00Z', 'two');"
            "INSERT INTO sales VALUES (3, 3.0, NULL, NULL, x'00');"
        )
    connection.close()
    return tmp_path


def test_a_query_of_sqlite_gives_the_types_of_a_csv(sqlite: Path) -> None:
    query = "SELECT id, price, shop, at, id > 1 AS late FROM sales ORDER BY id"

    frame = rows("sqlite:///shop.db", query, sqlite)

    assert [str(kind) for kind in frame.dtypes] == [
        "int64",
        "float64",
        "category",
        "datetime64[us, UTC]",
        "int64",
    ]
    assert frame["shop"].tolist()[:2] == ["Köln", "서울"]
    assert frame["at"][1] == pd.Timestamp("2024-01-02T05:00:00Z")


def test_the_hash_is_that_of_the_content_in_any_order(sqlite: Path) -> None:
    def digest(query: str) -> str:
        source = Source(url="sqlite:///shop.db", query=query)
        (delivery,) = deliveries("t", source, sqlite, {})
        assert delivery.path is None
        assert delivery.table == "t"
        return delivery.sha256

    up = digest("SELECT id, price FROM sales ORDER BY id")
    assert up == digest("SELECT id, price FROM sales ORDER BY id DESC")
    assert up != digest("SELECT id, price + 1 AS price FROM sales")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT mixed FROM sales WHERE id < 3", ["row 2 column mixed", "'two'", "kind number"]),
        ("SELECT mixed FROM sales WHERE id = 3", ["row 1 column mixed", "bytes"]),
        ("SELECT id, id FROM sales", ["id twice"]),
        ("SELECT * FROM gone", ["no such table: gone"]),
        ("SELECT id FROM sales WHERE id > 9", ["rows"]),
        ("DELETE FROM sales", ["a statement without", "write a SELECT"]),
    ],
)
def test_what_is_no_table_of_plain_values_is_refused(
    sqlite: Path, query: str, words: list[str]
) -> None:
    message = refusal("sqlite:///shop.db", query, sqlite)

    assert all(word in message for word in words), message
    assert len(rows("sqlite:///shop.db", "SELECT id FROM sales", sqlite)) == 3


def test_a_value_of_another_kind_is_named_with_its_row(sqlite: Path) -> None:
    message = refusal("sqlite:///shop.db", "SELECT shop FROM sales", sqlite, shop="number")

    assert "row 1 column shop: expected a number, found 'Köln'" in message


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    assert "no such file" in refusal("sqlite:///gone.db", "SELECT 1", tmp_path)
    assert not list(tmp_path.iterdir())


def test_more_than_the_limit_is_refused(sqlite: Path) -> None:
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 200000)"

    with pytest.raises(DataError, match="at most 1 MB"):
        rows("sqlite:///shop.db", f"{numbers} SELECT x FROM n", sqlite, max_mb=1)


def test_a_query_of_postgresql_gives_the_types_of_a_csv(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    url = postgres.url.replace("+psycopg", "").replace(PASSWORD, "${DB_PASSWORD}")
    query = (
        "SELECT i AS id, i * 1.5::numeric AS amount, i % 2 = 0 AS even, 'shop ' || i AS shop,"
        " timestamptz '2024-01-01 00:00+02' + i * interval '1 hour' AS at, date '2024-01-01' AS d,"
        " CASE WHEN i > 1 THEN i END AS gap, interval '90 s' AS took,"
        " '6f2c1f0e-0000-4000-8000-000000000001'::uuid AS u"
        " FROM generate_series(1, 60000) AS i"
    )

    frame = rows(url, query, tmp_path)

    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds == {
        "id": "int64",
        "amount": "float64",
        "even": "int64",
        "shop": "category",
        "at": "datetime64[us, UTC]",
        "d": "datetime64[us]",
        "gap": "float64",
        "took": "float64",
        "u": "category",
    }
    assert len(frame) == 60_000
    assert frame["at"][0] == pd.Timestamp("2023-12-31T23:00:00Z")
    assert frame["took"][0] == 90.0


@pytest.mark.parametrize(
    "query",
    ["SELECT '[1]'::json AS v", "SELECT ARRAY[1] AS v", "SELECT '\\x00'::bytea AS v"],
)
def test_nested_and_binary_values_are_refused(
    postgres: Postgres, tmp_path: Path, query: str
) -> None:
    assert "row 1 column v" in refusal(postgres.url, query, tmp_path)


def test_nothing_is_written_to_the_database(postgres: Postgres, tmp_path: Path) -> None:
    query = "INSERT INTO pg_temp.t VALUES (1) RETURNING 1"
    refusal(postgres.url, query, tmp_path)
    rows(postgres.url, "SELECT lo_create(4711) AS made", tmp_path)

    made = rows(postgres.url, "SELECT count(*) AS n FROM pg_largeobject_metadata", tmp_path)

    assert made["n"].tolist() == [0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("retrue:", "stranger:"), "password authentication failed"),
        (("/postgres", "/gone"), "gone"),
        (("127.0.0.1:", "127.0.0.1:1"), "expected"),
        (("+psycopg", "+nodriver"), "driver"),
        (("postgresql+psycopg:", "nosuch:"), "driver"),
        (("/postgres", "/postgres?options=hush-4711"), "expected"),
        (("://", ":/"), "SQLAlchemy URL"),
    ],
)
def test_no_refusal_holds_user_or_password(
    postgres: Postgres, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    message = refusal(postgres.url.replace(*change), "SELECT 1 AS x", tmp_path)

    assert words in message
    assert "stranger" not in message


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    message = refusal("postgresql://me:${NOT_SET_HERE}@127.0.0.1/x", "SELECT 1", tmp_path)

    assert "environment variable NOT_SET_HERE" in message
