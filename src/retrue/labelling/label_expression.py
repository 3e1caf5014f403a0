"""Label expressions such as `arr_delay > 15`: parsed, never handed to an interpreter."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

from retrue.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

LATE_LABEL = "late_label"
"""Column of linked rows that holds labels delivered apart from them."""

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda values, known: values.isin(known),
    ast.NotIn: lambda values, known: ~values.isin(known),
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.Not: operator.invert,
    ast.Invert: operator.invert,
}
_REMEDY = "use columns, numbers, texts, + - * / %, comparisons, in [...], and, or, not"


def columns(expression: str) -> tuple[str, ...]:
    """Columns an expression reads, in order of appearance.

    A name with a space or a sign in it is written in backticks.

    Raises
    ------
    ConfigError
        It is no expression, uses something that has no place in a label, or reads no column.

    Examples
    --------
    >>> columns("arr_delay > 15 and `tail num` in ['N1', 'N2']")
    ('arr_delay', 'tail num')
    """
    tree, quoted = _parse(expression)
    names: dict[str, None] = {}
    for node in _checked(tree, expression):
        if isinstance(node, ast.Name):
            names[quoted.get(node.id, node.id)] = None
    if not names:
        raise _refused(expression, "no column")
    return tuple(names)


def evaluate(expression: str, frame: pd.DataFrame) -> pd.Series[Any]:
    """Values of the expression, one a row of `frame`, with its index.

    Returns
    -------
    Series
        float64 for a comparison (1.0 and 0.0) or a number, object for text; missing where any
        column that the expression reads is missing.

    Raises
    ------
    ConfigError
        As `columns`, and when a column is not there or the operation does not fit its values.
    """
    import numpy as np
    import pandas as pd

    tree, quoted = _parse(expression)
    read = columns(expression)
    if absent := [name for name in read if name not in frame.columns]:
        raise _refused(expression, f"no column {absent[0]}")
    known = frame[list(read)].notna().all(axis=1)
    rows = frame.loc[known, list(read)]
    ids = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names = {quoted.get(one, one): one for one in ids}
    values = {names[name]: _plain(rows[name]) for name in read}
    try:
        found = _value(tree, values)
    except (TypeError, ValueError) as error:
        raise _refused(expression, " ".join(str(error).split())) from error
    if pd.api.types.is_object_dtype(found.dtype):
        texts: pd.Series[Any] = found.reindex(frame.index)
        return texts
    numbers = pd.Series(np.nan, index=frame.index)
    numbers.loc[known] = found.to_numpy(np.float64)
    return numbers


def _parse(expression: str) -> tuple[ast.expr, dict[str, str]]:
    """The tree, and the columns that stand for the names made of what was in backticks."""
    parts = expression.split("`")
    if len(parts) % 2 == 0:
        raise _refused(expression, "a backtick that is not closed")
    quoted = {f"column_{i}_in_backticks": parts[i] for i in range(1, len(parts), 2)}
    source = "".join(
        part if i % 2 == 0 else f"column_{i}_in_backticks" for i, part in enumerate(parts)
    )
    try:
        return ast.parse(source.strip(), mode="eval").body, quoted
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(expression, getattr(error, "msg", None) or str(error)) from None


def _checked(tree: ast.expr, expression: str) -> list[ast.AST]:
    """All nodes, each one of those that `_value` knows."""
    nodes = list(ast.walk(tree))
    known = (ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.And, ast.Or)
    operations = (*known, *_BINARY, *_COMPARE, *_UNARY, ast.List, ast.Tuple)
    for node in nodes:
        is_value = isinstance(node, ast.Constant) and isinstance(node.value, int | float | str)
        if not is_value and not isinstance(node, operations):
            raise _refused(expression, f"{type(node).__name__.lower()}")
    return nodes


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Categories as their values: they compare to nothing but their equals."""
    return column.astype(column.cat.categories.dtype) if hasattr(column, "cat") else column


def _value(node: ast.AST, values: dict[str, pd.Series[Any]]) -> Any:  # noqa: PLR0911 - one a kind
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item, values) for item in items]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, values), _value(right, values))
        case ast.BoolOp(op=op, values=terms):
            join = operator.and_ if isinstance(op, ast.And) else operator.or_
            found = _value(terms[0], values)
            for term in terms[1:]:
                found = join(found, _value(term, values))
            return found
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_value(side, values) for side in (left, *others)]
            found = _COMPARE[type(ops[0])](sides[0], sides[1])
            for step, a, b in zip(ops[1:], sides[1:], sides[2:], strict=False):
                found = found & _COMPARE[type(step)](a, b)
            return found
    raise TypeError(f"no rule for {type(node).__name__}")


def _refused(expression: str, found: str) -> ConfigError:
    return ConfigError("a label expression", found, f"label.expression {expression!r}", _REMEDY)
