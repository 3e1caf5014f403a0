"""What each column adds to the margin, against lightgbm's own package."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrue.encoding_frame import encode_frame
from retrue.errors import DataError
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.encoding import encode
from retrue.serving.explanation import MAX_ROWS, explain
from retrue.serving.features import width
from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import CLASSES, Made, Start, json_rows, make_bundle

TASKS = ["binary", "multiclass", "regression"]


@pytest.mark.parametrize("task", TASKS)
def test_contributions_are_lightgbms_summed_by_source_column(
    rich: dict[str, Made], task: str
) -> None:
    made = rich[task]
    bundle, frame = read_bundle(made.path), made.frame.tail(50)
    found = explain(json_rows(frame), bundle.signature, self_check(bundle))
    matrix = encode_frame(frame, made.features)
    n_classes = len(CLASSES) if task == "multiclass" else 1
    expected = np.asarray(made.booster.predict(matrix, pred_contrib=True))
    expected = expected.reshape(50, n_classes, -1)
    ends = np.cumsum(list(map(width, made.features)))
    parts = np.stack([one.sum(axis=-1) for one in np.split(expected, ends, axis=-1)], axis=-1)
    raw = np.asarray(made.booster.predict(matrix, raw_score=True)).reshape(50, n_classes)
    names = [feature["name"] for feature in made.features]
    assert max(map(width, made.features)) > 1
    for at in range(50):
        rows: Any = found.contributions[at]
        of_classes = rows if task == "multiclass" else [rows]
        assert [list(one) for one in of_classes] == [names] * n_classes
        values = np.array([list(one.values()) for one in of_classes])
        np.testing.assert_allclose(values, parts[at, :, :-1], rtol=1e-12, atol=1e-12)
        margins = np.atleast_1d(found.margins[at])
        assert margins.tolist() == raw[at].tolist()
        base = np.atleast_1d(found.base_value)
        np.testing.assert_allclose(values.sum(axis=1) + base, margins, rtol=1e-9, atol=1e-9)


def test_a_logarithmic_link_is_served_as_lightgbm_does_and_told(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "made", task="regression", objective="tweedie")
    bundle, frame = read_bundle(made.path), made.frame.head(9)
    booster = self_check(bundle)
    found = explain(json_rows(frame), bundle.signature, booster)
    assert found.unit == "logarithm of the label's"
    scores = booster.predict(encode(json_rows(frame), bundle.signature.features))
    assert scores == made.scores(frame)
    np.testing.assert_allclose(np.exp(found.margins), scores)


def test_more_rows_than_a_person_reads_are_refused(made: Made) -> None:
    bundle = read_bundle(made.path)
    rows = json_rows(made.frame.head(MAX_ROWS + 1))
    with pytest.raises(DataError, match=f"expected at most {MAX_ROWS} rows, found {MAX_ROWS + 1}"):
        explain(rows, bundle.signature, self_check(bundle))


@pytest.mark.parametrize("task", TASKS)
def test_an_explained_row_is_scored_and_logged_like_any_other(
    start: Start, rich: dict[str, Made], task: str
) -> None:
    server = start(version=5, bundle=rich[task])
    body = {"instances": json_rows(rich[task].frame.head(4))}
    _, plain = server.post(body, "/invocations?log=false")
    status, answer = server.post(body, "/explain")
    assert (status, answer["model_version"]) == (200, 5)
    for name in ("predictions", "decisions"):
        assert answer[name] == plain[name]
    assert [row[1] for row in read_after(server.log, 0)] == answer["prediction_ids"]
    status, unlogged = server.post(body, "/explain?log=false")
    assert unlogged["contributions"] == answer["contributions"]
    assert unlogged["prediction_ids"] == [None] * 4
    assert len(read_after(server.log, 0)) == 4
    assert server.post({"instances": []}, "/explain")[0] == 400
