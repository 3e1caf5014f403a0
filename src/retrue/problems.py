"""Problem definitions: one YAML file in, one frozen `Problem` out, or one line saying why not."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from retrue.config import Problem
from retrue.errors import ConfigError
from retrue.problem_checks import Loc, cross_checks, did_you_mean

# A message stays one line.
_SHOWN_CHARS = 60


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars only: PyYAML's 1.1 reads the key `on` as True and `1e-3` as text.

    Dates stay text here; the model parses them, so a wrong date gets the same one-line error.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # A few nested aliases can stand for gigabytes, or for themselves.
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
# PyYAML reads a leading zero as octal; people write it for alignment.
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
# A number beyond float64 stays text, which no number's key takes.
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda _, node: float(node.value) if math.isfinite(float(node.value)) else node.value,
)


def load_problem(path_or_name: str | Path, root: Path | None = None) -> Problem:
    """Load and cross-check a problem definition.

    Parameters
    ----------
    path_or_name : str or Path
        A YAML file, or a bare name NAME for `root/configs/NAME.yaml`.
    root : Path, optional
        The project folder; the working directory by default.

    Returns
    -------
    Problem
        Frozen; every name in it refers to something in it.

    Raises
    ------
    ConfigError
        On the first fault by line; the message is one line with file, line, key, expected,
        found and remedy, and says how many more there are.
    """
    path = _path_of(path_or_name, root or Path.cwd())
    tree, lines = _parse(path)
    try:
        # JSON mode is strict on types and still takes lists for tuples and text for dates.
        problem = Problem.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        raise _explain(error, path, lines) from None
    for loc, expected, found, remedy in cross_checks(problem):
        raise ConfigError(expected, found, _where(path, lines, loc), remedy)
    return problem


def all_problems(root: Path) -> list[Problem]:
    """Every problem that `root/configs` defines, by name.

    Raises
    ------
    ConfigError
        If one of them is wrong, or there is none.
    """
    found = [load_problem(path) for path in sorted((root / "configs").glob("*.yaml"))]
    if not found:
        raise ConfigError(
            "at least one configs/NAME.yaml", "none", str(root), "run in the project folder"
        )
    return found


def problem_sha256(problem: Problem) -> str:
    """SHA-256 (hex) of the definition's canonical JSON: same meaning, same hash.

    Comments, order of keys, layout and spelled-out defaults do not matter.
    """
    canonical = json.dumps(
        problem.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _path_of(path_or_name: str | Path, root: Path) -> Path:
    text = str(path_or_name)
    bare = not isinstance(path_or_name, Path) and re.fullmatch(r"[\w-]+", text) is not None
    path = root / "configs" / f"{text}.yaml" if bare else root / path_or_name
    if path.is_file():
        return path
    known = [p.stem for p in sorted((root / "configs").glob("*.yaml"))]
    near = did_you_mean(path.stem, known) or f"problems here: {', '.join(known) or 'none'}"
    raise ConfigError("a problem definition", "no such file", str(path), near)


def _parse(path: Path) -> tuple[dict[str, Any], dict[Loc, int]]:
    """Return the tree as JSON types, and the line (from 1) of each key and item."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise ConfigError(
            "UTF-8 text", f"byte 0x{error.object[error.start]:02x}", str(path), "save it as UTF-8"
        ) from None
    except yaml.MarkedYAMLError as error:
        where = f"{path}:{error.problem_mark.line + 1 if error.problem_mark else 1}"
        what = " ".join(str(error.problem).split())
        raise ConfigError("YAML", what, where, "mend the line or the one above") from None
    except RecursionError:
        raise ConfigError("YAML", "nesting beyond reason", str(path), "flatten it") from None
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise ConfigError("YAML", what, str(path), "remove the odd character") from None
    if not isinstance(node, yaml.MappingNode):
        found = "an empty file" if node is None else "a single value or a list"
        raise ConfigError(
            "keys and values (name, canvas, data, ...)", found, f"{path}:1", "see configs/*.yaml"
        )
    lines: dict[Loc, int] = {(): 1}
    tree = _build(node, (), lines, path)
    return tree, lines


def _build(node: yaml.Node, loc: Loc, lines: dict[Loc, int], path: Path) -> Any:
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            lines[(*loc, i)] = item.start_mark.line + 1
        return [_build(item, (*loc, i), lines, path) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        tree = {}
        for key_node, value in node.value:
            here = (*loc, str(key_node.value))
            line = key_node.start_mark.line + 1
            if here in lines:
                raise ConfigError(
                    f"the key {_dotted(here)} once",
                    f"it again (first on line {lines[here]})",
                    f"{path}:{line}",
                    "remove one of the two",
                )
            lines[here] = line
            tree[here[-1]] = _build(value, here, lines, path)
        return tree
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    except (yaml.constructor.ConstructorError, ValueError):  # ValueError: 4,300 digits
        where = f"{path}:{node.start_mark.line + 1}"
        raise ConfigError("a plain value", f"the tag {node.tag}", where, "remove it") from None
    finally:
        loader.dispose()


def _explain(error: ValidationError, path: Path, lines: dict[Loc, int]) -> ConfigError:
    """One line for the first unknown key, or else the first fault by line of the file."""
    # A misspelled key is also a missing one: the unknown key tells more, so it comes first.
    faults = sorted(
        error.errors(), key=lambda e: (e["type"] != "extra_forbidden", _line(lines, e["loc"]))
    )
    fault = faults[0]
    loc, kind = fault["loc"], fault["type"]
    # "Input should be X" and its kin: what follows is what was expected.
    expected = re.sub(r"^(Input|Value|String) should (be |have |match )?", "", fault["msg"])
    expected = " ".join(expected.split())
    found, remedy = repr(fault["input"]), "correct the value"
    if len(found) > _SHOWN_CHARS:
        found = f"{found[: _SHOWN_CHARS - 3]}..."
    if kind == "extra_forbidden":
        known = _fields_at(loc[:-1])
        expected = f"one of {', '.join(known)}" if known else "no such key"
        found = f"unknown key {loc[-1]}"
        remedy = did_you_mean(str(loc[-1]), known) or "remove it"
    elif kind == "missing":
        expected, found, remedy = f"the key {loc[-1]}", "nothing", "add it"
    if len(faults) > 1:
        remedy += f" ({len(faults) - 1} more to correct)"
    return ConfigError(expected, found, _where(path, lines, loc), remedy)


def _fields_at(loc: Loc) -> list[str]:
    model: Any = Problem
    for part in loc:
        if isinstance(part, str) and isinstance(model, type) and issubclass(model, BaseModel):
            if part not in model.model_fields:
                return []
            model = model.model_fields[part].annotation
        else:
            model = next((a for a in getattr(model, "__args__", ())[::-1] if a is not ...), None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return []


def _line(lines: dict[Loc, int], loc: Loc) -> int:
    while loc not in lines:
        loc = loc[:-1]
    return lines[loc]


def _where(path: Path, lines: dict[Loc, int], loc: Loc) -> str:
    return f"{path}:{_line(lines, loc)} {_dotted(loc)}".rstrip()


def _dotted(loc: Loc) -> str:
    return ".".join(str(part) for part in loc)
