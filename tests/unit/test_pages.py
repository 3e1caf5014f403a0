"""Pages: what could not be measured is a dash, and what was is there."""

from pathlib import Path
from typing import TYPE_CHECKING

from retrue import gate, pages, validation_page
from retrue.config import Gate
from retrue.drift import DriftReport, FeatureDrift
from retrue.preparation import Prepared
from retrue.refs import DataRef
from retrue.story import outline
from retrue.validation import Failure, Rule, Validation

if TYPE_CHECKING:
    from tests.unit.conftest import Small


def test_a_check_that_cannot_tell_has_a_page(small: "Small") -> None:
    report = DriftReport(
        verdict="cannot tell",
        magnitude=None,
        threshold=60,
        p_value=None,
        top_feature=None,
        features=(
            FeatureDrift(
                name="wind",
                kind="numeric",
                statistic=None,
                p_value=1.0,
                significant=False,
                contribution=0,
                missing_reference=0,
                missing_current=1,
                collapsed="no values any more",
            ),
        ),
        n_reference=100,
        n_current=3,
        reason="3 rows, 500 wanted",
    )
    page = pages.drift(small.problem, report)
    assert page.startswith("# Cannot tell: magnitude - % (alarm above 60 %)")
    assert "| wind | 0.0 % | - | 1 | 0.0% | 100.0% |" in page


def test_a_verdict_without_figures_has_a_page(small: "Small") -> None:
    page = pages.verdict(small.problem, gate.refused(Gate(), 10, 2, "2 days, 5 wanted"))
    assert page.startswith("# Refused\n\nrefused: 2 days, 5 wanted")
    assert "| log_loss | - | - | - | [-, -] at 95% | 10 | 2 |" in page


def test_the_canvas_names_who_decides_and_both_costs(small: "Small") -> None:
    page = pages.canvas(small.problem)
    assert small.problem.canvas.decided_by in page
    assert f"{small.problem.canvas.cost_false_negative.amount:g}" in page


def prepared(*failed: Failure, n_set_aside: int = 0) -> Prepared:
    held = Rule("expect_column_values_to_not_be_null", "x", "critical", "", "3 values")
    ref = DataRef(
        problem="visits", path=Path(), version=3, sha256="0f", n_rows=40, until="2024-01-20"
    )
    validation = Validation("visits", 1 + len(failed), failed, (held,), 41, "visits.csv")
    return Prepared(ref, (validation,), {"shops": 0.5}, n_set_aside, {})


def test_a_validation_tells_the_three_outcomes_and_how_to_release_rows(small: "Small") -> None:
    page = pages.validation(
        prepared(
            Failure("expect_it", "x", "warning", "", "2 of 41: 5|6", (1, 2)),
            Failure("expect_more", None, "info", "", "few"),
            n_set_aside=2,
        )
    )

    assert page.startswith("# Data version 3: 40 rows until 2024-01-20")
    assert "| table | rows | held | stopped | set aside | warned |" in page
    assert "| visits | 41 | 1 | 0 | 1 | 1 |" in page
    assert "| visits | set aside | expect_it | x | 2 of 41: 5\\|6 | 2 |" in page
    assert "| visits | warned | expect_more |  | few |  |" in page
    assert "retrue data faults visits" in page
    assert "retrue data release visits FAULT_ID --by NAME --reason WHY" in page
    assert str(validation_page.page_path("visits", "v3")) in page
    assert "| shops | 50.00% |" in page


def test_a_validation_without_failures_says_so_and_asks_for_nothing(small: "Small") -> None:
    page = pages.validation(prepared())

    assert "Every expectation was met." in page
    assert "release" not in page


def test_an_outline_has_one_fact_a_line_and_dashes_for_nothing() -> None:
    lines = outline({"stack": {"prefect": None, "port": 4200}, "problems": {}})
    assert [line.split() for line in lines] == [
        ["stack"],
        ["prefect", "-"],
        ["port", "4200"],
        ["problems", "-"],
    ]
