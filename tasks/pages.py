"""Pages of a run in the Prefect UI."""

from prefect.artifacts import create_markdown_artifact


def publish(markdown: str, kind: str, problem: str) -> None:
    """Add a page to the present run; pages of one kind and problem form a history."""
    create_markdown_artifact(markdown, key=f"{kind}-{problem}", description=f"{kind} of {problem}")


def page_of(kind: str, problem: str) -> str:
    """Where the newest page of a kind is in the Prefect UI, for a link within it."""
    return f"/artifacts/key/{kind}-{problem}"
