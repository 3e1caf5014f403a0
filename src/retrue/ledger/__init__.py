"""The truth about decisions: drift checks, retrainings, approvals, deployments. Home of SQLAlchemy.

Each decision is made once (unique keys), one retraining and one deployment of a problem run at a
time, and a fencing token keeps a holder that lost its claim from writing (Kleppmann 2016).
"""

from retrue.ledger.approvals import (
    Approval,
    approvals,
    find_approval,
    record_decision,
    request_approval,
)
from retrue.ledger.checks import Check, checks, open_decisions, record_check
from retrue.ledger.deployments import (
    Deployment,
    finish_deployment,
    history,
    previous_version,
    should_serve,
    start_deployment,
)
from retrue.ledger.heartbeats import beating
from retrue.ledger.holders import Holder, this_process
from retrue.ledger.leases import check_token, heartbeat
from retrue.ledger.retrainings import (
    Claim,
    Retraining,
    claim_retraining,
    finish_retraining,
    retrainings,
)
from retrue.ledger.store import Ledger, connect

__all__ = [
    "Approval",
    "Check",
    "Claim",
    "Deployment",
    "Holder",
    "Ledger",
    "Retraining",
    "approvals",
    "beating",
    "check_token",
    "checks",
    "claim_retraining",
    "connect",
    "find_approval",
    "finish_deployment",
    "finish_retraining",
    "heartbeat",
    "history",
    "open_decisions",
    "previous_version",
    "record_check",
    "record_decision",
    "request_approval",
    "retrainings",
    "should_serve",
    "start_deployment",
    "this_process",
]
