"""A model that the workers of a Dask cluster fit, from its tables to its answers."""

import json
from pathlib import Path

from retrue.processes import free_port
from tests.flows.harness import STACK, Stack
from tests.flows.project import ROOT, write_config
from tests.unit.conftest import dask_cluster

pytestmark = STACK


def test_a_model_fitted_by_a_cluster_is_judged_registered_and_served(
    loop: Stack, tmp_path: Path
) -> None:
    config = write_config(loop.root, "clustered", free_port())
    (loop.root / "expectations" / "clustered").symlink_to(ROOT / "expectations" / "flights")
    with dask_cluster(tmp_path, n_workers=2) as address:
        tree = json.loads(config.read_text())
        tree["training"]["cluster"] = address
        config.write_text(json.dumps(tree))
        trained = loop.run("train", problem="clustered")
    text = (Path(trained["model"]["bundle"]["path"]) / "model.txt").read_text()
    assert "[num_machines: 2]" in text
    assert address not in text and "127.0.0.1" not in text
    assert "at 95%" in trained["verdict"]["reason"]
    assert trained["verdict"]["n_seeds"] == 1, "the same rows give the same model again"
    loop.serve("clustered")
    assert loop.answering("clustered") == 1
