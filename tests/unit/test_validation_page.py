"""The page of a preparation tells every rule and row, loads nothing, and trusts no value."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from retrue import quarantine, validation_page
from retrue.preparation import Prepared, prepare
from retrue.validation import Failure, Rule, Validation, ValidationError
from retrue.validation_summary import outcomes
from tests.unit.html_outline import Outline

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.conftest import Small

HELD = Rule("expect_column_values_to_not_be_null", "x", "critical", "", "3 different values")
ASIDE = Failure("expect_it", "x", "warning", "min_value 1", "1 of 3: 0", (4,))
WARNED = Failure("expect_more", None, "info", "", "few")
STOPPED = Failure("expect_less", "x", "critical", "max_value 2", "1 of 3: <b>9</b>", (1,))


def tags(path: "Path") -> list[tuple[str, dict[str, str | None]]]:
    return Outline(path.read_text()).tags


def text(path: "Path") -> str:
    page = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def prepared(small: "Small") -> Prepared:
    small.replace("weather.csv", "2024-01-02T02:00:00Z,7.5", "2024-01-02T02:00:00Z,1048.36")
    return prepare(small.problem, date(2024, 1, 20), small.root)


def test_a_page_tells_rules_joins_and_the_rows_set_aside(prepared: Prepared) -> None:
    path = validation_page.write_page("visits", prepared)

    assert path == validation_page.page_path("visits", "v0")
    said = text(path)
    n_rules = sum(one.evaluated for one in prepared.validations)
    assert f"{n_rules - 1} of {n_rules} rules held" in said
    assert "1 set rows aside 1 row" in said
    assert "Data version 0 of visits 38 rows until 2024-01-20" in said
    assert f"shops {prepared.match_rates['shops']:.2%}" in said
    (fault_id,) = quarantine.read_quarantine("visits")["fault_id"]
    assert f"{fault_id[:12]} 4 hour 2024-01-02T02:00:00+00:00 1048.36 set aside" in said
    assert f"retrue data release visits {fault_id[:12]} --by" in said
    assert "row count to be between max_value 2 * days" in said


def test_each_number_of_rows_leads_to_them_and_nothing_is_loaded(prepared: Prepared) -> None:
    found = tags(validation_page.write_page("visits", prepared))

    links = [attrs["href"] for tag, attrs in found if tag == "a"]
    assert links == [f"#{attrs['id']}" for tag, attrs in found if attrs.get("id")]
    assert len(links) == 1
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in found}
    assert not [attrs for _, attrs in found if "src" in attrs]
    policies = [attrs["content"] for tag, attrs in found if tag == "meta" and "content" in attrs]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policies


def test_a_released_fault_says_who_let_it_pass(prepared: Prepared) -> None:
    ids = quarantine.read_quarantine("visits")["fault_id"]
    now = datetime(2024, 3, 1, tzinfo=UTC)
    quarantine.release("visits", ids, "Ada <a@b>", "a storm", now)

    said = text(validation_page.write_page("visits", prepared))

    assert "released by Ada &lt;a@b&gt; on 2024-03-01: a storm" in said


def test_values_of_the_data_are_text_and_never_markup(small: "Small") -> None:
    evil = "<script>alert(1)</script>"
    small.replace("shops.csv", '"small, old"', evil)
    small.replace("weather.csv", "2024-01-02T02:00:00Z,7.5", "2024-01-02T02:00:00Z,1048.36")
    rule = '{"type": "expect_column_values_to_be_in_set", "severity": "warning", '
    rule += '"kwargs": {"column": "kind", "value_set": ["large"]}}'
    small.write("expectations/visits/shops.json", f'{{"expectations": [{rule}]}}')

    path = validation_page.write_page(
        "visits", prepare(small.problem, date(2024, 1, 20), small.root)
    )

    assert "script" not in {tag for tag, _ in tags(path)}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text(path)


def test_many_faults_are_cut_and_counted(prepared: Prepared) -> None:
    faults = quarantine.read_quarantine("visits")
    many = faults.loc[[0] * 40].assign(
        fault_id=[f"{i:064d}" for i in range(40)], source_row=range(100, 140)
    )
    quarantine.append_quarantine("visits", many)
    weather = next(one for one in prepared.validations if one.table == "weather")
    wide = replace(weather.failed[0], rows=(*weather.failed[0].rows, *range(98, 138)))
    others = [one for one in prepared.validations if one.table != "weather"]
    more = replace(prepared, validations=(*others, replace(weather, failed=(wide,))))

    said = text(validation_page.write_page("visits", more))

    assert "And 16 more: retrue data faults visits" in said
    assert f"{115:064d}"[:12] in said


def test_a_stopped_run_has_a_page_that_its_error_names(small: "Small") -> None:
    validation = Validation("weather", 2, (STOPPED, WARNED), (HELD,), 3, "a/weather.csv")
    error = ValidationError("at most 2", "9", "a/weather.csv", "correct it", validation)
    before = Validation("shops", 1, (), (HELD,), 7)

    told = validation_page.stopped(small.problem.name, error, [before])

    path = validation_page.page_path("visits", "stopped")
    assert str(told) == (
        f"a/weather.csv: expected at most 2, found 9; correct it; every rule is told in {path}"
    )
    assert told.validation is validation
    said = text(path)
    assert "visits was stopped by validation a/weather.csv: expected at most 2" in said
    assert "2 of 4 rules held" in said
    assert said.index("weather 3 rows") < said.index("shops 7 rows")
    assert "stopped x less max_value 2 1 of 3: &lt;b&gt;9&lt;/b&gt; 1" in said
    assert "warned more few" in said


def test_a_table_in_parts_is_told_once_and_a_rule_held_if_it_held_in_all() -> None:
    first = Validation("t", 2, (ASIDE,), (HELD,), 3, "1.csv")
    second = Validation("t", 2, (replace(ASIDE, rows=(5, 6)),), (HELD,), 4, "2.csv")
    third = Validation(
        "t", 2, (), (HELD, Rule("expect_it", "x", "warning", "min_value 1", "ok")), 5
    )
    other = Validation("u", 1, (WARNED, STOPPED), (), 1)

    t, u = outcomes([first, second, other, third])

    assert (t.table, t.n_rows, t.n_parts) == ("t", 12, 3)
    assert [
        (one.rule.expectation, one.outcome, one.rows, one.n_parts_failed) for one in t.rules
    ] == [
        ("expect_it", "set aside", (4, 5, 6), 2),
        ("expect_column_values_to_not_be_null", "held", (), 0),
    ]
    assert [one.outcome for one in u.rules] == ["warned", "stopped"]
    assert (t.count("held"), u.count("stopped")) == (1, 1)
