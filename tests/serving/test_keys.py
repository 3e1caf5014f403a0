"""API keys on a real server: who gets in, who does not, and what is told."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrue import api_keys
from retrue.errors import ConfigError
from retrue.home import home, serving_dir
from retrue.probes import check_golden
from retrue.refs import BundleRef, ServingRef
from retrue.replay import Traffic, replay
from retrue.serving.access import OPEN_PATHS
from retrue.serving.keys import Keyring, Scope
from retrue.serving.log_reading import read_after
from tests.serving.tiny_model import Made, Server, Start, json_rows, make_frame

NAME = "tiny"
ALL = tuple(Scope)
Keyed = Callable[..., Server]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


@pytest.fixture
def keyed(start: Start) -> Keyed:
    """Start a server that looks at the problem's list of keys."""
    return lambda **more: start(options=["--keys", str(api_keys.keys_file(NAME))], **more)


def ask(
    server: Server,
    path: str,
    headers: dict[str, str],
    body: Any = None,
    method: str | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    content = None if body is None else json.dumps(body).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, content, headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, answer


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_request_needs_a_key_in_force_and_health_does_not(keyed: Keyed, made: Made) -> None:
    key = api_keys.add(NAME, "shop", ALL)
    server = keyed()
    body = {"instances": json_rows(made.frame.head(1))}
    wrong = [{}, bearer("retrue_x"), bearer(""), {"X-API-Key": "é"}, {"Authorization": key}]
    wrong += [bearer(f"{key}x"), bearer(key[:-1]), {"Authorization": f"Basic {key}"}]
    for headers in wrong:
        status, told, answer = ask(server, "/invocations", headers, body)
        assert (status, told["www-authenticate"]) == (401, 'Bearer realm="retrue"'), headers
        assert json.loads(answer) == {"error": "an API key in force is wanted"}
        assert ask(server, "/version", headers)[0] == 401
        assert ask(server, "/nowhere", headers)[0] == 401
    for headers in (bearer(key), {"authorization": f"bEARER  {key}"}, {"X-API-Key": key}):
        assert ask(server, "/invocations", headers, body)[0] == 200
        assert ask(server, "/version", headers)[0] == 200
        assert ask(server, "/nowhere", headers)[0] == 404
    for path in OPEN_PATHS & {"/health", "/ping"}:
        assert ask(server, path, {})[0] == 200
    assert len(read_after(server.log, 0)) == 3


def test_a_key_may_do_what_its_scopes_say(keyed: Keyed, made: Made) -> None:
    scorer = api_keys.add(NAME, "scorer", [Scope.PREDICT])
    labels = api_keys.add(NAME, "labels", [Scope.FEEDBACK])
    watcher = api_keys.add(NAME, "watcher", [Scope.OBSERVE])
    server = keyed()
    row = json_rows(made.frame.head(1))[0]
    label = {"key": {"time": row["time"], "flight": row["flight"]}, "label": 1}
    found = {
        name: [
            ask(server, "/invocations", bearer(key), {"instances": [row]})[0],
            ask(server, "/feedback", bearer(key), label)[0],
            ask(server, "/version", bearer(key))[0],
        ]
        for name, key in {"scorer": scorer, "labels": labels, "watcher": watcher}.items()
    }
    assert found == {
        "scorer": [200, 403, 200],
        "labels": [403, 200, 200],
        "watcher": [403, 403, 200],
    }


def test_keys_come_and_go_while_the_server_runs(keyed: Keyed) -> None:
    server = keyed()
    assert ask(server, "/version", {})[0] == 200
    one, two = api_keys.add(NAME, "one", ALL), api_keys.add(NAME, "two", ALL)
    time.sleep(1.1)
    assert [ask(server, "/version", bearer(key))[0] for key in (one, two, "")] == [200, 200, 401]
    api_keys.revoke(NAME, "one")
    time.sleep(1.1)
    assert [ask(server, "/version", bearer(key))[0] for key in (one, two, "")] == [401, 200, 401]


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "others"])
def test_a_list_that_vanishes_or_breaks_opens_nothing(
    keyed: Keyed, damage: str, tmp_path: Path
) -> None:
    key = api_keys.add(NAME, "one", ALL)
    path = api_keys.keys_file(NAME)
    whole = path.read_text()
    server = keyed()
    if damage == "gone":
        path.unlink()
    else:
        path.write_text({"empty": "", "cut": whole[:-20], "others": '{"keys": [{"a": 1}]}'}[damage])
    time.sleep(1.1)
    assert [ask(server, "/version", bearer(text))[0] for text in (key, "")] == [401, 401]
    assert ask(server, "/ping", {})[0] == 200
    path.write_text(whole)
    time.sleep(1.1)
    assert ask(server, "/version", bearer(key))[0] == 200
    said = (tmp_path / "stderr-n0").read_text()
    assert said.count("every key is refused") == 1
    assert key not in said


def test_a_damaged_list_is_refused_at_the_start(start: Start, made: Made) -> None:
    api_keys.keys_file(NAME).write_text("[]")
    with pytest.raises(AssertionError, match="expected a readable list of API keys"):
        start(options=["--keys", str(api_keys.keys_file(NAME))])


@pytest.mark.parametrize("host", [["--host", "0.0.0.0"], ["--published-at", "192.0.2.1"]])
def test_other_machines_reach_the_server_with_keys_only(
    start: Start, made: Made, host: list[str]
) -> None:
    keys = ["--keys", str(api_keys.keys_file(NAME))]
    for options in (host, [*host, *keys]):
        command = [sys.executable, "-m", "retrue.serving", "--bundle", str(made.path), "--sha256"]
        command += [made.sha256, *options]
        child = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert child.returncode == 2
        assert "expected API keys where other machines reach the server" in child.stderr
    api_keys.add(NAME, "one", ALL)
    assert start(options=[*host, *keys]).get("/ping") == {}


def test_retrues_own_requests_carry_a_key_that_can_be_revoked(keyed: Keyed, made: Made) -> None:
    assert api_keys.own_headers(NAME) == {}
    api_keys.add(NAME, "one", [Scope.OBSERVE])
    server = keyed(nonce="abc")
    ref = ServingRef(
        problem=NAME,
        slot="a",
        target="process",
        host="127.0.0.1",
        port=server.port,
        handle=str(server.process.pid),
        model_version=1,
        bundle_sha256=made.sha256,
        image_digest=None,
        boot_nonce="abc",
    )
    bundle = BundleRef(problem=NAME, path=made.path, sha256=made.sha256)
    assert check_golden(ref, bundle) == 20
    frame = make_frame(20, seed=3)
    assert replay(frame, server.url, 10).failed == 2
    headers = api_keys.own_headers(NAME)
    assert replay(frame, server.url, 10, headers=headers).failed == 0
    with Traffic(frame, server.url, 0.01, headers=headers) as traffic:
        time.sleep(0.2)
    assert traffic.report().failed == 0
    api_keys.revoke(NAME, api_keys.OWN)
    time.sleep(1.1)
    assert ask(server, "/version", headers)[0] == 401
    assert ask(server, "/version", api_keys.own_headers(NAME))[0] == 200
    assert check_golden(ref, bundle) == 20


def test_only_the_owner_may_read_the_own_key_and_only_hashes_are_kept_of_others() -> None:
    key = api_keys.add(NAME, "one", ALL)
    own = serving_dir(NAME) / "own.key"
    assert own.stat().st_mode & 0o777 == 0o600
    assert own.parent != api_keys.keys_file(NAME).parent
    for file in filter(Path.is_file, home().rglob("*")):
        assert key not in file.read_text()
        assert (own.read_text() in file.read_text()) == (file == own)


def test_names_are_checked_and_a_missing_key_is_said() -> None:
    api_keys.add(NAME, "one", ALL)
    for name in ("one", api_keys.OWN, "", "a b", "a" * 65, "../x"):
        with pytest.raises(ConfigError):
            api_keys.add(NAME, name, ALL)
    with pytest.raises(ConfigError, match="a key named 'two', found one, retrue"):
        api_keys.revoke(NAME, "two")
    found = api_keys.listed(NAME)
    assert found is not None
    assert [key.name for key in found] == ["one", "retrue"]


def test_equal_keys_have_unlike_hashes() -> None:
    keys = {api_keys.add(NAME, f"k{number}", ALL) for number in range(5)}
    found = api_keys.listed(NAME)
    assert found is not None
    assert len(keys) == 5
    assert len({key.salt for key in found}) == 6
    ring = Keyring(api_keys.keys_file(NAME))
    assert all(ring.scopes(key.encode()) == frozenset(map(str, ALL)) for key in keys)
    assert ring.scopes(found[0].sha256.encode()) is None


ORIGINS = {
    "http://127.0.0.1:{port}": 200,
    "http://evil.example": 403,
    "http://127.0.0.1:1": 403,
    "https://127.0.0.1:{port}": 403,
    "null": 403,
    "": 403,
}


def test_a_page_of_another_site_may_not_post_to_a_server_without_keys(
    start: Start, made: Made
) -> None:
    server = start()
    body = {"instances": json_rows(made.frame.head(1))}
    found = {
        origin: ask(server, "/invocations", {"Origin": origin.format(port=server.port)}, body)[0]
        for origin in ORIGINS
    }
    assert found == ORIGINS
    # A name that its owner points at this machine afterwards.
    rebound = {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}
    assert ask(server, "/invocations", rebound, body)[0] == 403
    assert len(read_after(server.log, 0)) == 1
