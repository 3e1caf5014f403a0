"""The truth about decisions: checks, retrainings, approvals, deployments. Home of SQLAlchemy.

Each decision is made once (unique keys), one retraining and one deployment of a problem run at a
time, and a fencing token keeps a holder that lost its claim from writing (Kleppmann 2016).
"""

from retrue.ledger.alerts import (
    Alert,
    alerts,
    deliver,
    record_alert,
    take_alert,
)
from retrue.ledger.approvals import (
    Approval,
    approvals,
    find_approval,
    record_decision,
    request_approval,
)
from retrue.ledger.backoff import Backoff, Standing, standing
from retrue.ledger.checks import (
    Check,
    checks,
    find_decision,
    open_decisions,
    record_check,
    to_announce,
    undone,
)
from retrue.ledger.deployments import (
    Deployment,
    deployment_turn,
    finish_deployment,
    history,
    previous_version,
    should_serve,
    start_deployment,
)
from retrue.ledger.heartbeats import beating
from retrue.ledger.holders import Holder, this_process
from retrue.ledger.leases import check_token, heartbeat
from retrue.ledger.performance import PerformanceCheck, performance_checks, record_performance
from retrue.ledger.retrainings import (
    Claim,
    Retraining,
    claim_retraining,
    finish_retraining,
    retrainings,
    running_retraining,
)
from retrue.ledger.store import Ledger, connect

__all__ = [
    "Alert",
    "Approval",
    "Backoff",
    "Check",
    "Claim",
    "Deployment",
    "Holder",
    "Ledger",
    "PerformanceCheck",
    "Retraining",
    "Standing",
    "alerts",
    "approvals",
    "beating",
    "check_token",
    "checks",
    "claim_retraining",
    "connect",
    "deliver",
    "deployment_turn",
    "find_approval",
    "find_decision",
    "finish_deployment",
    "finish_retraining",
    "heartbeat",
    "history",
    "open_decisions",
    "performance_checks",
    "previous_version",
    "record_alert",
    "record_check",
    "record_decision",
    "record_performance",
    "request_approval",
    "retrainings",
    "running_retraining",
    "should_serve",
    "standing",
    "start_deployment",
    "take_alert",
    "this_process",
    "to_announce",
    "undone",
]
