"""Sources of Debian packages, read from a machine's configuration."""

from pathlib import Path

from retrue.apt_sources import debian_sources

DEB822 = """\
# Mirror of the house
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components:
 main

Types: deb
Enabled: no
URIs: http://switched-off.example/debian
Suites: bookworm
Components: main
"""


def write(folder: Path, name: str, text: str) -> None:
    """Write a sources file below `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_deb822_sources_become_lines_with_security_updates(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert debian_sources(tmp_path, "bookworm") == [
        f"deb {keyring} http://mirror.example/debian bookworm main",
        f"deb {keyring} http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_a_newer_debian_gives_its_mirror_for_the_suite_wanted(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        "deb [trusted=yes] http://mirror.example/debian trixie main non-free # house\n"
        "deb-src http://mirror.example/debian trixie main\n"
        "#deb http://off.example/debian trixie main\n"
        "deb http://mirror.example/security trixie-security main\n",
    )
    assert debian_sources(tmp_path, "bookworm") == [
        "deb [trusted=yes] http://mirror.example/debian bookworm main",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_other_vendors_and_other_distributions_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "sources.list", "deb http://archive.example/ubuntu noble main\n")
    write(tmp_path, "sources.list.d/docker.list", "deb http://docker.example bookworm stable\n")
    write(tmp_path, "sources.list.d/sdk.list", "deb http://sdk.example cloud-sdk-bookworm main\n")
    write(tmp_path, "sources.list.d/old.list.disabled", "deb http://x.example bookworm main\n")
    assert debian_sources(tmp_path, "bookworm") == []


def test_a_machine_without_apt_has_none(tmp_path: Path) -> None:
    assert debian_sources(tmp_path / "missing", "bookworm") == []
