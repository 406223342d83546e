"""Reading JSON bodies: whatever a client sends is an object or a 4xx that says what is wrong."""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from farwatch_api.errors import ApiError
from farwatch_api.problems import Invalid, explain, unfit_value

ModelT = TypeVar("ModelT", bound=BaseModel)
NOT_JSON = "The body must be a JSON object."


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_object(body: bytes) -> dict[str, Any]:
    """Raises ApiError 400 for what is not a JSON object, Invalid for text that cannot be stored."""
    try:
        data = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, NOT_JSON) from None
    if not isinstance(data, dict):
        raise ApiError(400, NOT_JSON)
    try:
        found = unfit_value(data)
    except RecursionError:
        raise ApiError(400, NOT_JSON) from None
    if found:
        raise Invalid([found])
    return data


async def json_object(request: Request) -> dict[str, Any]:
    return parse_object(await request.body())


def validate(model: type[ModelT], data: dict[str, Any]) -> ModelT:
    """Raises Invalid, with a suggestion for a misspelt field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Invalid(explain(error.errors(), model.model_fields)) from None


async def body_of(request: Request, model: type[ModelT]) -> ModelT:
    return validate(model, await json_object(request))


def documented(model: type[BaseModel] | list[type[BaseModel]]) -> dict[str, Any]:
    """What a route adds to OpenAPI when it reads its body itself."""
    models = model if isinstance(model, list) else [model]
    schemas = [inlined(each.model_json_schema()) for each in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references, so that it can stand anywhere in the document."""
    definitions = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolve(definitions[value["$ref"].rpartition("/")[2]])
            return {key: resolve(item) for key, item in value.items()}
        return [resolve(item) for item in value] if isinstance(value, list) else value

    resolved: dict[str, Any] = resolve(schema)
    return resolved
