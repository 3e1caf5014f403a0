"""What a server says of itself: counters, the OpenAPI document, the try-it page."""

import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from retrue.serving.bundle import read_bundle
from retrue.serving.metrics import Metrics
from retrue.serving.openapi import describe
from retrue.serving.try_page import try_page
from tests.serving.tiny_model import CLASSES, RICH, Made, Server, Start, json_rows, write_manifest

ROOT = Path(__file__).parents[2]
TASKS = ["binary", "multiclass", "regression"]


def samples(text: str) -> dict[tuple[str, str], float]:
    """Samples by name and the values of their labels, read by Prometheus' own parser."""
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def measured(server: Server) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return samples(answer.read().decode())


def test_metrics_count_what_was_asked_and_answered(start: Start, made: Made) -> None:
    server = start(version=4, nonce="abc")
    body = {"instances": json_rows(made.frame.head(3))}
    tensor = {"name": "temp", "shape": [1], "datatype": "FP64", "data": [1]}
    server.post(body)
    server.post(body, "/invocations?log=false")
    server.post(body, "/endpoints/tiny/invocations")
    server.post(body, "/explain")
    server.post({}, "/invocations")
    server.post({"inputs": [tensor]}, "/v2/models/tiny/infer")
    server.post({}, "/nowhere/1")
    server.post({}, "/nowhere/2")
    found = measured(server)
    assert found["retrue_requests_total", "/invocations 200"] == 3
    assert found["retrue_requests_total", "/invocations 400"] == 1
    assert found["retrue_requests_total", "/explain 200"] == 1
    assert found["retrue_requests_total", "/v2/infer 400"] == 1
    assert found["retrue_requests_total", "other 404"] == 2
    assert found["retrue_rows_total", "/invocations"] == 9
    assert found["retrue_rows_total", "/explain"] == 3
    assert found["retrue_request_duration_seconds_count", "/invocations"] == 3
    assert found["retrue_request_duration_seconds_bucket", "/invocations +Inf"] == 3
    assert 0 < found["retrue_request_duration_seconds_sum", "/invocations"] < 10
    assert found["retrue_log_pending_rows", ""] == 0
    assert found["retrue_log_failures_total", ""] == 0
    assert found["retrue_model_info", f"tiny 4 {made.sha256} abc"] == 1
    assert 10e6 < found["process_resident_memory_bytes", ""] < 200e6
    assert found["process_cpu_seconds_total", ""] > 0
    again = measured(server)
    assert again["retrue_requests_total", "/metrics 200"] == 1
    assert again["process_start_time_seconds", ""] == found["process_start_time_seconds", ""]


def test_a_log_that_takes_nothing_is_counted(start: Start, made: Made) -> None:
    server = start(limit_bytes=200 * 1024)
    body = {"instances": json_rows(made.frame.head(50))}
    statuses = [server.post(body)[0] for _ in range(60)]
    found = measured(server)
    failures = statuses.count(503)
    assert found["retrue_log_failures_total", ""] == failures > 0
    assert found["retrue_requests_total", "/invocations 503"] == failures


def test_times_fall_into_the_buckets_that_hold_them() -> None:
    metrics = Metrics()
    for duration_s in (0.0005, 0.003, 99.0):
        metrics.path("/x").observe(1, duration_s)
    found = samples(metrics.render({"name": 'a"b\\c\nd'}, 7).decode())
    counts = {
        labels.split()[1]: value
        for (name, labels), value in found.items()
        if name == "retrue_request_duration_seconds_bucket"
    }
    assert (counts["0.0005"], counts["0.0025"], counts["0.005"]) == (1, 1, 2)
    assert (counts["10.0"], counts["+Inf"]) == (2, 3)
    assert found["retrue_log_pending_rows", ""] == 7
    assert found["retrue_model_info", 'a"b\\c\nd'] == 1


def test_the_commands_of_the_handbook_work(start: Start, made: Made, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    server = start()
    text = (ROOT / "docs" / "operations.md").read_text().partition("## Ask the model")[2]
    script = text.partition("```sh\n")[2].partition("```")[0]
    environment = {**os.environ, "URL": server.url, "NAME": "tiny"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.count('"predictions"') == 5  # four answers, and the tensors' metadata
    assert "retrue_model_info" in said.stdout


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize("task", TASKS)
def test_the_document_is_valid_and_its_examples_are_answered_as_it_says(
    start: Start, rich: dict[str, Made], task: str
) -> None:
    server = start(version=4, bundle=rich[task])
    document = server.get("/openapi.json")
    validate(document)
    n_asked = 0
    for path, operations in document["paths"].items():
        if "get" in operations:
            with urllib.request.urlopen(server.url + path, timeout=10) as answer:
                assert answer.status == 200, path
            continue
        content = operations["post"]["requestBody"]["content"]["application/json"]
        told = operations["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        for example in content.get("examples", {}).values():
            jsonschema.validate(example["value"], resolved(document, content["schema"]))
            status, given = server.post(example["value"], f"{path}?log=false")
            assert status == 200, (path, given)
            jsonschema.validate(given, resolved(document, told))
            n_asked += 1
    assert n_asked == 9
    row = document["components"]["schemas"]["Row"]
    assert row["required"] == [feature["name"] for feature in rich[task].features]
    assert row["properties"]["origin"]["anyOf"][0]["enum"] == ["EWR", "JFK", "LGA", None]
    example = document["paths"]["/invocations"]["post"]["requestBody"]["content"]
    sent = example["application/json"]["examples"]["instances"]["value"]["instances"][0]
    golden = json_rows(rich[task].frame.head(1))[0]
    assert sent == {name: golden[name] for name in (*row["required"], "flight")}
    said = document["info"]["description"]
    assert ("early, late, on time" in said) == (task == "multiclass")


def test_nothing_in_a_signature_can_break_out_of_the_page(made: Made, tmp_path: Any) -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in ("model.txt", "golden.json", "signature.json"):
        (folder / name).write_bytes((made.path / name).read_bytes())
    signature = json.loads((folder / "signature.json").read_text())
    signature["label"] = evil
    signature["classes"] = [evil]
    signature["features"][3]["categories"].append(evil)
    signature["features"].append({"name": evil, "kind": "text", "buckets": 2})
    (folder / "signature.json").write_text(json.dumps(signature))
    write_manifest(folder)
    page = try_page(read_bundle(folder), 1).decode()
    assert "<img" not in page
    assert page.count("</script>") == 2
    validate(describe(read_bundle(folder), 1))


def test_the_page_lets_nothing_run_but_its_own(start: Start, made: Made) -> None:
    server = start()
    with urllib.request.urlopen(server.url + "/", timeout=10) as answer:
        policy = answer.headers["content-security-policy"]
        page = answer.read().decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in page.replace(server.url, "")
    for name in RICH.numeric:
        assert f'name="{name}"' in page
    assert CLASSES[0] not in page
