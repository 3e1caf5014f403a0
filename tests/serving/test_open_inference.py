"""Tensors that are taken, and hostile ones that are not."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.serving.bundle import Signature
from retrue.serving.features import Feature
from retrue.serving.open_inference import metadata, read_inference
from retrue.serving.parsing import rows_of_columns

FEATURES: list[Feature] = [
    {"name": "x", "kind": "numeric"},
    {"name": "c", "kind": "categorical", "categories": ["a"]},
]
SIGNATURE = Signature("tiny", FEATURES, ["k"], None, 0.5, "label")

CODES = {"INT8": "b", "UINT16": "H", "INT64": "q", "FP32": "f", "FP64": "d", "BOOL": "?"}


def tensor(name: str = "x", shape: Any = (1,), datatype: str = "FP64", **more: Any) -> Any:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def body(*inputs: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def read(content: bytes, json_bytes: int | None = None) -> list[dict[str, Any]]:
    return rows_of_columns(read_inference(content, json_bytes, SIGNATURE).columns)


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"inputs":' + b"[" * 100_000,
    b'{"inputs":[]}',
    b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[NaN]}]}',
    b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1e999]}]}',
    b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1],"data":[2]}]}',
    body(tensor(data=[1]), secret=1),
    body(tensor()),
    body(tensor(data=[1, 2])),
    body(tensor(data=["secret"])),
    body(tensor(data=[True])),
    body(tensor(data=[[[1]]])),
    body(tensor(datatype="INT64", data=[1.5])),
    body(tensor(datatype="BYTES", data=[1])),
    body(tensor(datatype="secret", data=[1])),
    body(tensor(shape=[], data=[])),
    body(tensor(shape=[0], data=[])),
    body(tensor(shape=[-1], data=[1])),
    body(tensor(shape=[2**63], data=[1])),
    body(tensor(shape=[2**40] * 100_000, data=[1])),
    body(tensor(shape=[1, 3], data=[1, 2, 3])),
    body(tensor(shape=[1.5], data=[1])),
    body(tensor(data=[1]), tensor(data=[1])),
    body(tensor(data=[1]), tensor("c", [2], "BYTES", data=["a", "b"])),
    body(tensor(data=[1]), outputs=[{"name": "secret"}]),
    body(tensor(parameters={"binary_data_size": 8})),
    body(tensor(parameters={"shared_memory_region": "secret"})),
]


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_bodies_are_refused_without_an_echo(content: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read(content)
    assert len(str(caught.value)) < 400
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "size_bytes", "tail"),
    [
        ("FP64", 8, b"1234567"),
        ("FP64", 8, b"123456789"),
        ("FP64", -1, b""),
        ("FP64", 7, b"1234567"),
        ("FP64", True, b"1"),
        ("FP64", 8, struct.pack("<d", float("inf"))),
        ("BYTES", 3, b"\0\0\0"),
        ("BYTES", 5, b"\2\0\0\0a"),
        ("BYTES", 5, b"\1\0\0\0\xff"),
        ("BYTES", 8, b"\xff\xff\xff\xffabcd"),
        ("BYTES", 0, b""),
    ],
)
def test_bytes_that_are_no_tensor_are_refused(datatype: str, size_bytes: Any, tail: bytes) -> None:
    head = body(tensor(datatype=datatype, parameters={"binary_data_size": size_bytes}))
    with pytest.raises(DataError):
        read(head + tail, len(head))


def test_tensors_become_rows_whichever_way_their_data_are_nested() -> None:
    expected = [{"x": 1.5, "c": "a", "k": 7}, {"x": None, "c": None, "k": 8}]
    others = [
        tensor("c", [2], "BYTES", data=["a", None]),
        tensor("k", [2, 1], "INT64", data=[7, 8]),
    ]
    for shape, data in (([2], [1.5, None]), ([2, 1], [1.5, None]), ([2, 1], [[1.5], [None]])):
        assert read(body(tensor(shape=shape, data=data), *others)) == expected
    matrix = tensor("rows", [2, 2], "BYTES", data=[["b", "a"], ["d", None]])
    assert read(body(matrix)) == [{"x": "b", "c": "a"}, {"x": "d", "c": None}]


def test_the_metadata_names_each_feature_and_what_the_task_gives() -> None:
    told = metadata(SIGNATURE, 3)
    kinds = [("x", "FP64"), ("c", "BYTES")]
    assert told["inputs"] == [{"name": n, "datatype": t, "shape": [-1]} for n, t in kinds]
    classes = Signature("t", FEATURES, [], None, 0.5, "l", "multiclass", ["a", "b", "c"])
    outputs: Any = metadata(classes, 3)["outputs"]
    shapes = {output["name"]: output["shape"] for output in outputs}
    assert shapes == {"predictions": [-1, 3], "decisions": [-1], "prediction_ids": [-1]}


@given(data=st.data(), texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_bytes_and_json_give_the_same_rows(data: Any, texts: list[str]) -> None:
    if not texts:
        texts = [""]
    datatype = data.draw(st.sampled_from(sorted(CODES)))
    code = CODES[datatype]
    values = data.draw(
        st.lists(
            {
                "f": st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32),
                "d": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "?": st.booleans(),
                "b": st.integers(-(2**7), 2**7 - 1),
                "H": st.integers(0, 2**16 - 1),
                "q": st.integers(-(2**63), 2**63 - 1),
            }[code],
            min_size=len(texts),
            max_size=len(texts),
        )
    )
    n = len(texts)
    numbers = struct.pack(f"<{n}{code}", *(float("nan") if v is None else v for v in values))
    encoded = [text.encode() for text in texts]
    strings = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    head = body(
        tensor("c", [n], "BYTES", parameters={"binary_data_size": len(strings)}),
        tensor("x", [n], datatype, parameters={"binary_data_size": len(numbers)}),
    )
    by_json = body(tensor("c", [n], "BYTES", data=texts), tensor("x", [n], datatype, data=values))
    found = read(head + strings + numbers, len(head))
    assert found == read(by_json)
    assert found == [{"c": text, "x": value} for text, value in zip(texts, values, strict=True)]
