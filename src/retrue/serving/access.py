"""Who may ask for what: API keys where they are in force, and no other site's pages elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from retrue.errors import DeployError
from retrue.serving.bodies import send_json
from retrue.serving.keys import Keyring
from retrue.serving.keys import Scope as KeyScope

# What load balancers and the container's health check ask; it tells nothing of the data.
OPEN_PATHS = frozenset({"/health", "/ping", "/v2/health/live", "/v2/health/ready"})
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="retrue"'),)
_BEARER = b"bearer "


def guard(app: ASGIApp, keyring: Keyring) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Let through to `app` what may pass; a path that nobody thought of needs a key."""

    # No coroutine of its own: what passes costs one call.
    def guarded(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if not keyring.are_wanted:
            for name, _ in scope["headers"]:
                if name == b"origin" and not _is_own_page(dict(scope["headers"])):
                    return _refuse(send, 403, "pages of another site may not ask this server")
            return app(scope, receive, send)
        if scope["path"] in OPEN_PATHS:
            return app(scope, receive, send)
        key = _presented(dict(scope["headers"]))
        scopes = None if key is None else keyring.scopes(key)
        if scopes is None:
            return _refuse(send, 401, "an API key in force is wanted", _CHALLENGE)
        if (needed := _needed(scope)) is not None and needed not in scopes:
            return _refuse(send, 403, f"this key has no scope {needed}")
        return app(scope, receive, send)

    return guarded


def may_predict(keyring: Keyring, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the key in the headers is in force and may ask for scores."""
    key = _presented(headers)
    return key is not None and KeyScope.PREDICT in (keyring.scopes(key) or ())


def insist_keys(keyring: Keyring, address: str) -> None:
    """Refuse to be reached by other machines without keys.

    Raises
    ------
    DeployError
        `address` is not this machine's own, and no key is asked for.
    """
    if not is_loopback(address) and not keyring.are_wanted:
        raise DeployError(
            "API keys where other machines reach the server",
            "none",
            f"address {address}",
            "`retrue keys add`, then --keys FILE; or --host 127.0.0.1, or for a container whose "
            "port is published there, --published-at 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.example")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get(b"x-api-key")


def _needed(scope: Scope) -> str | None:
    if scope["method"] in ("GET", "HEAD"):
        return None
    return "feedback" if scope["path"] == "/feedback" else "predict"


def _is_own_page(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser's page came from this server itself.

    Any site may have its visitors' browsers post to a loopback address, and so fill our log. A
    name that its owner points at 127.0.0.1 afterwards makes both headers agree, hence the address.
    """
    try:
        host = headers.get(b"host", b"").decode("ascii")
        own = is_loopback(urlsplit(f"http://{host}").hostname or "")
    except ValueError:
        return False
    return own and headers[b"origin"] == b"http://" + host.encode()


def _refuse(
    send: Send, status: int, error: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Awaitable[None]:
    return send_json(send, status, {"error": error}, is_closing=False, headers=headers)
