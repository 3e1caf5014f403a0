"""The search inside a training: lanes of trials side by side, then one recipe."""

from prefect.futures import wait

from retrue.config import Problem
from retrue.refs import DataRef
from retrue.search.recipe import apply
from tasks import search as search_tasks


def search(problem: Problem, data: DataRef) -> tuple[Problem, str]:
    """The problem with the recipe that a search found, and the search's run in MLflow.

    Each lane is a task run of its own.
    """
    begun = search_tasks.begin(problem, data)
    lanes = [
        search_tasks.lane.submit(problem, data, begun, number)
        for number in range(problem.search.n_workers)
    ]
    wait(lanes)
    for one in lanes:
        one.result()
    recipe, run_id = search_tasks.choose(problem, data, begun)
    return apply(problem, recipe), run_id
