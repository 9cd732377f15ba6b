"""Validates the OpenAPI document and holds real answers against it: prints what it saw, one line of JSON per fact.

python openapi.py http://HOST:PORT KEY
"""

import json
import sys
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

base, key = sys.argv[1:3]


def fetch(path, body=None, fields=None):
    """Returns status and JSON of an answer."""
    fields = {"X-API-Key": key} if fields is None else fields
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(base + path, data, {"Content-Type": "application/json", **fields})) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


_, document = fetch("/api/openapi.json")
validate(document)
schemas = document["components"]["schemas"]


def strict(schema):
    """Refuses fields that the document doesn't name."""
    if isinstance(schema, dict):
        closed = {name: strict(value) for name, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        return closed
    return [strict(part) for part in schema] if isinstance(schema, list) else schema


def check(path, method, status, answer):
    """Holds an answer against what the document says about it."""
    response = document["paths"][path][method]["responses"][str(status)]
    schema = response["content"]["application/json"]["schema"]
    whole = {**strict(schema), "components": {"schemas": strict(schemas)}}
    errors = [error.message for error in Draft202012Validator(whole).iter_errors(answer)]
    assert not errors, f"{path} {status} {answer}: {errors}"


SAMPLES = {
    "channel": "orders", "channels": ["orders", "unknown:a"], "data": {"number": 1}, "skip_history": False, "tags": {"kind": "new"},
    "version": 0, "version_epoch": "", "user": "ann", "client": "", "session": "", "whitelist": [], "info": {"name": "Ann"},
    "recover_since": {"offset": 0, "epoch": ""}, "expire_at": 0, "expired": False, "limit": 10, "since": {"offset": 0, "epoch": ""},
    "reverse": False, "pattern": "*", "parallel": True, "idempotency_key": "", "b64data": "", "b64info": "",
    "override": {name: {"value": True} for name in
                 ["presence", "join_leave", "force_push_join_leave", "force_recovery", "force_positioning"]},
    "disconnect": {"code": 4000, "reason": "away"},
    "key": "first", "key_mode": "", "cursor": "", "revision_epoch": "", "revision_offset": 0, "since_offset": 0, "since_epoch": "",
    "commands": [{"publish": {"channel": "orders", "data": 2}}, {"presence": {"channel": "unknown:a"}}, {"info": {}}],
}
fields = {}
for path, operations in document["paths"].items():
    if "post" not in operations or path == "/api":
        continue
    reference = operations["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    request = schemas[reference.rsplit("/", 1)[1]]
    fields[path.rsplit("/", 1)[1]] = sorted(request["properties"])
    body = {name: SAMPLES[name] for name in request["properties"]}
    if "/map_" in path:
        body["channel"] = "board:a"
    # What the document says is what a request may be.
    whole = {**strict(request), "components": {"schemas": strict(schemas)}}
    Draft202012Validator(whole).validate(body)
    status, answer = fetch(path, body)
    assert status == 200, (path, status, answer)
    check(path, "post", 200, answer)
    assert path.endswith("/rpc") or "error" not in answer, (path, answer)
    if "channel" in request["properties"]:
        for mode, expected in [({}, 200), ({"X-Centrifugo-Error-Mode": "transport"}, 404)]:
            status, answer = fetch(path, {**body, "channel": "unknown:a"}, {"X-API-Key": key, **mode})
            # A status stands for the result or the error around it.
            error = answer["error"] if status == 200 else answer
            assert (status, error["code"]) == (expected, 102), (path, status, answer)
            check(path, "post", status, answer)
    if request["properties"]:
        status, answer = fetch(path, "no object")
        check(path, "post", status, answer)
        assert (status, answer["error"]["code"]) == (400, "bad_request"), (path, status, answer)
print(json.dumps({"fact": "orders", "fields": fields}))

for path, expected in [("/api/presence", 200), ("/api/presence?limit=x", 400), ("/api/presence/nobody", 404)]:
    status, answer = fetch(path)
    assert status == expected, (path, status, answer)
    check("/api/presence/{client}" if "nobody" in path else "/api/presence", "get", status, answer)

statuses = {}
for name, scheme in document["components"]["securitySchemes"].items():
    assert scheme["type"] == "apiKey"
    shown = f"apikey {key}" if "apikey KEY" in scheme.get("description", "") else key
    match scheme["in"]:
        case "header":
            statuses[name] = fetch("/api/info", {}, {scheme["name"]: shown})[0]
        case "query":
            statuses[name] = fetch(f"/api/info?{scheme['name']}={quote(shown)}", {}, {})[0]
status, answer = fetch("/api/info", {}, {})
check("/api/info", "post", status, answer)
print(json.dumps({"fact": "keys", "with": statuses, "without": status, "security": [sorted(way) for way in document["security"]]}))
