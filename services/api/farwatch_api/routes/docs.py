"""OpenAPI, and a page made from it that needs no script and no other site."""

from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, select_autoescape
from starlette.responses import HTMLResponse, Response

from farwatch_api.envelope import JSON_TYPE, dump

router = APIRouter(prefix="/api", include_in_schema=False)

_PAGE = Environment(autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True).from_string(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Farwatch API</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
h2 { border-bottom: 1px solid #8884; margin-top: 2rem }
details { border: 1px solid #8884; border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
code, pre { font: .9em ui-monospace, monospace }
pre { overflow: auto; background: #8881; padding: .6rem; border-radius: .4rem }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top }
.wide { overflow-x: auto }
</style>
</head>
<body>
<h1>Farwatch API</h1>
<p>Send <code>Authorization: Bearer fw_…</code>, or use the session of the dashboard with the header
<code>X-CSRF-Token</code> on writes. Every answer under <code>/api</code> is
<code>{"status": "success" | "error", "data": …, "message": …, "timestamp": …}</code>; a 422 names what to mend in
<code>data.errors</code>. Lists answer <code>data.items</code> and <code>data.next_cursor</code>.
The same as data: <a href="/api/openapi.json">openapi.json</a>.</p>
{% for tag, operations in groups.items() %}
<h2>{{ tag }}</h2>
{% for operation in operations %}
<details>
<summary><span class="method">{{ operation.method }}</span> <code>{{ operation.path }}</code>
{{ operation.summary }}</summary>
{% if operation.parameters %}
<div class="wide"><table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>
{% for each in operation.parameters %}
<tr><td><code>{{ each.name }}</code></td><td>{{ each.in }}</td><td>{{ each.type }}</td>
<td>{{ each.description }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% for body in operation.bodies %}
<h3>Body{{ ": " + body.title if body.title else "" }}</h3>
<div class="wide"><table><tr><th>Field</th><th>Type</th><th>Default</th><th>Limits</th></tr>
{% for field in body.fields %}
<tr><td><code>{{ field.name }}</code>{{ " *" if field.required else "" }}</td><td>{{ field.type }}</td>
<td>{{ field.default }}</td><td>{{ field.limits }}</td></tr>
{% endfor %}
</table></div>
{% endfor %}
</details>
{% endfor %}
{% endfor %}
</body></html>"""
)
_LIMITS = {"minimum": "≥", "maximum": "≤", "minLength": "length ≥", "maxLength": "length ≤", "pattern": "matches"}


@router.get("/openapi.json")
async def get_openapi(request: Request) -> Response:
    return Response(dump(request.app.openapi()), media_type=JSON_TYPE)


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    return HTMLResponse(_PAGE.render(groups=grouped(request.app.openapi())))


def grouped(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by their tag, ready for the page."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation))
    return groups


def _operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    content = (operation.get("requestBody") or {}).get("content") or {}
    schema = (content.get("application/json") or {}).get("schema") or {}
    schemas = schema.get("oneOf") or ([schema] if schema else [])
    return {
        "path": path,
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "parameters": [_parameter(each) for each in operation.get("parameters", [])],
        "bodies": [_body(each) for each in schemas],
    }


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter.get("schema", {})
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "type": _type(schema),
        "description": parameter.get("description") or schema.get("description") or "",
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    required = set(schema.get("required", []))
    fields = [
        {
            "name": name,
            "required": name in required,
            "type": _type(field),
            "default": "" if field.get("default") is None else field["default"],
            "limits": ", ".join(f"{sign} {field[key]}" for key, sign in _LIMITS.items() if key in field),
        }
        for name, field in schema.get("properties", {}).items()
    ]
    return {"title": schema.get("title", ""), "fields": fields}


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
