"""The Open Inference Protocol, version 2: tensors to rows, and answers to tensors."""

import struct
from collections.abc import Sequence
from itertools import chain
from math import isfinite, prod
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import UNSET, UnsetType

from retrue.errors import DataError
from retrue.serving.bundle import Signature
from retrue.serving.features import Scalar
from retrue.serving.parsing import (
    TEXT_CHARS,
    Value,
    bounded,
    long_text,
    repeats_name,
)
from retrue.serving.scoring import Answer

# The protocol's names, what `struct` calls them, and the JSON values they take.
_DATATYPES: dict[str, tuple[str, object]] = {
    "BOOL": ("?", list[bool | None]),
    **{name: (code, list[int | None]) for name, code in zip(
        ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
        "bhiqBHIQ", strict=True)},
    **{name: (code, list[float | None]) for name, code in zip(
        ("FP16", "FP32", "FP64"), "efd", strict=True)},
    "BYTES": ("", list[str | None]),
}  # fmt: skip
_ONE_OR_TWO = msgspec.Meta(min_length=1, max_length=2)
_KINDS = {"numeric": "FP64", "categorical": "BYTES", "date": "BYTES", "text": "BYTES"}


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input; `data` is absent where its bytes follow the JSON text."""

    name: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=2**40)]], _ONE_OR_TWO]
    datatype: str  # not an enumeration: msgspec's refusal of one repeats the value
    data: list[Value | list[Value]] | UnsetType = UNSET
    parameters: dict[str, Value] | UnsetType = UNSET


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output that is asked for."""

    name: str
    parameters: dict[str, Value] | UnsetType = UNSET


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An inference request."""

    inputs: list[Tensor]
    id: str | UnsetType = UNSET
    outputs: list[Wanted] | UnsetType = UNSET
    parameters: dict[str, Value] | UnsetType = UNSET


class Inference(NamedTuple):
    """What is asked: columns of one length, the request's id, the outputs (None: all)."""

    columns: dict[str, list[Scalar]]
    id: str | UnsetType
    outputs: list[str] | None


_DECODER = msgspec.json.Decoder(Body)


def model_paths(name: str, model_version: int) -> tuple[str, str]:
    """Where a model is found, without and with its version."""
    return f"/v2/models/{name}", f"/v2/models/{name}/versions/{model_version}"


def metadata(signature: Signature, model_version: int) -> dict[str, object]:
    """The model's tensors: one input a feature, each with one value a row."""
    inputs = [
        {"name": feature["name"], "datatype": _KINDS[feature["kind"]], "shape": [-1]}
        for feature in signature.features
    ]
    outputs = [
        {"name": name, "datatype": datatype, "shape": [-1, *inner]}
        for name, (datatype, inner) in _outputs(signature).items()
    ]
    return {
        "name": signature.problem,
        "versions": [str(model_version)],
        "platform": "lightgbm",
        "inputs": inputs,
        "outputs": outputs,
    }


def _outputs(signature: Signature) -> dict[str, tuple[str, list[int]]]:
    """Datatype and inner shape of each output."""
    shape = [len(signature.classes)] if signature.classes else []
    decision = {"binary": "INT64", "multiclass": "BYTES"}.get(signature.task)
    return {
        "predictions": ("FP64", shape),
        **({"decisions": (decision, [])} if decision else {}),
        "prediction_ids": ("BYTES", []),
    }


def read_inference(content: bytes, json_bytes: int | None, signature: Signature) -> Inference:
    """Rows of an inference request.

    Parameters
    ----------
    content : bytes
        JSON text, and after it the bytes of those tensors that are sent as such.
    json_bytes : int or None
        Length of the JSON text, None when there is nothing else.
    signature : Signature
        The model's. One tensor a column, shape (n) or (n, 1), or a single tensor of shape
        (n, n_features) that holds the features in the order of the metadata.

    Raises
    ------
    DataError
        Anything else; the message never repeats a value.
    """
    text = content if json_bytes is None else content[:json_bytes]
    try:
        body = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        found = str(error)
        if "str` of length" in found:
            raise long_text() from None
        raise _refused(
            "another field" if "unknown field" in found else found.replace("`", "'")
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise _refused("malformed JSON") from None
    # Where no colon is left over for a repeated member nor for a text, none is repeated.
    if text.count(b":") != _n_members(body) and repeats_name(text, body):
        raise _refused("a name given twice in one object")
    outputs = None if isinstance(body.outputs, UnsetType) else [one.name for one in body.outputs]
    if not set(outputs or ()) <= set(_outputs(signature)):
        wanted = f"outputs among {', '.join(_outputs(signature))}"
        raise DataError(wanted, "another", "outputs", "see the model's metadata")
    tail = memoryview(content)[len(text) :]
    columns: list[list[Scalar]] = []
    for number, tensor in enumerate(body.inputs):
        values, tail = _values(tensor, tail, f"input {number}")
        columns.append(values)
    if tail:
        raise _refused("bytes that belong to no tensor")
    named = _named(body.inputs, columns, [feature["name"] for feature in signature.features])
    return Inference(named, body.id, outputs)


def _n_members(body: Body) -> int:
    """Members of the objects of a request, a repeated one counted once."""
    objects = (body, *body.inputs, *([] if isinstance(body.outputs, UnsetType) else body.outputs))
    given = [
        value
        for one in objects
        for value in msgspec.structs.astuple(one)
        if not isinstance(value, UnsetType)
    ]
    return len(given) + sum(len(value) for value in given if type(value) is dict)


def _values(tensor: Tensor, tail: memoryview, where: str) -> tuple[list[Scalar], memoryview]:
    """The values of a tensor in row-major order, and the bytes after its own."""
    size = prod(tensor.shape)
    if tensor.datatype not in _DATATYPES:
        raise DataError(f"one of {', '.join(_DATATYPES)}", "another datatype", where, "convert it")
    code, kind = _DATATYPES[tensor.datatype]
    if isinstance(tensor.data, UnsetType):
        parameters = {} if isinstance(tensor.parameters, UnsetType) else tensor.parameters
        size_bytes = parameters.get("binary_data_size")
        if type(size_bytes) is not int or not 0 <= size_bytes <= len(tail):
            raise DataError("data, or binary_data_size and the bytes", "neither", where, "send one")
        raw = tail[:size_bytes]
        values = _unpacked(raw, size, code, where) if code else _texts(raw, where)
        tail = tail[size_bytes:]
    else:
        values = cast("list[Scalar]", tensor.data)
        if not _holds(values, kind):
            values = _flat(tensor.data)
            if not _holds(values, kind):
                expected = f"values of {tensor.datatype} or null"
                raise DataError(expected, "others", where, "convert them")
    if len(values) != size:
        raise DataError("as many values as the shape says", f"{len(values)}", where, "correct it")
    return values, tail


def _holds(values: list[Scalar], kind: object) -> bool:
    try:
        # A third of the time that looking at each value's type takes.
        msgspec.convert(values, kind)
    except msgspec.ValidationError:
        return False
    return True


def _flat(data: Sequence[Any]) -> list[Scalar]:
    if list not in set(map(type, data)):
        return list(data)
    return list(chain.from_iterable(part if type(part) is list else (part,) for part in data))


def _unpacked(raw: memoryview, size: int, code: str, where: str) -> list[Scalar]:
    if len(raw) != size * struct.calcsize(code):
        raise DataError("as many bytes as the shape says", f"{len(raw)}", where, "correct it")
    values: list[Any] = list(struct.unpack(f"<{size}{code}", raw))
    if code in "efd":
        # numpy has no null; NaN is how its users write it.
        values = [None if value != value else value for value in values]  # noqa: PLR0124
        if not all(value is None or isfinite(value) for value in values):
            raise DataError("finite numbers or NaN", "infinity", where, "correct it")
    return values


def _texts(raw: memoryview, where: str) -> list[Scalar]:
    """Texts, each after its length in four bytes."""
    texts: list[Scalar] = []
    at = 0
    try:
        while at < len(raw):
            (length,) = struct.unpack_from("<I", raw, at)
            at += 4 + length
            if at > len(raw):
                raise ValueError
            if length > 4 * TEXT_CHARS:  # bytes: UTF-8 takes up to four a character
                raise long_text()
            texts.append(str(raw[at - length : at], "utf-8"))
    except (struct.error, ValueError):
        raise DataError("UTF-8 texts with their lengths", "others", where, "correct it") from None
    return texts


def _named(
    tensors: Sequence[Tensor], columns: Sequence[list[Scalar]], features: Sequence[str]
) -> dict[str, list[Scalar]]:
    names = [tensor.name for tensor in tensors]
    shapes = [tensor.shape for tensor in tensors]
    if len(set(names)) != len(names):
        raise _refused("a tensor named twice")
    if len(names) == 1 and names[0] not in features and shapes[0][1:] == [len(features)]:
        (values,), k = columns, len(features)
        named = {name: values[at::k] for at, name in enumerate(features)}
    else:
        if not all(len(shape) == 1 or shape[1:] == [1] for shape in shapes):
            raise _refused("a tensor of another shape than (n) or (n, 1)")
        if len(set(map(len, columns))) > 1:
            raise _refused("tensors of different lengths")
        named = dict(zip(names, columns, strict=True))
    if not columns or not columns[0]:
        raise _refused("no rows")
    bounded(named[next(iter(named))])
    return named


def respond(
    answer: Answer, asked: Inference, signature: Signature, is_logged: bool
) -> dict[str, object]:
    """The answer as tensors; without a record there are no ids of one."""
    data: dict[str, Sequence[Any]] = {
        "predictions": _flat(answer.predictions),
        "decisions": answer.decisions,
        "prediction_ids": answer.prediction_ids,
    }
    outputs = [
        {
            "name": name,
            "shape": [len(answer.decisions), *inner],
            "datatype": datatype,
            "data": data[name],
        }
        for name, (datatype, inner) in _outputs(signature).items()
        if (asked.outputs is None or name in asked.outputs)
        and (is_logged or name != "prediction_ids")
    ]
    return {
        "model_name": signature.problem,
        "model_version": str(answer.model_version),
        **({} if isinstance(asked.id, UnsetType) else {"id": asked.id}),
        "outputs": outputs,
    }


def _refused(found: str) -> DataError:
    expected = "a JSON object with inputs, one tensor a feature"
    return DataError(expected, found, "body", "see the model's metadata")
