"""Where this machine gets its Debian packages from, read for another suite of Debian."""

import re
from collections.abc import Iterator
from pathlib import Path

# Debian releases whose mirrors also carry bookworm.
_CODENAMES = "bullseye|bookworm|trixie|forky|sid"
_SUITE = re.compile(rf"(?:{_CODENAMES})(?P<pocket>-updates|-security)?")
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(.*)")


def debian_sources(etc_apt: Path, suite: str) -> list[str]:
    """The machine's Debian archives as one-line sources of `suite`, in the order found.

    Only `main` of a release, its updates and its security updates is taken; other vendors'
    archives are left out.

    Parameters
    ----------
    etc_apt : Path
        Usually `/etc/apt`.
    suite : str
        Codename wanted, e.g. `bookworm`; the machine may run another one.

    Returns
    -------
    list of str
        Empty when the machine is not a Debian one.
    """
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    found: dict[str, None] = {}
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        entries = {".list": _one_line, ".sources": _deb822}.get(file.suffix)
        for options, uri, old_suite, components in entries(text) if entries else ():
            match = _SUITE.fullmatch(old_suite)
            if match and "main" in components:
                pocket = match["pocket"] or ""
                bracket = f"[{options}] " if options else ""
                found[f"deb {bracket}{uri} {suite}{pocket} main"] = None
    return list(found)


def _one_line(text: str) -> Iterator[tuple[str, str, str, list[str]]]:
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#")[0].strip())
        if match:
            yield match["options"] or "", match["uri"], match["suite"], match[4].split()


def _deb822(text: str) -> Iterator[tuple[str, str, str, list[str]]]:
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        # A line that starts with a blank goes on with the field before it.
        joined = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {
            key.strip().lower(): value.strip()
            for key, colon, value in (line.partition(":") for line in joined.splitlines())
            if colon
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        signed_by = fields.get("signed-by", "")
        options = [f"signed-by={signed_by}"] if signed_by.startswith("/") else []
        if fields.get("trusted") == "yes":
            options.append("trusted=yes")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield " ".join(options), uri, suite, fields.get("components", "").split()
