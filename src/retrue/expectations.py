"""Expectations evaluated by Great Expectations, its one home; run by `expectations_process`."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import pandas as pd

with warnings.catch_warnings():
    # Its modules import names that Python and its own dependencies deprecate.
    warnings.simplefilter("ignore")
    import great_expectations as gx
    from great_expectations.core.id_dict import IDDict
    from great_expectations.execution_engine import pandas_execution_engine
    from great_expectations.expectations.expectation import Expectation

from retrue import memory
from retrue.handover import receive


class _Remembered:
    """`Expectation.configuration`, built once an expectation.

    Great Expectations builds it anew some 70 times an expectation, 40 % of the time of a suite.
    """

    def __init__(self, build: Callable[[Expectation], Any]) -> None:
        self._build = build
        self._built: dict[int, tuple[Expectation, Any]] = {}

    def __get__(self, one: Expectation, _: object) -> Any:
        # The expectation is kept beside it, so that no other can have the same id meanwhile.
        if id(one) not in self._built:
            self._built[id(one)] = one, self._build(one)
        return self._built[id(one)][1]

    def forget(self) -> None:
        self._built.clear()


_CONFIGURATIONS = _Remembered(Expectation.configuration.fget)
Expectation.configuration = _CONFIGURATIONS
_SLOW_ID = IDDict.to_id


def _id(self: IDDict, *given: Any, **named: Any) -> Any:
    """Name a metric by its arguments, which are plain JSON but for a few; asked 30 times a rule."""
    if not given and not named and len(self) > 1 and not self._id_ignore_keys:
        with suppress(TypeError):
            return json.dumps(self, sort_keys=True)
    return _SLOW_ID(self, *given, **named)


IDDict.to_id = _id
# It would hash all values of each batch, twice, to name it; a data version has a hash of its own.
pandas_execution_engine.hash_pandas_dataframe = lambda _: ""


def evaluate(
    expectations: list[dict[str, Any]], frame: pd.DataFrame, parameters: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Evaluate a suite; arguments and result as `expectations_process.evaluate` tells."""
    try:
        return _results(expectations, frame, parameters)
    finally:
        _forget()


def _results(
    expectations: list[dict[str, Any]], frame: pd.DataFrame, parameters: Mapping[str, float]
) -> list[dict[str, Any]]:
    batch = _whole_frame().get_batch({"dataframe": frame})
    results = _evaluate(batch, expectations, "BOOLEAN_ONLY", parameters)
    for at, expectation in enumerate(expectations):
        if not results[at]["success"] and "error" not in results[at]:
            # Values and rows are asked for only where something failed: they are the dear part.
            level = "COMPLETE" if expectation["severity"] == "warning" else "SUMMARY"
            results[at] = _evaluate(batch, [expectation], level, parameters)[0]
    return results


@cache
def _whole_frame() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _forget() -> None:
    """Let go of the frame and of what each rule said of each row, which the engine keeps."""
    _CONFIGURATIONS.forget()
    engine = _whole_frame().data_asset.datasource.get_execution_engine()
    engine.batch_manager.batch_data_cache.clear()
    engine.batch_manager.reset_batch_cache()
    engine._metric_cache.clear()


def _evaluate(
    batch: Any,
    expectations: list[dict[str, Any]],
    result_format: str,
    parameters: Mapping[str, float],
) -> list[dict[str, Any]]:
    # The position comes back with the result: the order of results is not promised.
    suite = gx.ExpectationSuite(
        name="suite",
        expectations=[{**e, "meta": {"at": i}} for i, e in enumerate(expectations)],
    )
    answer = batch.validate(
        suite, result_format=result_format, expectation_parameters=dict(parameters)
    )
    results: list[dict[str, Any]] = [{"success": False, "error": "no result"}] * len(expectations)
    for result in answer.results:
        found = {"success": bool(result.success), "result": result.result or {}}
        if not result.success and (error := _exception(result.exception_info)):
            found["error"] = error
        results[int(result.expectation_config.meta["at"])] = found
    return results


def _exception(info: Mapping[str, Any]) -> str:
    for part in (info, *(v for v in info.values() if isinstance(v, Mapping))):
        if part.get("raised_exception"):
            return str(part.get("exception_message"))
    return ""


def main() -> None:
    """Answer the parent until its end of the pipe closes, as it also does when it is killed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    # This module raises its own level to tell of each temporary folder it makes.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    memory.part_with_large()
    pd.options.mode.copy_on_write = True  # it takes a copy of the whole table for most rules
    # Collections amid a suite would find nothing, and walk through all of the library.
    gc.disable()
    gc.freeze()
    while True:
        gc.collect()  # a batch is a cycle that holds the table it judged
        memory.give_back()
        try:
            job = receive(sys.stdin.buffer)
        except EOFError:
            return
        answer: list[dict[str, Any]] | str
        try:
            answer = evaluate(*job)
        except Exception as error:  # GX and marshmallow share no base
            answer = " ".join(str(error).split()) or type(error).__name__
        pickle.dump(answer, answers, protocol=5)
        answers.flush()
        del job, answer


if __name__ == "__main__":
    main()
