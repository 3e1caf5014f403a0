"""Why a served prediction was what it was: on a page, in the run and in the registry."""

import json
from pathlib import Path

import httpx

from retrue import ledger
from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Stack

pytestmark = STACK


def test_a_model_and_a_prediction_are_explained_and_the_registry_says_where(loop: Stack) -> None:
    loop.serve("explained")
    assert ledger.should_serve(ledger.connect(), "explained") is not None
    row = loop.rows().head(1).drop(columns=["time_hour"]).to_json(orient="records")
    sent = {"dataframe_records": json.loads(row)}
    answer = httpx.post(f"{loop.url('explained')}/invocations", json=sent, trust_env=False).json()

    found = loop.run("explain", problem="explained", version=1)
    assert found["shap_sum_error"] < 1e-6
    assert Path(found["page"]).name == "explanation-model-v1.html"
    assert "</html>" in Path(found["page"]).read_text()
    (version,) = loop.versions("explained")
    tags = {one["key"]: one["value"] for one in version["tags"]}
    assert tags["retrue.explanation_page"] == found["artifact"]
    assert tags["retrue.explanation"].startswith("led by ")
    files = loop.artifacts(version["run_id"], "explanations")
    assert files == [found["artifact"]]
    assert "explanation.json" in loop.artifacts(version["run_id"])

    (prediction_id,) = answer["prediction_ids"]
    # Not collected yet: it is found in the server's own log.
    about = loop.run("explain", problem="explained", prediction_id=prediction_id)
    assert about["row"]["score"] == answer["predictions"][0]
    assert about["row"]["decision"] == answer["decisions"][0]
    assert prediction_id in Path(about["page"]).name
    assert loop.artifacts(version["run_id"], "explanations") == files

    refused = loop.start("explain", problem="explained", prediction_id="nobody").wait()
    assert refused.error == "DataError"
    assert "copy it from the answer's prediction_ids" in refused.message

    given = json.dumps(sent["dataframe_records"][0])
    told = retrue("explain", "explained", "--version", "1", "--row", given, folder=loop.root)
    assert told.returncode == 0, told.stderr
    assert "What version 1 leans on" in told.stdout
    assert "The row that was given: score" in told.stdout
