"""URLs of sources: `${NAME}` filled in from the environment, and shown without any secret."""

import os
import re
from urllib.parse import urlsplit

from retrue.errors import DataError

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def filled_in(url: str, where: str) -> str:
    """Replace each `${NAME}` by the variable NAME of the environment.

    Raises
    ------
    DataError
        If a variable is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], "")
        if not found:
            raise DataError(
                f"the environment variable {match[1]}", "none", where, f"export {match[1]}=..."
            )
        return found

    return _NAME.sub(value, url)


def shown(url: str) -> str:
    """Scheme, host, port and path of a URL as configured: no user, password or parameters.

    Examples
    --------
    >>> shown("https://me:secret@example.org:8443/a.csv?token=abc")
    'https://example.org:8443/a.csv'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str, url: str) -> str:
    """One line of another's error text, with what only the filled in URL knows crossed out."""
    line = " ".join(text.split())
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    hidden = {user, password, parts.query, *re.split(r"[&=]", parts.query)[1::2]}
    for secret in sorted((s for s in hidden if s), key=len, reverse=True):
        line = line.replace(secret, "***")
    return line
