"""Clients that were made for other servers, as they come from their projects."""

import json
import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from retrue.config import Features
from retrue.serving.log_reading import COLUMNS, read_after
from tests.serving.tiny_model import CLASSES, Made, Server, Start, json_rows, make_bundle

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # MLflow's own type hints
    from mlflow import deployments
    from mlflow.pyfunc.scoring_server import client as scoring_server

# MLflow's own clients carry no types.
ScoringServerClient: Any = scoring_server.ScoringServerClient
get_deploy_client: Any = deployments.get_deploy_client

TASKS = ["binary", "multiclass", "regression"]


@pytest.fixture(params=TASKS)
def served(request: pytest.FixtureRequest, start: Start, rich: dict[str, Made]) -> Iterator[Any]:
    """A server of each task: the task, the server, its bundle, and rows of known scores."""
    made = rich[request.param]
    yield request.param, start(version=3, bundle=made), made, made.frame.tail(40)


@pytest.fixture
def triton() -> Iterator[Any]:
    """Open clients of the Open Inference Protocol that end with the test."""
    opened: list[InferenceServerClient] = []

    def connect(server: Server) -> InferenceServerClient:
        opened.append(InferenceServerClient(f"127.0.0.1:{server.port}"))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


def sent(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as MLflow's client can send it: JSON has neither times nor NaN."""
    return pd.DataFrame(json_rows(frame), dtype=object)


def decisions(task: str, scores: list[Any]) -> list[Any]:
    if task == "multiclass":
        return [CLASSES[int(np.argmax(row))] for row in scores]
    return [int(score > 0.5) for score in scores] if task == "binary" else [None] * len(scores)


def logged(server: Server) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in read_after(server.log, 0)]


def test_mlflows_scoring_client_gets_frames_of_the_right_scores(served: Any) -> None:
    task, server, made, frame = served
    client = ScoringServerClient("127.0.0.1", server.port)
    client.wait_server_ready()
    assert "tiny" in client.get_version()
    answer = client.invoke(sent(frame))
    predictions = answer.get_predictions("ndarray")
    assert predictions.tolist() == made.scores(frame)
    assert len(answer.get_predictions()) == 40
    assert answer["decisions"] == decisions(task, made.scores(frame))
    assert answer["model_version"] == 3
    by_records = client.invoke(json_rows(frame))  # as inputs
    assert by_records["predictions"] == answer["predictions"]
    by_column = {"inputs": sent(frame).to_dict("list"), "params": {}}
    assert client.invoke(json.dumps(by_column))["predictions"] == answer["predictions"]
    ids = [*answer["prediction_ids"], *by_records["prediction_ids"]]
    assert [record["prediction_id"] for record in logged(server)][:80] == ids


def test_mlflows_scoring_client_sends_an_array_in_the_models_order(
    start: Start, tmp_path: Any, made: Made
) -> None:
    numbers = make_bundle(tmp_path / "numbers", wanted=Features(numeric=("hour", "wind")))
    client = ScoringServerClient("127.0.0.1", start(bundle=numbers).port)
    frame = numbers.frame.head(30)
    answer = client.invoke(frame[["hour", "wind"]].to_numpy())
    assert answer.get_predictions("ndarray").tolist() == numbers.scores(frame)
    with pytest.raises(Exception, match=r"400.*a row of other than as many"):
        client.invoke(frame[["hour"]].to_numpy())


def test_mlflows_scoring_client_is_told_that_nan_is_no_json(start: Start, made: Made) -> None:
    client = ScoringServerClient("127.0.0.1", start().port)
    frame = made.frame.drop(columns="time")
    with pytest.raises(Exception, match=r"found NaN, which JSON lacks \(null is meant\)"):
        client.invoke(frame[frame["temp"].isna()])


def test_mlflows_deployments_client_asks_by_the_problems_name(served: Any) -> None:
    _, server, made, frame = served
    with patch.dict("os.environ", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"):
        client = get_deploy_client(server.url)
        answer = client.predict(endpoint="tiny", inputs={"dataframe_records": json_rows(frame)})
        assert answer["predictions"] == made.scores(frame)
        with pytest.raises(Exception, match="404"):
            client.predict(endpoint="other", inputs={"dataframe_records": json_rows(frame)})


def tensors(
    client: InferenceServerClient, frame: pd.DataFrame, is_binary: bool, is_column: bool = False
) -> list[InferInput]:
    """One tensor for each input of the model's metadata."""
    rows = pd.DataFrame(json_rows(frame), dtype=object)
    made = []
    for told in client.get_model_metadata("tiny")["inputs"]:
        kind = np.float64 if told["datatype"] == "FP64" else object
        values = rows[told["name"]].to_numpy().astype(kind)
        values = values.reshape(-1, 1) if is_column else values
        tensor = InferInput(told["name"], list(values.shape), told["datatype"])
        made.append(tensor.set_data_from_numpy(values, binary_data=is_binary))
    return made


@pytest.mark.parametrize("is_binary", [True, False], ids=["bytes", "json"])
def test_a_v2_client_finds_its_way_by_the_metadata_alone(
    served: Any, triton: Any, is_binary: bool
) -> None:
    task, server, made, frame = served
    # Its JSON has no null, so only whole rows can go that way; its bytes have NaN.
    frame = frame[frame["carrier"].notna() & (is_binary | frame["temp"].notna())]
    client = triton(server)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("tiny") and client.is_model_ready("tiny", "3")
    assert client.get_server_metadata()["name"] == "retrue"
    told = client.get_model_metadata("tiny", "3")
    assert told["versions"] == ["3"]
    result = client.infer(
        "tiny", tensors(client, frame, is_binary), model_version="3", request_id="mine"
    )
    assert result.get_response()["id"] == "mine"
    assert result.get_response()["model_version"] == "3"
    assert result.as_numpy("predictions").tolist() == made.scores(frame)
    wanted = decisions(task, made.scores(frame))
    found = result.as_numpy("decisions")
    assert [None] * len(wanted) == wanted if found is None else found.tolist() == wanted
    names = {output["name"] for output in told["outputs"]}
    assert {output["name"] for output in result.get_response()["outputs"]} == names
    records = logged(server)
    assert result.as_numpy("prediction_ids").tolist() == [r["prediction_id"] for r in records]
    one = client.infer(
        "tiny",
        tensors(client, frame, is_binary, is_column=True),
        outputs=[InferRequestedOutput("predictions", binary_data=is_binary)],
        query_params={"log": "false"},
    )
    assert [output["name"] for output in one.get_response()["outputs"]] == ["predictions"]
    assert one.as_numpy("predictions").tolist() == made.scores(frame)
    assert len(logged(server)) == len(records)


def test_a_v2_client_reads_its_errors(start: Start, made: Made, triton: Any) -> None:
    client = triton(start(version=3))
    inputs = tensors(client, made.frame.head(3).fillna({"temp": 1.0, "carrier": "UA"}), True)
    for arguments in ({"model_name": "other"}, {"model_name": "tiny", "model_version": "4"}):
        with pytest.raises(
            InferenceServerException, match="no such model.*tiny, version 3"
        ) as told:
            client.infer(inputs=inputs, **arguments)
        assert told.value.status() == "404"
    with pytest.raises(InferenceServerException, match="no such column"):
        client.infer("tiny", inputs[1:])
    assert not client.is_model_ready("other")


def test_a_v2_client_sends_all_numbers_as_one_tensor(
    start: Start, tmp_path: Any, triton: Any
) -> None:
    numbers = make_bundle(tmp_path / "numbers", wanted=Features(numeric=("hour", "temp")))
    client = triton(start(bundle=numbers))
    frame = numbers.frame.head(30)
    matrix = frame[["hour", "temp"]].to_numpy()
    assert np.isnan(matrix).any()
    tensor = InferInput("rows", list(matrix.shape), "FP64").set_data_from_numpy(matrix)
    assert client.infer("tiny", [tensor]).as_numpy("predictions").tolist() == numbers.scores(frame)
