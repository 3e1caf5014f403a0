"""One request body to its answer and its records."""

import time
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from retrue.serving.booster import Booster
from retrue.serving.bundle import Bundle
from retrue.serving.calibration import calibrate
from retrue.serving.encoding import (
    Plan,
    Row,
    encode_columns,
    encode_values,
    plan,
    select_columns,
    select_values,
)
from retrue.serving.features import Scalar
from retrue.serving.packing import Logged, make_entries
from retrue.serving.parsing import parse_rows
from retrue.serving.records import Entries, ids_of


class Answer(msgspec.Struct):
    """What a request gets, one entry a row; ids are null where the log was switched off.

    Binary: the probability, and 1 or 0. Multiclass: a probability for each class, and the text of
    the likeliest. Regression: the value, and null.
    """

    predictions: list[float] | list[list[float]]
    decisions: list[int] | list[str] | list[None]
    prediction_ids: list[str | None]
    model_version: int


Scored = tuple[Answer, Entries]


class Scorer:
    """Body in, answer and records out; nothing is awaited and nothing is kept."""

    def __init__(self, bundle: Bundle, booster: Booster, model_version: int) -> None:
        self._booster = booster
        self._signature = bundle.signature
        self._sha256 = bundle.sha256
        self._model_version = model_version
        self._plan: Plan = plan(self._signature.features)

    def score(self, content: bytes, is_logged: bool) -> Scored:
        """Score the rows of a body; DataError says what is wrong with it."""
        return self.score_rows(parse_rows(content, self._plan.names), is_logged)

    def score_rows(self, rows: Sequence[Row], is_logged: bool) -> Scored:
        """Score rows that were read from a body of whichever protocol."""
        received_at_us = time.time_ns() // 1000
        values = select_values(rows, self._plan)
        matrix = encode_values(values, self._plan)
        if not is_logged:
            return self._answer(matrix, received_at_us, None)
        times = [row.get(self._signature.time or "") for row in rows]
        logged = Logged(self._plan.names, values, False, times, [*map(self._key, rows)])
        return self._answer(matrix, received_at_us, logged)

    def score_columns(self, columns: Mapping[str, Sequence[Scalar]], is_logged: bool) -> Scored:
        """Score columns of one length."""
        received_at_us = time.time_ns() // 1000
        wanted = select_columns(columns, self._plan)
        matrix = encode_columns(wanted, self._plan)
        if not is_logged:
            return self._answer(matrix, received_at_us, None)
        names, keys = self._signature.key, None
        if names and all(map(columns.__contains__, names)):
            by_row = zip(*map(columns.__getitem__, names), strict=True)
            keys = [dict(zip(names, one, strict=True)) for one in by_row]
        times = columns.get(self._signature.time or "")
        logged = Logged(self._plan.names, wanted, True, times, keys)
        return self._answer(matrix, received_at_us, logged)

    def _answer(
        self,
        matrix: "array[float]",
        received_at_us: int,
        logged: Logged | None,
    ) -> Scored:
        scores = self._booster.predict(matrix)
        scores = calibrate(scores, self._signature.calibration)
        sole, decisions = self._decide(scores)
        if logged is None:
            ids: list[Any] = [None] * len(scores)
            return Answer(scores, self._said(decisions), ids, self._model_version), []
        entries = make_entries(
            logged, sole, decisions, received_at_us, self._model_version, self._sha256
        )
        answer = Answer(scores, self._said(decisions), [*ids_of(entries)], self._model_version)
        return answer, entries

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

    def _key(self, row: Row) -> dict[str, Scalar] | None:
        try:
            return {name: row[name] for name in self._signature.key} or None
        except KeyError:
            return None
