"""Names of the events that pass between drift check, retraining, approval and other systems."""

DRIFT_DETECTED = "retrue.drift.detected"
RETRAIN_REQUESTED = "retrue.retrain.requested"
DATA_BROKEN = "retrue.data.broken"
APPROVAL_REQUESTED = "retrue.approval.requested"


def resource_id(problem: str) -> str:
    """The `prefect.resource.id` that events of a problem carry.

    Examples
    --------
    >>> resource_id("flights")
    'retrue.problem.flights'
    """
    return f"retrue.problem.{problem}"
