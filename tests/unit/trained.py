"""A project with model versions in a real registry: made-up rows, real training, no Prefect."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from retrue import experiment, ledger, registry, run_files
from retrue.config import Problem
from retrue.gate import Bin, Calibration, Interval, ProcessingPerformance, SliceGain, Verdict
from retrue.lake import write_version
from retrue.problems import load_problem
from retrue.provenance import lock_sha256
from retrue.refs import BundleRef, DataRef, ModelRef
from tests.unit.conftest import Small
from tests.unit.synthetic import learnable

COMMIT, LOCK = "c0ffee", "name = 'a lock'\n"


@dataclass
class Workshop:
    """Makes data versions and model versions of the small problem, one after the other."""

    small: Small

    @property
    def problem(self) -> Problem:
        return load_problem("visits", self.small.root)

    def data(self, until: str, seed: int = 0) -> DataRef:
        frame = learnable()
        rng = np.random.default_rng(seed)
        frame["wind"] = frame["wind"] + seed * rng.normal(size=len(frame))
        frame = frame[frame["at"] < pd.Timestamp(until, tz="UTC")]
        pin = {"version": 0, "sha256": "a" * 64, "n_rows": len(frame)}
        return write_version(
            "visits", frame, ["visit"], until, {"tables": {"visits": pin}, "n_set_aside": 2}
        )

    def train(
        self,
        data: DataRef,
        problem: Problem | None = None,
        champion: ModelRef | None = None,
        search_run: str | None = None,
    ) -> ModelRef:
        problem = problem or self.problem
        bundle = self.fit(data, problem)
        verdict = experiment.judge(problem, data, bundle, champion)
        root = self.small.root
        return experiment.register(problem, data, bundle, verdict, "flow-run-1", root, search_run)

    def fit(self, data: DataRef, problem: Problem | None = None) -> BundleRef:
        self.small.write("uv.lock", LOCK)
        made_by = {"code_commit": COMMIT, "lock_sha256": lock_sha256(self.small.root)}
        return experiment.fit_bundle(problem or self.problem, data, made_by)

    def deploy(self, model: ModelRef) -> None:
        book = ledger.connect()
        turn = ledger.start_deployment(book, "visits", model.version, model.bundle.sha256)
        ledger.finish_deployment(
            book, turn.id, turn.token, "serving", target="process", image_digest="sha256:feed"
        )


def with_all(verdict: Verdict) -> Verdict:
    """The verdict with every part measured."""
    bins = tuple(
        Bin(lower=i / 5, upper=(i + 1) / 5, mean_score=i / 5 + 0.1, observed=i / 6, n=20 + i)
        for i in range(5)
    )
    gain = {"gain": 0.01, "lower": -0.01, "upper": 0.03, "margin": 0.02}
    return verdict.model_copy(
        update={
            "promoted": True, "champion": 0.45, "challenger": 0.4, "gain": 0.05, "lower": 0.01,
            "upper": 0.09, "reason": "log_loss 0.4500 -> 0.4000: the lower bound is above 0",
            "metrics": {"log_loss": Interval(value=0.4, lower=0.37, upper=0.43)},
            "champion_metrics": {"log_loss": Interval(value=0.45, lower=0.41, upper=0.48)},
            "slices": (
                SliceGain(
                    name="shop", value="A", n_rows=50, champion=0.5, challenger=0.4,
                    holds=True, **gain,
                ),
                SliceGain(
                    name="shop", value="<b>", n_rows=9, champion=0.5, challenger=0.6,
                    holds=False, **gain,
                ),
            ),
            "calibration": Calibration(
                bins=bins, expected_error=0.02, expected_error_lower=0.01, slope=0.9,
                intercept=-0.1, slope_lower=0.8, slope_upper=1.0, intercept_lower=-0.2,
                intercept_upper=0.1, champion_error=0.03, holds=True,
            ),
            "processing": ProcessingPerformance(
                p50_ms=0.4, p99_ms=1.5, rows_per_s=20_000, memory_mb=60, holds=True
            ),
            "doubts": ("explanation change: wind turned",),
        }
    )  # fmt: skip


def explain(model: ModelRef, directions: dict[str, float | None]) -> None:
    """Leave an explanation with the run, as an explaining run does."""
    shares = np.linspace(1, 0.1, len(directions))
    features: list[dict[str, Any]] = [
        {
            "name": name,
            "mean_abs_shap": float(share),
            "share": float(share / shares.sum()),
            "gain_share": 0.1,
            "direction": direction,
        }
        for (name, direction), share in zip(directions.items(), shares, strict=True)
    ]
    text = json.dumps({"features": features, "n_rows": 100, "unit": "log odds"})
    registry.write_file(registry.run(model.run_id), run_files.EXPLANATION, text)
