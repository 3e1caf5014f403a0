"""Pages: what could not be measured is a dash, and what was is there."""

from typing import TYPE_CHECKING

from retrue import gate, pages
from retrue.config import Gate
from retrue.drift import DriftReport, FeatureDrift
from retrue.story import outline

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


def test_an_outline_has_one_fact_a_line_and_dashes_for_nothing() -> None:
    lines = outline({"stack": {"prefect": None, "port": 4200}, "problems": {}})
    assert [line.split() for line in lines] == [
        ["stack"],
        ["prefect", "-"],
        ["port", "4200"],
        ["problems", "-"],
    ]
