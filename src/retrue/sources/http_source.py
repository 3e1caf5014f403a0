"""Files over HTTP(S): redirects followed by hand, every address checked, nothing beyond a limit."""

import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from retrue.errors import DataError
from retrue.sources.archives import too_large
from retrue.sources.network_addresses import checked_addresses, is_private
from retrue.sources.source_urls import shown, without_secrets

if TYPE_CHECKING:
    import httpx

_MAX_REDIRECTS = 5
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_OK = 200
_CHUNK_BYTES = 1 << 20


def fetch_http(url: str, where: str, max_mb: int) -> tuple[str, bytes]:
    """Fetch a file.

    Returns
    -------
    name : str
        Last part of the configured path, with `.gz` added when the server packed the answer.
    data : bytes
        The body as it came over the network.

    Raises
    ------
    DataError
        If the server cannot be reached or refuses, redirects more than 5 times, to another
        scheme, from HTTPS to HTTP, to HTTP on another host or from a public to a private
        address; an address is link-local or a metadata service; or the body is cut or larger
        than `max_mb`.
    """
    import httpx

    timeout = httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    first = target = _parsed(url, where)
    private = True
    try:
        with httpx.Client(timeout=timeout, follow_redirects=False) as client:
            for _ in range(_MAX_REDIRECTS + 1):
                _check_hop(first, target, where)
                addresses = _addresses(target, where, private=private)
                private = private and any(map(is_private, addresses))
                with _answer(client, target, addresses) as response:
                    if response.status_code in _REDIRECTS and "location" in response.headers:
                        target = target.join(response.headers["location"])
                        continue
                    if response.status_code != _OK:
                        found = f"HTTP {response.status_code}"
                        raise DataError("HTTP 200", found, where, "correct URL or credentials")
                    packed = response.headers.get("content-encoding", "").lower()
                    return _name(first, packed, where), _body(response, max_mb, where)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        found = without_secrets(f"{type(error).__name__}: {error}", url)
        raise DataError("a whole answer", found, where, "check address and network") from None
    found = f"more ({shown(str(target))})"
    raise DataError(f"at most {_MAX_REDIRECTS} redirects", found, where, "use the final URL")


def _parsed(url: str, where: str) -> "httpx.URL":
    import httpx

    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        raise DataError("a URL", "none", where, "correct the URL") from None


def _check_hop(first: "httpx.URL", target: "httpx.URL", where: str) -> None:
    """Plain HTTP only to where the user asked for it."""
    plain = target.scheme == "http" and (first.scheme, first.host) == ("http", target.host)
    if not target.host or not (target.scheme == "https" or plain):
        raise DataError(
            "a redirect to https, or to http on the same host",
            shown(str(target)),
            where,
            "configure the final URL itself if it is right",
        )


def _addresses(target: "httpx.URL", where: str, *, private: bool) -> list[str]:
    """Where to connect; nothing when a proxy does that, which resolves names itself."""
    port = target.port or (443 if target.scheme == "https" else 80)
    proxies = urllib.request.getproxies()
    proxied = target.scheme in proxies or "all" in proxies
    if proxied and not urllib.request.proxy_bypass(target.host):
        try:
            checked_addresses(target.host, port, where, private=private)
        except DataError as error:
            # Behind a proxy names of the outside need not resolve here.
            if error.expected != "a host":
                raise
        return []
    return checked_addresses(target.host, port, where, private=private)


@contextmanager
def _answer(
    client: "httpx.Client", target: "httpx.URL", addresses: list[str]
) -> Iterator["httpx.Response"]:
    """Response of the first address that can be connected to.

    The connection goes to the address that was checked, not to the name, which could resolve
    to another one a moment later; Host header and certificate are those of the name.
    """
    import httpx

    for n_left, host in reversed(list(enumerate(reversed(addresses or [target.host])))):
        request = client.build_request(
            "GET",
            target.copy_with(host=host),
            # Unpacking by the client has no limit; what came is counted and hashed as it came.
            headers={"host": target.netloc.decode(), "accept-encoding": "identity"},
            extensions={"sni_hostname": target.host},
        )
        try:
            response = client.send(request, stream=True)
        except httpx.ConnectError:
            if n_left == 0:
                raise
            continue
        with closing(response):
            yield response
        return


def _name(url: "httpx.URL", packed: str, where: str) -> str:
    name = PurePosixPath(unquote(url.path)).name or "table"
    if packed in ("", "identity"):
        return name
    if packed not in ("gzip", "x-gzip"):
        raise DataError("a plain or gzip answer", packed, where, "use another URL")
    return name if name.lower().endswith(".gz") else f"{name}.gz"


def _body(response: "httpx.Response", max_mb: int, where: str) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_mb << 20:
        raise too_large(max_mb, where)
    return b"".join(_counted(response.iter_raw(_CHUNK_BYTES), max_mb, where))


def _counted(chunks: Iterator[bytes], max_mb: int, where: str) -> Iterator[bytes]:
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > max_mb << 20:
            raise too_large(max_mb, where)
        yield chunk
