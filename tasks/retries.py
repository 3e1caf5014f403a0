"""What is worth another try."""

from typing import Any

from retrue.errors import RetrueError


def is_transient(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a failed task may succeed when tried again: a refusal of ours will not."""
    return not isinstance(state.result(raise_on_failure=False), RetrueError)
