"""Clean deliveries are never refused, and none of their rows is set aside."""

import gzip
import io
from datetime import date

import pandas as pd
import pytest

from tests.damaged.conftest import Before
from tests.damaged.plant import Plant
from tests.damaged.readings import DAYS, as_csv, readings

FORMATS = ["csv", "csv.gz", "tsv", "parquet", "jsonl"]


def deliver(plant: Plant, frame: pd.DataFrame, kind: str) -> None:
    name = f"sample.{kind}"
    if kind == "csv":
        plant.deliver(frame, name)
    elif kind == "csv.gz":
        plant.deliver(gzip.compress(as_csv(frame).encode()), name)
    elif kind == "tsv":
        text = frame.to_csv(index=False, sep="\t", lineterminator="\n")
        plant.deliver(text, name, delimiter="\t")
    elif kind == "jsonl":
        plant.deliver(frame.to_json(orient="records", lines=True), name)
    else:
        out = io.BytesIO()
        frame.to_parquet(out, index=False)
        plant.deliver(out.getvalue(), name)


@pytest.mark.parametrize("seed", range(1, 39))
def test_a_clean_sample_is_taken(before: Before, seed: int) -> None:
    sample = readings(seed)
    deliver(before.plant, sample, FORMATS[seed % len(FORMATS)])

    prepared = before.plant.prepare()

    assert (prepared.n_set_aside, prepared.ref.n_rows) == (0, len(sample))
    assert [failed for one in prepared.validations for failed in one.failed] == []


@pytest.mark.parametrize("seed", range(39, 51))
def test_clean_batches_and_one_more_are_taken(before: Before, seed: int) -> None:
    days = 1 + seed % 3
    whole = readings(seed)
    half = len(whole) // 2
    before.plant.deliver_batches({"a.csv": whole[:half], "b.csv": whole[half:]})
    first = before.plant.prepare()
    more = readings(seed, first_day=DAYS, days=days)
    before.plant.deliver_batches({"c.csv": more})

    second = before.plant.prepare(date(2024, 1, 11 + days))

    assert (first.n_set_aside, second.n_set_aside) == (0, 0)
    assert (first.ref.n_rows, second.ref.n_rows) == (len(whole), len(whole) + len(more))
