"""AutoGluon's predictor on the rows in a folder; runs in AutoGluon's environment."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Fit on `train.parquet`, and write the scores of `holdout.parquet` to `scores.npy`."""
    import numpy as np
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    folder, told = Path(sys.argv[1]), json.loads(sys.argv[2])
    classes = range(told["n_classes"] or 2)
    predictor = TabularPredictor(
        label=told["label"],
        problem_type=told["task"],
        eval_metric="rmse" if told["task"] == "regression" else "log_loss",
        path=str(folder / "models"),
        verbosity=0,
        # Of its random split into rows that learn and rows that validate; its models' own is 0.
        learner_kwargs={"random_state": told["seed"]},
    )
    predictor.fit(
        pd.read_parquet(folder / "train.parquet"),
        time_limit=told["budget_s"],
        num_cpus=told["num_threads"],
        num_gpus=0,
    )
    rows = pd.read_parquet(folder / "holdout.parquet")
    if told["task"] == "regression":
        scores = predictor.predict(rows).to_numpy()
    else:
        # A class too rare to be learned has no column.
        found = predictor.predict_proba(rows).reindex(columns=classes, fill_value=0.0)
        scores = found.to_numpy() if told["n_classes"] else found[1].to_numpy()
    np.save(folder / "scores.npy", scores)


if __name__ == "__main__":
    main()
