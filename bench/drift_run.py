"""One way to check drift, in a process of its own: `python bench/drift_run.py WAY FOLDER`.

It runs in the environments of the peers too, so it imports nothing of this project at the top.
`FOLDER` holds `reference.parquet` and `current.parquet`, and gets `WAY.json`.
"""

import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEED = 7
# A check that takes longer than that is told well enough by one: three of evidently's take minutes.
REPEATS, LONG_S = 3, 10.0
# As a drift check reads served rows: in parts.
BATCH_ROWS = 100_000


def main() -> None:
    """Prepare the reference once, check up to three times; CPU time and memory of each."""
    warnings.simplefilter("ignore")
    way, folder = sys.argv[1], Path(sys.argv[2])
    given, prepare, check = WAYS[way]
    sides = [
        given(pd.read_parquet(folder / f"{side}.parquet")) for side in ("reference", "current")
    ]
    prepare_once(way, sides[0])
    began = cpu_s()
    state = prepare(sides[0])
    prepared = cpu_s() - began
    seconds: list[float] = []
    extra = 0.0
    while len(seconds) < REPEATS and sum(seconds) < LONG_S:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status_mb("VmRSS")
        began = cpu_s()
        found = check(state, sides[1])
        seconds.append(cpu_s() - began)
        extra = max(extra, _status_mb("VmHWM") - before)
    result = {"prepare_s": prepared, "check_s": seconds, "extra_mb": extra, "answer": str(found)}
    (folder / f"{way}.json").write_text(json.dumps(result))


def prepare_once(way: str, reference: Any) -> None:
    """Import and warm up on few rows: neither is what a check costs."""
    _, prepare, check = WAYS[way]
    few = reference[:2_000]
    check(prepare(few), few)


def cpu_s() -> float:
    """Of this process and the children that it has waited for."""
    # Not all from `os.times`, which counts hundredths of a second.
    return time.process_time() + sum(os.times()[2:4])


def _status_mb(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def _frame(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def _matrix(frame: pd.DataFrame) -> Any:
    """Numbers, and codes of categories: both sides have the same ones."""
    columns = [
        frame[name].cat.codes if _is_category(frame[name]) else frame[name] for name in frame
    ]
    return np.column_stack([column.to_numpy(np.float64) for column in columns])


def _is_category(column: Any) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _categories(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame if _is_category(frame[name])]


def _native_prepare(frame: pd.DataFrame) -> Any:
    from retrue.config import Features
    from retrue.drift import summarise

    names = _categories(frame)
    numeric = tuple(name for name in frame if name not in names)
    return summarise(frame, Features(numeric=numeric, categorical=tuple(names)))


def _native_check(state: Any, frame: pd.DataFrame) -> Any:
    from retrue.drift import native
    from retrue.drift.effects import effect
    from retrue.drift.window import tally_all

    starts = range(0, len(frame), BATCH_ROWS)
    window = tally_all(state, (frame[i : i + BATCH_ROWS] for i in starts), 10_000, SEED)
    assert window is not None
    return [
        (native.single(column, window.columns[name]), effect(column, window.columns[name]).psi)
        for name, column in state.columns.items()
    ]


def _alibi_prepare(x: Any) -> Any:
    from alibi_detect.cd import TabularDrift

    n_categories = int(os.environ["N_CATEGORICAL"])
    # They are the last columns.
    kinds = dict.fromkeys(range(x.shape[1] - n_categories, x.shape[1]))
    return TabularDrift(x, p_val=0.05, categories_per_feature=kinds)


def _alibi_check(state: Any, x: Any) -> Any:
    return state.predict(x, drift_type="feature")["data"]["distance"]


def _scipy_prepare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def _scipy_check(reference: pd.DataFrame, frame: pd.DataFrame) -> Any:
    from scipy.stats import chi2_contingency, ks_2samp

    found = []
    for name in frame:
        a, b = reference[name], frame[name]
        if _is_category(a):
            counts = [side.value_counts(sort=False).to_numpy() for side in (a, b)]
            table = np.array(counts)
            found.append(chi2_contingency(table[:, table.sum(axis=0) > 0])[0])
        else:
            found.append(ks_2samp(a, b, method="asymp").statistic)
    return found


def _evidently_prepare(frame: pd.DataFrame) -> Any:
    from evidently import DataDefinition, Dataset

    names = _categories(frame)
    numeric = [name for name in frame if name not in names]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=names)
    return definition, Dataset.from_pandas(frame, data_definition=definition)


def _evidently_check(state: Any, frame: pd.DataFrame) -> Any:
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    definition, reference = state
    current = Dataset.from_pandas(frame, data_definition=definition)
    return len(Report([DataDriftPreset()]).run(current, reference).json())


def _nannyml_prepare(frame: pd.DataFrame) -> Any:
    import nannyml

    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(frame),
        treat_as_categorical=_categories(frame),
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
        chunk_number=1,
    )
    return calculator.fit(frame)


def _nannyml_check(state: Any, frame: pd.DataFrame) -> Any:
    return state.calculate(frame).to_df().shape


def _whylogs_prepare(frame: pd.DataFrame) -> Any:
    import whylogs

    return whylogs.log(frame).view()


def _whylogs_check(state: Any, frame: pd.DataFrame) -> Any:
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    view = _whylogs_prepare(frame)
    return calculate_drift_scores(target_view=view, reference_view=state, with_thresholds=True)


def _kinds(x: Any) -> list[str]:
    n_categories = int(os.environ["N_CATEGORICAL"])
    return ["numeric"] * (x.shape[1] - n_categories) + ["categorical"] * n_categories


def _magnitude(reference: Any, x: Any) -> Any:
    from retrue.drift import domain

    found = domain.joint(reference, x, _kinds(x), SEED)
    return found.magnitude, found.low, found.high


def _classifier_drift(reference: Any, x: Any, forest: Any, n_folds: int) -> Any:
    from alibi_detect.cd import ClassifierDrift

    detector = ClassifierDrift(
        reference,
        forest,
        backend="sklearn",
        preds_type="probs",
        n_folds=n_folds,
        train_size=None,
        seed=SEED,
    )
    return detector.predict(x)["data"]["distance"]


def _classifier_as_documented(reference: Any, x: Any) -> Any:
    from lightgbm import LGBMClassifier

    return _classifier_drift(reference, x, LGBMClassifier(n_jobs=1, verbose=-1), 5)


def _classifier_same_forest(reference: Any, x: Any) -> Any:
    from retrue.drift import domain

    forest = domain.classifier(min(len(reference), len(x)), _kinds(x), SEED)
    return _classifier_drift(reference, x, forest, domain.FOLDS)


def _kept(x: Any) -> Any:
    return x


WAYS: dict[str, Any] = {
    "native": (_frame, _native_prepare, _native_check),
    "alibi": (_matrix, _alibi_prepare, _alibi_check),
    "scipy": (_frame, _scipy_prepare, _scipy_check),
    "evidently": (_frame, _evidently_prepare, _evidently_check),
    "nannyml": (_frame, _nannyml_prepare, _nannyml_check),
    "whylogs": (_frame, _whylogs_prepare, _whylogs_check),
    "magnitude_native": (_matrix, _kept, _magnitude),
    "magnitude_alibi": (_matrix, _kept, _classifier_as_documented),
    "magnitude_alibi_same_forest": (_matrix, _kept, _classifier_same_forest),
}

if __name__ == "__main__":
    main()
