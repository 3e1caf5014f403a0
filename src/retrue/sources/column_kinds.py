"""Which columns a definition needs of each source, and what they must hold."""

from retrue.config import Problem
from retrue.labelling.label_expression import LATE_LABEL, columns
from retrue.sources.typed_columns import Kind


def column_kinds(problem: Problem) -> dict[str, dict[str, Kind]]:
    """Columns the definition needs of each source, and what kind each must be.

    A column that is nothing but part of the label may hold anything: its expression says what
    it can use. Times that are features may be missing, the time of a row may not.
    """
    data, features = problem.data, problem.features
    kinds: dict[str, dict[str, Kind]] = {name: {} for name in data.sources}
    origin = {t: (link.table, c) for link in data.links for c, t in link.columns.items()}

    def need(column: str, kind: Kind) -> None:
        table, name = origin.get(column, (data.main, column))
        if kinds[table].get(name, "any") == "any":
            kinds[table][name] = kind

    if data.time is not None:
        need(data.time, "time")
    wanted: tuple[tuple[tuple[str, ...], Kind], ...] = (
        (features.numeric, "number"),
        (features.categorical, "text"),
        (features.text, "text"),
        (features.dates, "optional_time"),
        (tuple(left for link in data.links for left in link.as_of), "optional_time"),
        (data.key, "any"),
        (columns(problem.label.expression), "any"),
    )
    for names, kind in wanted:
        for column in names:
            if not (problem.label.late and column == LATE_LABEL):
                need(column, kind)
    for link in data.links:
        for left, right in link.on.items():
            need(left, "any")
            kinds[link.table][right] = "time" if left == data.time else "any"
        for right in link.as_of.values():
            kinds[link.table][right] = "time"
        for column in link.columns:
            kinds[link.table].setdefault(column, "any")
    return kinds
