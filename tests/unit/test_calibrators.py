"""Calibration: kept where later time gains by it, and the same bits in training and in service."""

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue import bundles, calibrators, splits, training
from retrue.config import Problem
from retrue.errors import BundleError
from retrue.metrics import Array
from retrue.refs import BundleRef, DataRef
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.calibration import Calibrator, calibrate
from retrue.serving.scoring import Scorer
from tests.unit.synthetic import learnable

if TYPE_CHECKING:
    from tests.unit.conftest import Small

UNTIL = date(2024, 1, 20)
SIGMOID = Calibrator("sigmoid", scale=0.7, offsets=[-1.2])
ISOTONIC = Calibrator("isotonic", x=[0.1, 0.4, 0.9], y=[0.02, 0.3, 0.31])
SOFTMAX = Calibrator("softmax", scale=1.3, offsets=[0.1, -0.4, 0.3])


def too_sure(seed: int, n: int = 4_000) -> tuple[Array, Array]:
    """Labels and scores with twice the log odds that are true, moved towards 1."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return y, 1 / (1 + np.exp(-(2 * logit + 1)))


def test_scores_that_are_too_sure_are_mended() -> None:
    choice = calibrators.choose(*too_sure(1), *too_sure(2))
    assert choice.calibrator is not None
    assert choice.after < choice.before - 0.03
    y, score = too_sure(3)
    line = calibrators.logistic(calibrators.logit(calibrators.apply(choice.calibrator, score)), y)
    assert line == pytest.approx((0, 1), abs=0.15)


def test_what_helps_on_one_part_alone_is_not_kept() -> None:
    y, score = too_sure(1)
    later, score_later = too_sure(2)
    choice = calibrators.choose(y, score, 1 - later, score_later)
    assert choice.after <= choice.before
    wrong = calibrators.choose(1 - y, score, later, score_later)
    assert wrong.calibrator is None, "a falling curve, or one that makes later time worse"
    assert wrong.after == wrong.before


def test_few_rows_get_no_isotonic_and_no_certainty() -> None:
    kinds = [one.kind for one in calibrators._candidates(*too_sure(1, 900))]
    assert kinds == ["sigmoid"]
    isotonic = calibrators._candidates(*too_sure(1, 1_000))[1]
    assert isotonic.kind == "isotonic"
    assert min(isotonic.y) > 0 and max(isotonic.y) < 1
    assert isotonic.y == sorted(isotonic.y)


@pytest.mark.parametrize("labels", [np.ones(50), np.zeros(50)])
def test_one_class_or_no_rows_teach_nothing(labels: Array) -> None:
    score = np.linspace(0.1, 0.9, 50)
    assert calibrators.choose(labels, score, labels, score).calibrator is None
    assert calibrators.choose(labels[:0], score[:0], labels, score).calibrator is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.sampled_from([SIGMOID, ISOTONIC]))
def test_a_score_alone_and_among_others_gives_the_same_bits(
    scores: list[float], calibrator: Calibrator
) -> None:
    together = calibrators.apply(calibrator, np.array(scores))
    assert together.tolist() == [calibrate([one], calibrator)[0] for one in scores]
    assert all(0 <= one <= 1 for one in together)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(together[order]) >= 0).all()


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_several_classes_stay_a_distribution(row: list[float]) -> None:
    found = calibrate([row], SOFTMAX)[0]
    assert sum(found) == pytest.approx(1)  # type: ignore[arg-type]


def test_several_classes_are_mended_by_class() -> None:
    rng = np.random.default_rng(5)

    def sample() -> tuple[Array, Array]:
        chance = rng.dirichlet([2, 1, 1], 4_000)
        y = (rng.random((4_000, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype(float)
        moved = chance**2 * [1, 3, 3]
        return np.minimum(y, 2), moved / moved.sum(axis=1, keepdims=True)

    choice = calibrators.choose(*sample(), *sample())
    assert choice.calibrator is not None
    assert choice.calibrator.scale == pytest.approx(0.5, abs=0.1)
    first, *others = choice.calibrator.offsets
    assert [first - one for one in others] == pytest.approx([np.log(3) / 2] * 2, abs=0.15)


@pytest.fixture
def problem(small: "Small") -> Problem:
    small.replace(
        "configs/visits.yaml",
        "  seed: 7\n",
        "  seed: 7\n  class_weights: balanced\n  calibration: auto\n",
    )
    small.replace("configs/visits.yaml", "delay > 5,", "delay > 6.5,")
    return small.problem


def write(problem: Problem) -> BundleRef:
    frame = learnable()
    data = DataRef(
        problem="visits", path=Path(), version=3, sha256="2" * 64, n_rows=2_000, until="2024-01-20"
    )
    fitted = training.fit(splits.split(frame, problem, UNTIL), problem)
    made_by = {"code_commit": "c" * 40, "lock_sha256": "1" * 64, "trained_before": ""}
    return bundles.write_bundle(problem, data, fitted, frame, made_by)


def test_a_balanced_model_is_served_with_probabilities_of_this_world(problem: Problem) -> None:
    ref = write(problem)
    assert write(problem) == ref, "the same inputs, the same bytes"
    frame = learnable()
    holdout = splits.split(frame, problem, UNTIL).holdout
    y = splits.target(holdout, problem)
    raw = training.score(
        (ref.path / "model.txt").read_text(),
        json.loads((ref.path / "signature.json").read_text())["features"],
        holdout,
    )
    said = bundles.score_with(ref, holdout)
    assert raw.mean() > y.mean() + 0.1
    assert said.mean() == pytest.approx(y.mean(), abs=0.04)
    stored = bundles.read_metrics(ref)["metrics"]
    assert stored["calibration_loss_after"] < stored["calibration_loss_before"]

    bundle = read_bundle(ref.path, ref.sha256)
    booster = self_check(bundle)
    body = msgspec.json.encode({"dataframe_records": bundle.golden.rows})
    answer, _ = Scorer(bundle, booster, 1).score(body, is_logged=False)
    assert answer.predictions == bundle.golden.scores
    golden = frame.tail(len(bundle.golden.rows) - 1)
    assert bundle.golden.scores[:-1] == bundles.score_with(ref, golden).tolist()


def test_without_it_a_balanced_model_keeps_its_scores(problem: Problem) -> None:
    plain = problem.training.model_copy(update={"calibration": "none"})
    ref = write(problem.model_copy(update={"training": plain}))
    assert bundles.read_calibrator(ref) is None
    assert "calibration" not in json.loads((ref.path / "signature.json").read_text())


@pytest.mark.parametrize(
    "calibration",
    [
        {"kind": "sigmoid", "offsets": []},
        {"kind": "isotonic", "x": [0.1], "y": []},
        msgspec.to_builtins(SOFTMAX),
    ],
)
def test_a_calibrator_that_does_not_fit_is_refused(
    problem: Problem, calibration: dict[str, object]
) -> None:
    from tests.serving.tiny_model import write_manifest

    ref = write(problem)
    path = ref.path / "signature.json"
    signature = json.loads(path.read_text())
    path.write_text(json.dumps({**signature, "problem": "tiny", "calibration": calibration}))
    with pytest.raises(BundleError, match=r"signature\.json"):
        read_bundle(ref.path, write_manifest(ref.path))
