"""Sending past rows to a server as real HTTP requests: in bulk, or as steady traffic."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pandas as pd

_FAULTS = (OSError, HTTPException, ValueError)
_OK = 200
# Enough to keep a server of two cores busy while answers are on their way.
_CONNECTIONS = 4
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class ReplayResult:
    """What became of a replay."""

    requests: int
    """Requests sent, failed ones included."""
    rows: int
    """Rows whose predictions were answered (and are durable)."""
    failed: int
    """Requests with another answer than 200, or none."""
    seconds: float


@dataclass(frozen=True)
class TrafficReport:
    """What became of the requests of `Traffic`."""

    answered: int
    failed: int
    by_model_version: Mapping[int, int]


def replay(
    rows: pd.DataFrame,
    url: str,
    group_by: str | int = 1000,
    time_column: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ReplayResult:
    """Post rows to a server's /invocations and count what fails.

    A few kept connections are in use at once: requests start in order and may end out of it.

    Parameters
    ----------
    rows : DataFrame
        Every column is sent: null as null, timestamps as ISO 8601 in UTC.
    url : str
        Address of the server or proxy, as http://127.0.0.1:8080.
    group_by : str or int
        A column (one request for each of its values) or the number of rows a request.
    time_column : str or None
        Rows are sent in the order of this column; None keeps the order of the frame.
    progress : callable or None
        Called with (requests done, all requests) after each request, from several threads.
    headers : mapping, optional
        Sent with each request, such as `api_keys.own_headers`.

    Returns
    -------
    ReplayResult
        All zero for an empty frame.
    """
    started = time.perf_counter()
    ordered = rows.sort_values(time_column, kind="stable") if time_column else rows
    bodies = list(_bodies(ordered, group_by))
    done = Counter[str]()
    lock = threading.Lock()
    queue = iter(bodies)

    def work() -> None:
        client = _Client(url, _TIMEOUT_S, headers=headers)
        while True:
            with lock:
                n_rows, body = next(queue, (0, b""))
            if not body:
                break
            answer = client.post(body)
            with lock:
                done["requests"] += 1
                done["rows"] += 0 if answer is None else n_rows
                done["failed"] += answer is None
                finished = done["requests"]
            if progress is not None:
                progress(finished, len(bodies))
        client.close()

    with ThreadPoolExecutor(max_workers=_CONNECTIONS) as pool:
        for worker in [pool.submit(work) for _ in range(_CONNECTIONS)]:
            worker.result()
    seconds = time.perf_counter() - started
    return ReplayResult(done["requests"], done["rows"], done["failed"], seconds)


class Traffic:
    """Steady one-row requests from a background thread, from `with` to its end or `stop`.

    Parameters
    ----------
    rows : DataFrame
        Sent one after the other, and again from the first; at least one.
    url : str
        Address of the server or proxy.
    interval_s : float
        From one request to the next; a slow answer delays the next request.
    timeout_s : float
        For each request; one that takes longer has failed.
    path : str
        `/invocations?log=false` leaves no records.
    headers : mapping, optional
        Sent with each request, such as `api_keys.own_headers`.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        url: str,
        interval_s: float = 0.05,
        timeout_s: float = 10.0,
        path: str = "/invocations",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if rows.empty:
            raise ValueError("at least one row wanted")
        self._bodies = [body for _, body in _bodies(rows, 1)]
        self._client = _Client(url, timeout_s, path, headers)
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._versions = Counter[int]()
        self._failed = 0
        self._thread = threading.Thread(target=self._send, name="traffic", daemon=True)

    def __enter__(self) -> "Traffic":
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def report(self) -> TrafficReport:
        """Count what was answered and what failed so far."""
        versions = dict(self._versions)
        return TrafficReport(sum(versions.values()), self._failed, versions)

    def stop(self) -> TrafficReport:
        """Let the request under way end, and report."""
        self._stopping.set()
        self._thread.join()
        return self.report()

    def _send(self) -> None:
        for body in cycle(self._bodies):
            if self._stopping.is_set():
                break
            answer = self._client.post(body)
            if answer is None:
                self._failed += 1
            else:
                self._versions[int(answer["model_version"])] += 1
            self._stopping.wait(self._interval_s)
        self._client.close()


class _Client:
    """One kept connection; a failed request is None and the next one connects anew."""

    def __init__(
        self,
        url: str,
        timeout_s: float,
        path: str = "/invocations",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        # Not httpx: its share of the time is above the server's (and it obeys proxy variables).
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        self._path = path
        self._headers = {"content-type": "application/json", **(headers or {})}

    def post(self, body: bytes) -> dict[str, Any] | None:
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            content = response.read()
            if response.status != _OK:
                return None
            answer: dict[str, Any] = json.loads(content)
        except _FAULTS:
            self._connection.close()
            return None
        return answer

    def close(self) -> None:
        self._connection.close()


def _bodies(rows: pd.DataFrame, group_by: str | int) -> Iterator[tuple[int, bytes]]:
    """Yield the number of rows and the dataframe_split body of each request."""
    names = [str(name) for name in rows.columns]
    # All columns once: pandas' cost for each part would exceed that of sending it.
    columns = [_json_values(rows.iloc[:, position]) for position in range(rows.shape[1])]
    values = list(zip(*columns, strict=True))
    if isinstance(group_by, str):
        groups, _ = pd.factorize(rows[group_by], use_na_sentinel=False)
        order = np.argsort(groups, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    else:
        parts = [np.arange(len(rows))[at : at + group_by] for at in range(0, len(rows), group_by)]
    for part in parts if len(rows) else ():
        split = {"columns": names, "data": [values[row] for row in part.tolist()]}
        # msgspec writes NaN as null; pandas' to_json would round numbers to 15 digits.
        yield len(part), msgspec.json.encode({"dataframe_split": split}, enc_hook=_plain)


def _json_values(column: "pd.Series[Any]") -> Sequence[object]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        utc = pd.to_datetime(column, utc=True).dt.tz_localize(None)
        texts = np.datetime_as_string(utc.to_numpy("datetime64[us]"))
        whole = np.char.replace(texts, ".000000", "")
        valid = column.notna()
        return [
            f"{text}Z" if is_valid else None for text, is_valid in zip(whole, valid, strict=True)
        ]
    if column.dtype.kind in "iufb" and isinstance(column.dtype, np.dtype):
        return column.tolist()
    return column.astype(object).where(column.notna(), None).tolist()


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)
