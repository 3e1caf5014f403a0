"""For all tests: where nothing may be missing, nothing may be skipped."""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

# A busy machine is no fault of the code; `timeout` of pytest ends what hangs.
settings.register_profile("retrue", deadline=None)
settings.load_profile("retrue")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get("RETRUE_SKIPS_FAIL") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although RETRUE_SKIPS_FAIL is set: {report.longrepr}"
    return report
