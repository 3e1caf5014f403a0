"""One request body to its answer and its records."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from retrue.serving.booster import Booster
from retrue.serving.bundle import Bundle
from retrue.serving.calibration import calibrate
from retrue.serving.encoding import Plan, Row, Scalar, encode_values, plan, select_values
from retrue.serving.parsing import parse_rows
from retrue.serving.predictions import Record

_ENCODER = msgspec.json.Encoder()


class Answer(msgspec.Struct):
    """What a request gets, one entry a row; ids are null where the log was switched off.

    Binary: the probability, and 1 or 0. Multiclass: a probability for each class, and the text of
    the likeliest. Regression: the value, and null.
    """

    predictions: list[float] | list[list[float]]
    decisions: list[int] | list[str] | list[None]
    prediction_ids: list[str | None]
    model_version: int


class Scorer:
    """Body in, answer and records out; nothing is awaited and nothing is kept."""

    def __init__(self, bundle: Bundle, booster: Booster, model_version: int) -> None:
        self._booster = booster
        self._signature = bundle.signature
        self._sha256 = bundle.sha256
        self._model_version = model_version
        self._plan: Plan = plan(self._signature.features)

    def score(self, content: bytes, is_logged: bool) -> tuple[Answer, list[Record]]:
        """Score the rows of a body; DataError says what is wrong with it."""
        received_at_us = time.time_ns() // 1000
        rows = parse_rows(content)
        values = select_values(rows, self._plan)
        scores = self._booster.predict(encode_values(values, self._plan))
        scores = calibrate(scores, self._signature.calibration)
        logged, decisions = self._decide(scores)
        ids: list[str | None] = [None] * len(scores)
        records: list[Record] = []
        if is_logged:
            records = self._records(rows, values, logged, decisions, received_at_us)
            ids = [record.prediction_id for record in records]
        return Answer(scores, self._said(decisions), ids, self._model_version), records

    def _decide(self, scores: Any) -> tuple[list[float], list[int]]:
        """Score and decision of each row as logged; a regression decides nothing, -1."""
        if self._signature.task == "multiclass":
            decisions = [row.index(max(row)) for row in scores]
            return [row[at] for row, at in zip(scores, decisions, strict=True)], decisions
        if self._signature.task == "regression":
            return scores, [-1] * len(scores)
        return scores, [int(score > self._signature.threshold) for score in scores]

    def _said(self, decisions: list[int]) -> list[int] | list[str] | list[None]:
        if self._signature.task == "multiclass":
            return [self._signature.classes[at] for at in decisions]
        return decisions if self._signature.task == "binary" else [None] * len(decisions)

    def _records(
        self,
        rows: Sequence[Row],
        values: Sequence[tuple[Scalar, ...]],
        scores: Sequence[float],
        decisions: Sequence[int],
        received_at_us: int,
    ) -> list[Record]:
        names, time_column = self._plan.names, self._signature.time
        # Ids begin with the time, so that the index grows at its end; 72 random bits tell apart.
        prefix = f"{received_at_us:014x}"
        return [
            Record(
                f"{prefix}{random.getrandbits(72):018x}",
                received_at_us,
                _event_time(row.get(time_column or "")) or _received_time(received_at_us),
                self._key(row),
                _ENCODER.encode(dict(zip(names, features, strict=True))).decode(),
                score,
                decision,
                self._model_version,
                self._sha256,
            )
            for row, features, score, decision in zip(rows, values, scores, decisions, strict=True)
        ]

    def _key(self, row: Row) -> str | None:
        try:
            key = {name: row[name] for name in self._signature.key}
        except KeyError:
            return None
        return _ENCODER.encode(key).decode() if key else None


def _event_time(value: object) -> str | None:
    return _parsed_time(value) if isinstance(value, str) else None


@lru_cache(maxsize=4096)
def _parsed_time(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
        return _utc_text(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _received_time(at_us: int) -> str:
    return _utc_text(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us))


def _utc_text(moment: datetime) -> str:
    return moment.isoformat().removesuffix("+00:00") + "Z"
