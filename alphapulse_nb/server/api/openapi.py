"""The OpenAPI document: what the endpoints declare, in the words of OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from itertools import groupby
from typing import Any, Final

from alphapulse_nb.server.answers import CODES
from alphapulse_nb.server.api.endpoint import JSON, Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.parameter import Parameter, Values
from alphapulse_nb.server.api.schema import COMPONENTS, ref
from alphapulse_nb.server.api.shapes import SHAPES

_INTRODUCTION: Final = (
    "Everything is asked and answered in JSON. Times are UTC. Every error has one body. A browser "
    "that is signed in sends the cookie `_xsrf` in the header `X-XSRFToken` with what changes "
    "something."
)
_RETRY: Final = {
    "Retry-After": {
        "description": "seconds after which to come again",
        "schema": {"type": "integer"},
    }
}


class OpenApiHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        self.send(self.means.document)


def document(endpoints: Iterable[Endpoint], base_url: str) -> dict[str, Any]:
    """The document of these endpoints under a base URL."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AlphaPulse NB",
            "version": version("alphapulse-nb"),
            "description": _INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "paths": _paths(endpoints),
        "components": {
            "schemas": COMPONENTS | SHAPES,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the server's token, in the Authorization header",
                },
            },
        },
    }


def _paths(endpoints: Iterable[Endpoint]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return found


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.about,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        "responses": _responses(endpoint),
        # A server may also be open to everybody, or know a browser by its session.
        "security": [] if endpoint.open else [{"token": []}, {}],
    }
    if endpoint.body is not None:
        content = {JSON: {"schema": dict(endpoint.body.schema)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.kind.schema()
    if parameter.default is not None:
        schema["default"] = parameter.default
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.about,
        "schema": schema,
    }
    return described | ({"example": parameter.example} if parameter.example is not None else {})


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    """What is answered by status: the endpoint's own answers and the errors."""
    found = {
        str(status): _errors(status, list(codes))
        for status, codes in groupby(_by_status(endpoint.faults()), _status)
    }
    for answer in endpoint.answers:
        found[str(answer.status)] = _merged(found.get(str(answer.status)), _answer(answer))
    return dict(sorted(found.items()))


def _by_status(codes: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(codes), key=_status)


def _status(code: str) -> int:
    return CODES[code].status


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.about}
    if answer.schema is not None:
        described["content"] = {answer.media: {"schema": dict(answer.schema)}}
    if answer.headers:
        described["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in answer.headers.items()
        }
    return described


def _errors(status: int, codes: list[str]) -> dict[str, Any]:
    meanings = " ".join(f"`{code}`: {CODES[code].meaning}" for code in codes)
    described: dict[str, Any] = {
        "description": meanings,
        "content": {"application/json": {"schema": ref("Error")}},
    }
    return described | ({"headers": _RETRY} if status in {429, 503} else {})


def _merged(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Two answers of one status, or of one status in several media."""
    if one is None:
        return other
    content = dict(one.get("content", {}))
    for media, body in other.get("content", {}).items():
        known = content.get(media)
        either = known and {"oneOf": [known["schema"], body["schema"]]}
        content[media] = {"schema": either} if either else body
    words = " ".join(dict.fromkeys([one["description"], other["description"]]))
    return one | other | {"description": words, "content": content}


OPENAPI: Final = Endpoint(
    path="/api/openapi.json",
    name="openapi",
    summary="This document",
    about="OpenAPI 3.1, from the same declarations that read the parameters.",
    handler=OpenApiHandler,
    answers=(Answer(200, "The document.", {"type": "object"}),),
)
