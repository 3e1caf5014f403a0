"""Scores of the C library against lightgbm's own package."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrue.errors import BundleError
from retrue.serving.booster import Booster, self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.encoding import encode
from tests.serving.tiny_model import Made, json_rows, make_frame


def test_single_rows_and_batches_have_the_bits_of_lightgbm(made: Made) -> None:
    frame = make_frame(4000, seed=11)
    frame.loc[::7, "carrier"] = "unseen"
    expected = made.scores(frame)
    booster = Booster(read_bundle(made.path).model, len(made.features))
    rows = json_rows(frame)
    assert booster.predict(encode(rows, made.features)) == expected
    singles = [booster.predict(encode([row], made.features))[0] for row in rows]
    assert singles == expected
    assert len(set(expected)) > 100
    assert booster.predict(encode([], made.features)) == []


def test_many_threads_get_their_own_scores(made: Made) -> None:
    frame = make_frame(500, seed=12)
    expected = made.scores(frame)
    booster = Booster(read_bundle(made.path).model, len(made.features))
    matrices = [encode([row], made.features) for row in json_rows(frame)]
    whole = encode(json_rows(frame), made.features)

    def score(thread: int) -> bool:
        if thread % 2:
            return all(booster.predict(whole) == expected for _ in range(5))
        return [booster.predict(matrix)[0] for matrix in matrices] == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(score, range(16)))


def test_a_model_of_another_width_is_refused(made: Made) -> None:
    with pytest.raises(BundleError, match="expected 4 features, found 5 features"):
        Booster((made.path / "model.txt").read_bytes(), 4)


def test_a_model_that_gives_other_golden_scores_is_refused(made: Made) -> None:
    bundle = read_bundle(made.path)
    score = bundle.golden.scores[3]
    assert isinstance(score, float)
    bundle.golden.scores[3] = score + 1e-16
    assert bundle.golden.scores[3] != read_bundle(Path(made.path)).golden.scores[3]
    with pytest.raises(BundleError, match=r"golden score .* for row 3"):
        self_check(bundle)
