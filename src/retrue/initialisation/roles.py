"""What becomes of each column: a feature of one kind, or left out with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrue.initialisation.profiling import Column

RARE_BELOW = 20
"""LightGBM's own least number of rows in a leaf: a category with fewer cannot be told apart."""
_MANY_CATEGORIES = 50


@dataclass
class Roles:
    """Features by kind, in the table's order; `left_out` has a reason for each other column."""

    numeric: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        """All features."""
        return [*self.numeric, *self.categorical, *self.dates, *self.text]


def assign(
    profile: Mapping[str, Column], target: str, time: str | None, key: tuple[str, ...]
) -> Roles:
    """Give each column its role, the target and the time column excepted."""
    roles = Roles()
    for name, column in profile.items():
        if name in (target, time):
            continue
        reason = _reason(column, name in key)
        if reason is not None:
            roles.left_out[name] = reason
        elif column.kind == "number":
            roles.numeric.append(name)
        elif column.kind == "time":
            roles.dates.append(name)
        elif column.is_free_text:
            roles.text.append(name)
        else:
            roles.categorical.append(name)
    return roles


def without(roles: Roles, suspects: Mapping[str, str]) -> Roles:
    """The roles with likely leaks left out; if nothing were left, they stay and are only named."""
    if set(roles.features) <= set(suspects):
        return Roles(
            roles.numeric,
            roles.categorical,
            roles.dates,
            roles.text,
            roles.left_out,
            dict(suspects),
        )
    numeric, categorical, dates, text = (
        [name for name in names if name not in suspects]
        for names in (roles.numeric, roles.categorical, roles.dates, roles.text)
    )
    return Roles(numeric, categorical, dates, text, roles.left_out, dict(suspects))


def rare_below(profile: Mapping[str, Column], roles: Roles) -> int:
    """Training rows below which categories are put together: 20 where there are many, else 0."""
    many = any(profile[name].n_distinct > _MANY_CATEGORIES for name in roles.categorical)
    return RARE_BELOW if many else 0


def _reason(column: Column, in_key: bool) -> str | None:
    if column.n_present == 0:
        return "empty"
    if column.n_distinct == 1:
        return "one value only"
    if in_key and (column.is_identifier or column.has_id_name):
        return "it identifies the row"
    if column.is_identifier:
        share = f"{column.distinct_share:.0%} of its values differ"
        return f"it identifies rows ({share}); a model would learn it by heart"
    return None
