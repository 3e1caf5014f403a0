"""The house keeps its shape: each library has one home, and the server stays small."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "retrue"

HOMES = {
    "alibi_detect": {"drift.alibi"},
    "apprise": {"alerts"},
    "charset_normalizer": {"sources.text_encoding"},
    "deltalake": {"delta", "delta_upkeep"},
    "dask": {"training_cluster"},
    "distributed": {"dask_cluster", "search.cluster", "training_cluster"},
    "docker": {"engine", "images", "containers"},
    "fsspec": {"sources.remote_source"},
    "great_expectations": {"expectations"},
    "lightgbm": {
        "training",
        "training_cluster",
        "drift.domain",
        "interpretation.explained_model",
        "search.binned",
        "search.evaluate",
        "search.follow",
    },
    "mlflow": {"tracking", "search.runs"},
    "optuna": {"search.study", "search.steering"},
    "psutil": {"processes"},
    "python_calamine": {"sources.workbooks"},
    "rich": {"story", "terminal"},
    "shap": {"interpretation.kernel"},
    "sklearn": {
        "metrics",
        "calibrators",
        "drift.domain",
        "exploration.importance",
        "interpretation.mimic",
        "search.rivals",
    },
    "sqlalchemy": {
        "sources.sql_source",
        *(
            f"ledger.{name}"
            for name in (
                "store",
                "leases",
                "checks",
                "performance",
                "retrainings",
                "deployments",
                "approvals",
                "alerts",
                "backoff",
            )
        ),
    },
    "yaml": {"problems"},
}
IN_THE_IMAGE = {"msgspec", "starlette", "uvicorn", "retrue"}


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, late imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_at_its_home_alone_and_there_it_is(library: str) -> None:
    users = {
        module_name(path)
        for path in SOURCE.rglob("*.py")
        if library in {name.partition(".")[0] for name in imports(path)}
    }
    assert users
    assert users <= HOMES[library], f"{library} strays into {users - HOMES[library]}"


def test_the_server_imports_only_what_its_image_holds() -> None:
    allowed = IN_THE_IMAGE | set(sys.stdlib_module_names)
    for path in (SOURCE / "serving").glob("*.py"):
        names = imports(path)
        assert {name.partition(".")[0] for name in names} <= allowed, path.name
        ours = {name for name in names if name.startswith("retrue")}
        assert all(n == "retrue.errors" or n.startswith("retrue.serving") for n in ours), path.name


def test_no_module_is_longer_than_a_room() -> None:
    folders = (SOURCE, ROOT / "flows", ROOT / "tasks")
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for folder in folders
        for path in folder.rglob("*.py")
    }
    assert {path: n for path, n in lengths.items() if n > 300} == {}
