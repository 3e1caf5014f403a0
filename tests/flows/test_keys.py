"""A service with keys in the whole loop: Retrue's own requests get through, and no key gets out."""

from pathlib import Path

from retrue import api_keys
from retrue.home import serving_dir
from retrue.replay import replay
from retrue.serving.keys import Scope
from tests.flows.harness import STACK, Stack

pytestmark = STACK


def test_a_model_is_deployed_and_asked_with_keys_that_no_run_tag_or_log_holds(loop: Stack) -> None:
    key = api_keys.add("keyed", "shop", [Scope.PREDICT])
    loop.serve("keyed")
    rows, url = loop.rows().head(20), loop.url("keyed")
    assert replay(rows, url, 10).failed == 2
    assert replay(rows, url, 10, headers={"Authorization": f"Bearer {key}"}).failed == 0
    assert replay(rows, url, 10, headers=api_keys.own_headers("keyed")).failed == 0

    own = serving_dir("keyed") / "own.key"
    # Databases of Prefect and MLflow, artifacts, ledger, bundles, logs, records.
    for file in filter(Path.is_file, loop.home.rglob("*")):
        content = file.read_bytes()
        assert key.encode() not in content, file
        assert (own.read_bytes() in content) == (file == own), file
