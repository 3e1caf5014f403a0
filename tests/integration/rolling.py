"""A rollout in a process of its own, to be killed or stopped."""

import json
import sys

from retrue import slots
from retrue.config import Problem
from retrue.refs import BundleRef
from retrue.rollout.course import Turn, roll_out


def main() -> None:
    """Roll out version 2 of the problem as the one argument, a JSON object, says."""
    given = json.loads(sys.argv[1])
    problem, bundle = Problem.model_validate(given["problem"]), BundleRef(**given["bundle"])
    roll_out(problem, bundle, 2, slots.PROCESS, turn=Turn(token=given["token"]))


if __name__ == "__main__":
    main()
