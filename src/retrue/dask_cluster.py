"""The way to a Dask cluster, for all that may run on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.errors import StackError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_TIMEOUT_S = 20


def connect(address: str, key: str) -> Client:
    """A client of the scheduler at `address`, which the configuration's `key` names.

    Raises
    ------
    StackError
        The package is not installed, or no scheduler answers there within 20 s.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise StackError(
            "the extra `dask`",
            f"no module {error.name}",
            f"{key} {address}",
            f"run `uv sync --extra dask`, or leave {key} empty",
        ) from error
    try:
        return Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise StackError(
            "a Dask scheduler",
            " ".join(str(error).split()) or type(error).__name__,
            f"{key} {address}",
            "start one (`dask scheduler`, `dask worker`), or mend the address",
        ) from error


def workers(client: Client, address: str, key: str) -> list[str]:
    """Addresses of the cluster's workers, sorted.

    Raises
    ------
    StackError
        There is none.
    """
    found = sorted(client.scheduler_info(n_workers=-1)["workers"])
    if not found:
        raise StackError(
            "a Dask worker",
            "a scheduler without any",
            f"{key} {address}",
            f"start some (`dask worker {address}`)",
        )
    return found
