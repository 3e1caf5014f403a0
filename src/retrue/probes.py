"""Questions to a running server over HTTP: is it the one, is it ready, does it score right."""

import http.client
import json
import struct
from typing import Any

from retrue.errors import DeployError
from retrue.refs import BundleRef, ServingRef
from retrue.serving.bundle import read_bundle

_REQUEST_TIMEOUT_S = 10.0


def is_healthy(ref: ServingRef) -> bool:
    """Whether that very server (nonce, version, bundle) answers on its port and is ready."""
    try:
        status, answer = _request(ref, "GET", "/health", None, timeout_s=2.0)
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return (
        status == http.HTTPStatus.OK
        and answer.get("status") == "ok"
        and answer.get("boot_nonce") == ref.boot_nonce
        and answer.get("bundle_sha256") == ref.bundle_sha256
        and answer.get("model_version") == ref.model_version
    )


def check_golden(ref: ServingRef, bundle: BundleRef) -> int:
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
    where = f"{ref.target} in slot {ref.slot} of {ref.problem}, version {ref.model_version}"
    remedy = "this version stays out of service; train again, or report the server's environment"
    body = json.dumps({"dataframe_records": golden.rows}).encode()
    try:
        status, answer = _request(ref, "POST", "/invocations?log=false", body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeployError("scores of the golden rows", str(error), where, remedy) from error
    scores = answer.get("predictions")
    if status != http.HTTPStatus.OK or not golden.scores or not isinstance(scores, list):
        found = f"status {status} for {len(golden.rows)} rows"
        raise DeployError("scores of at least one golden row", found, where, remedy)
    if len(scores) != len(golden.scores):
        expected = f"{len(golden.scores)} scores"
        raise DeployError(expected, str(len(scores)), where, remedy)
    for row, (found, wanted) in enumerate(zip(scores, golden.scores, strict=True)):
        if _bits(found) != _bits(wanted):
            expected = f"score {wanted!r} for golden row {row}"
            raise DeployError(expected, repr(found), where, remedy)
    return len(scores)


def _bits(score: Any) -> bytes:
    scores = score if isinstance(score, list) else [score]
    return struct.pack(f"<{len(scores)}d", *scores)


def _request(
    ref: ServingRef,
    method: str,
    path: str,
    body: bytes | None,
    timeout_s: float = _REQUEST_TIMEOUT_S,
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(ref.host, ref.port, timeout=timeout_s)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer if isinstance(answer, dict) else {}
    finally:
        connection.close()
