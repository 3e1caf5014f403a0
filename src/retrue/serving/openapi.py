"""The server's own description: OpenAPI 3.1, made from the model's signature."""

from typing import Any

from retrue.serving.bundle import Bundle
from retrue.serving.encoding import MAX_CELLS, n_columns
from retrue.serving.explanation import MAX_ROWS
from retrue.serving.features import Feature, Scalar
from retrue.serving.open_inference import metadata

Schema = dict[str, Any]

_SCALAR: Schema = {"type": ["number", "string", "boolean", "null"]}
_TEXT: Schema = {"type": "string"}


def example_row(bundle: Bundle) -> dict[str, Scalar]:
    """The first golden row as a client would send it; nulls for a bundle without any."""
    signature = bundle.signature
    golden = bundle.golden.rows[0] if bundle.golden.rows else {}
    row = {feature["name"]: golden.get(feature["name"]) for feature in signature.features}
    others = dict.fromkeys((*signature.key, *([signature.time] if signature.time else [])))
    return row | {name: golden[name] for name in others if name in golden and name not in row}


def describe(bundle: Bundle, model_version: int) -> Schema:
    """Describe all paths, with the fields of a row, its kinds, categories and an example."""
    signature = bundle.signature
    row, name = example_row(bundle), signature.problem
    most = MAX_CELLS // n_columns(signature.features)
    bodies = {
        "dataframe_records": {"dataframe_records": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [[*row.values()]]}},
        "instances": {"instances": [row]},
        "inputs": {"inputs": {column: [value] for column, value in row.items()}},
    }
    tensors = [
        {
            "name": tensor["name"],
            "shape": [1],
            "datatype": tensor["datatype"],
            "data": [_as_tensor_value(row[tensor["name"]], tensor["datatype"])],
        }
        for tensor in _tensors(bundle, model_version)
    ]
    answer = {"$ref": "#/components/schemas/Answer"}
    paths: dict[str, Schema] = {
        "/invocations": _post(
            f"Score 1 to {most} rows (MLflow's scoring protocol)", "Rows", answer, bodies
        ),
        "/explain": _post(
            f"Score 1 to {MAX_ROWS} rows and say what each column adds to the margin",
            "Rows",
            {"allOf": [answer, {"$ref": "#/components/schemas/Explanation"}]},
            bodies,
        ),
        f"/v2/models/{name}/infer": _post(
            "Score rows (Open Inference Protocol 2)",
            "Inference",
            {"$ref": "#/components/schemas/Tensors"},
            {"columns": {"inputs": tensors}},
        ),
        "/feedback": _post(
            "Late labels",
            "Feedback",
            {"type": "object", "properties": {"accepted": {"type": "integer"}}},
            {},
            has_log=False,
        ),
        "/health": _get("200 when it serves, 503 while it drains"),
        "/version": _get("Which model serves"),
        "/ping": _get("200 when it lives"),
        "/metrics": _get("Counters for Prometheus", "text/plain"),
        "/v2": _get("The server"),
        "/v2/health/live": _get("200 when it lives"),
        "/v2/health/ready": _get("200 when it serves, 503 while it drains"),
        f"/v2/models/{name}": _get("The model's tensors"),
        f"/v2/models/{name}/ready": _get("200 when it serves, 503 while it drains"),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}: {signature.label}",
            "version": str(model_version),
            "description": f"Bundle {bundle.sha256}. {_decision_text(bundle)}",
        },
        "paths": paths,
        "components": {"schemas": _schemas(bundle)},
    }


def _tensors(bundle: Bundle, model_version: int) -> list[dict[str, Any]]:
    inputs: Any = metadata(bundle.signature, model_version)["inputs"]
    return list(inputs)


def _as_tensor_value(value: Scalar, datatype: str) -> Scalar:
    return str(value) if datatype == "BYTES" and value is not None else value


def _decision_text(bundle: Bundle) -> str:
    signature = bundle.signature
    if signature.task == "binary":
        return f"The decision is 1 where the probability is above {signature.threshold:.6g}."
    if signature.task == "multiclass":
        return f"Classes in the order of each prediction: {', '.join(signature.classes)}."
    return "Predictions are values of the label; nothing is decided."


def _schemas(bundle: Bundle) -> dict[str, Schema]:
    signature = bundle.signature
    features = {feature["name"]: _feature(feature) for feature in signature.features}
    column_lists = {"type": "object", "additionalProperties": {"type": "array", "items": _SCALAR}}
    row = {"$ref": "#/components/schemas/Row"}
    by_order = {"type": "array", "items": _SCALAR, "description": "features in their order"}
    rows = {"type": "array", "minItems": 1, "items": {"anyOf": [row, by_order]}}
    split = _object({"columns": _array(_TEXT), "data": _array(_array(_SCALAR))})
    split["properties"]["index"] = _array(_SCALAR)
    number = {"type": "number"}
    by_class = _array(number) if signature.classes else number
    by_column: Schema = {"type": "object", "additionalProperties": number}
    decisions: dict[str, Schema] = {
        "binary": {"enum": [0, 1]},
        "multiclass": {"enum": signature.classes},
        "regression": {"type": "null"},
    }
    label = {
        "label": {"type": ["number", "string"]},
        "key": {"type": "object", "additionalProperties": _SCALAR},
        "prediction_id": _TEXT,
        "known_at": {"type": "string", "format": "date-time"},
    }
    tensor = {
        "name": _TEXT,
        "shape": _array({"type": "integer"}),
        "datatype": _TEXT,
        "data": {"type": "array"},
    }
    return {
        "Row": {
            "type": "object",
            "properties": features,
            "required": list(features),
            "additionalProperties": _SCALAR,
            "description": "Other columns are ignored, but for the key and the time.",
        },
        "Rows": {
            "oneOf": [
                _object({"dataframe_records": _array(row)}),
                _object({"dataframe_split": split}),
                _object({"instances": rows}),
                _object({"inputs": {"anyOf": [rows, column_lists]}}),
            ]
        },
        "Answer": _object(
            {
                "predictions": _array(by_class),
                "decisions": _array(decisions[signature.task]),
                "prediction_ids": _array({"type": ["string", "null"]}),
                "model_version": {"type": "integer"},
            }
        ),
        "Explanation": _object(
            {
                "contributions": _array(_array(by_column) if signature.classes else by_column),
                "margins": _array(by_class),
                "base_value": by_class,
                "unit": _TEXT,
            }
        ),
        "Inference": {
            **_object({"inputs": _array(_object(tensor))}),
            "description": f"Tensors as /v2/models/{signature.problem} describes them.",
        },
        "Tensors": _object({"model_name": _TEXT, "outputs": _array(_object(tensor))}),
        "Feedback": {
            "type": "object",
            "properties": label,
            "required": ["label"],
            "oneOf": [{"required": ["key"]}, {"required": ["prediction_id"]}],
        },
        "Error": _object({"error": _TEXT}),
    }


def _feature(feature: Feature) -> Schema:
    """What a field takes; all may be null, since the model was fitted with missing values."""
    if feature["kind"] == "numeric":
        return {"type": ["number", "null"]}
    if feature["kind"] == "date":
        return {"type": ["string", "null"], "format": "date-time"}
    if feature["kind"] == "text":
        return {"type": ["string", "null"]}
    known = [*feature.get("categories", []), None]
    unseen = "what is rare" if feature.get("other") else "missing"
    others = {**_SCALAR, "description": f"Another category counts as {unseen}."}
    return {"anyOf": [{"enum": known}, others]}


def _object(properties: dict[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _post(
    summary: str, schema: str, answer: Schema, examples: dict[str, Any], has_log: bool = True
) -> Schema:
    body: Schema = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if examples:
        body["examples"] = {name: {"value": value} for name, value in examples.items()}
    error = _content({"$ref": "#/components/schemas/Error"})
    operation: Schema = {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": {"description": "Answered, and in the log"} | _content(answer),
            "400": {"description": "The body is at fault"} | error,
            "413": {"description": "The body is too large"} | error,
            "503": {"description": "The log takes no records"} | error,
        },
    }
    if has_log:
        log = {"type": "boolean", "default": True}
        told = "false: no record, no id"
        operation["parameters"] = [
            {"name": "log", "in": "query", "schema": log, "description": told}
        ]
    return {"post": operation}


def _get(summary: str, media_type: str = "application/json") -> Schema:
    content = _content({}, media_type)
    return {"get": {"summary": summary, "responses": {"200": {"description": summary} | content}}}


def _content(schema: Schema, media_type: str = "application/json") -> Schema:
    return {"content": {media_type: {"schema": schema}}}
