"""Questions to a running server over HTTP: is it the one, is it ready, does it score right."""

import http.client
import json
import struct
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from retrue.api_keys import own_headers
from retrue.errors import DeployError
from retrue.refs import BundleRef, ServingRef
from retrue.serving.bundle import read_bundle

_REQUEST_TIMEOUT_S = 10.0
_TRIES = 3
_FAULTS = (OSError, http.client.HTTPException, ValueError)


class Connection:
    """One kept connection to a server, past the proxy; the rows it has scored leave no record."""

    def __init__(self, ref: ServingRef, timeout_s: float = _REQUEST_TIMEOUT_S) -> None:
        self._ref = ref
        self._connection = http.client.HTTPConnection(ref.host, ref.port, timeout=timeout_s)

    def __enter__(self) -> "Connection":
        """Connect with the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._connection.close()

    def ask(self, rows: Sequence[str]) -> dict[str, Any]:
        """Answer for rows (JSON objects): one of `predictions` and of `decisions` for each.

        Raises
        ------
        DeployError
            Anything else; the next request connects anew.
        """
        body = f'{{"dataframe_records": [{",".join(rows)}]}}'.encode()
        try:
            status, answer = self.request("POST", "/invocations?log=false", body)
        except _FAULTS as error:
            raise self._failed(str(error) or type(error).__name__) from error
        if status != http.HTTPStatus.OK:
            raise self._failed(f"status {status}: {answer.get('error')}")
        for name in ("predictions", "decisions"):
            found = answer.get(name)
            if not isinstance(found, list) or len(found) != len(rows):
                n = len(found) if isinstance(found, list) else "no"
                raise self._failed(f"{n} {name} for {len(rows)} rows")
        return answer

    def request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; OSError, HTTPException or ValueError for none."""
        try:
            self._connection.request(method, path, body, {} if body is None else self._headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except _FAULTS:
            self._connection.close()
            raise
        return response.status, answer if isinstance(answer, dict) else {}

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | own_headers(self._ref.problem)

    def _failed(self, found: str) -> DeployError:
        self._connection.close()
        return DeployError("scores of all rows", found, self._ref.place, "see what the server said")


def is_healthy(ref: ServingRef) -> bool:
    """Whether that very server (nonce, version, bundle) answers on its port and is ready."""
    try:
        with Connection(ref, timeout_s=2.0) as connection:
            status, answer = connection.request("GET", "/health")
    except _FAULTS:
        return False
    return (
        status == http.HTTPStatus.OK
        and answer.get("status") == "ok"
        and answer.get("boot_nonce") == ref.boot_nonce
        and answer.get("bundle_sha256") == ref.bundle_sha256
        and answer.get("model_version") == ref.model_version
    )


def answers(ref: ServingRef) -> bool:
    """Whether that very server is there; one that is busy, or whose machine is, is asked again."""
    return any(is_healthy(ref) for _ in range(_TRIES))


def check_golden(ref: ServingRef, bundle: BundleRef, timeout_s: float = _REQUEST_TIMEOUT_S) -> int:
    """Ask the server for the bundle's golden rows; each score must be the same, bit for bit.

    The requests are not logged.

    Returns
    -------
    int
        Number of rows checked, at least 1.

    Raises
    ------
    DeployError
        A score differs, or the server does not answer as it should.
    BundleError
        The bundle on disk is damaged.
    """
    golden = read_bundle(bundle.path, bundle.sha256).golden
    remedy = "this version stays out; train again, or report the server's environment"
    if not golden.rows:
        raise DeployError("at least one golden row", "none", ref.place, remedy)
    try:
        with Connection(ref, timeout_s) as connection:
            scores = connection.ask([json.dumps(row) for row in golden.rows])["predictions"]
    except DeployError as error:
        raise DeployError("scores of the golden rows", error.found, ref.place, remedy) from error
    for row, (found, wanted) in enumerate(zip(scores, golden.scores, strict=True)):
        if _bits(found) != _bits(wanted):
            expected = f"score {wanted!r} for golden row {row}"
            raise DeployError(expected, repr(found), ref.place, remedy)
    return len(scores)


def _bits(score: Any) -> bytes:
    scores = score if isinstance(score, list) else [score]
    # Null, which stands for NaN, is no score.
    return b"" if None in scores else struct.pack(f"<{len(scores)}d", *scores)
