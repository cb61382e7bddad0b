"""The API for people: a page written from the OpenAPI document, without script or another host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import tornado.template

from alphapulse_nb.charts import theme
from alphapulse_nb.server import headers
from alphapulse_nb.server.answers import CODES
from alphapulse_nb.server.api.endpoint import JSON, Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.parameter import Values
from alphapulse_nb.server.api.schema import ref

_FOLDER: Final = Path(__file__).parent
_HTML: Final = "text/html; charset=utf-8"


class DocsHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        nonce = headers.nonce()
        self.set_header("Content-Security-Policy", headers.plain_policy(nonce))
        self.send_bytes(page(self.means.document, nonce), _HTML)

    def turn_away(self) -> None:
        """Send a browser to sign in; tell a program what everybody is told."""
        login = self.settings.get("login_url")
        if login is None or "text/html" not in self.request.headers.get("Accept", ""):
            super().turn_away()
        self.redirect(f"{login}?{urlencode({'next': self.request.path})}")


def page(document: dict[str, Any], nonce: str) -> bytes:
    """The page of a document; `nonce` marks its style."""
    template = tornado.template.Template(
        (_FOLDER / "docs.html").read_text("utf-8"), name="docs.html", whitespace="oneline"
    )
    base = document["servers"][0]["url"].rstrip("/")
    operations = [
        (path, method.upper(), operation, _example(base, path, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return template.generate(
        document=document,
        operations=operations,
        base=base,
        codes=CODES,
        is_error=is_error,
        nonce=nonce,
        style=_style(),
        allowed=allowed,
        usual=usual,
        fields=body_fields,
        marked=marked,
        media=media,
        names=names,
        shapes=list(shapes(document)),
    )


def allowed(schema: dict[str, Any]) -> str:
    """What a parameter may be, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if schema["type"] == "boolean":
        return "true or false"
    if "minimum" in schema:
        kind = "whole number" if schema["type"] == "integer" else "number"
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    return f"text, up to {schema['maxLength']} characters"


def usual(schema: dict[str, Any]) -> str:
    """The default of a parameter, in words."""
    if "default" not in schema:
        return "–"
    given = schema["default"]
    return str(given).lower() if isinstance(given, bool | str) else f"{given:g}"


def marked(text: str) -> str:
    """Text as HTML, with what stands in backquotes as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def names(schema: dict[str, Any]) -> list[str]:
    """The shapes that a schema refers to."""
    parts = schema.get("oneOf", [schema])
    return [_name(part) for part in parts if "$ref" in part]


def shapes(document: dict[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Every shape with its fields: name, value, meaning."""
    for name, schema in document["components"]["schemas"].items():
        yield name, list(_fields(schema, ""))


def _fields(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """The fields of an object, those of objects inside it under dotted names."""
    for name, field in schema.get("properties", {}).items():
        inner = field.get("items", field)
        yield f"{prefix}{name}", shape(field), field.get("description", "")
        if "properties" in inner:
            yield from _fields(inner, f"{prefix}{name}.")


def body_fields(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The fields of a request's body: name, value, meaning."""
    return list(_fields(body["content"][JSON]["schema"], ""))


def is_error(answer: dict[str, Any]) -> bool:
    """Whether an answer is the one error body and nothing else."""
    bodies = answer.get("content", {}).values()
    return [body["schema"] for body in bodies] == [ref("Error")]


def media(answer: dict[str, Any]) -> str:
    """What an answer comes in, where that is not JSON."""
    content = answer.get("content")
    return "no body" if content is None else ", ".join(name for name in content if name != JSON)


def shape(schema: dict[str, Any]) -> str:
    """A schema as one would write the value: `{"rows": [row], "next": text or null}`."""
    if "$ref" in schema:
        return _name(schema)
    if "oneOf" in schema:
        return _either(shape(part) for part in schema["oneOf"])
    if "enum" in schema:
        return _either(schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kinds = schema.get("type", "any JSON")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return _either(_kind(kind, schema) for kind in kinds)


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _kind(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        return f"list of {shape(schema['items'])}"
    if kind == "string":
        return "time" if schema.get("format") == "date-time" else "text"
    return {"integer": "whole number", "boolean": "true or false"}.get(kind, kind)


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)


def _example(base: str, path: str, operation: dict[str, Any]) -> str:
    """An address that can be opened."""
    asked = {}
    for parameter in operation["parameters"]:
        if "example" in parameter and parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(parameter["example"])))
        elif "example" in parameter:
            asked[parameter["name"]] = parameter["example"]
    return base + path + (f"?{urlencode(asked, safe='/')}" if asked else "")


def _style() -> str:
    light = "".join(f"--ap-{name}:{shade.light};" for name, shade in theme.PALETTE.items())
    dark = "".join(f"--ap-{name}:{shade.dark};" for name, shade in theme.PALETTE.items())
    return (
        f":root{{{light}--ap-font:{theme.FONT};color-scheme:light}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}color-scheme:dark}}}}"
        + (_FOLDER / "docs.css").read_text("utf-8")
    )


DOCS: Final = Endpoint(
    path="/api/docs",
    name="docs",
    summary="This page",
    about="The document at /api/openapi.json, for people.",
    handler=DocsHandler,
    answers=(Answer(200, "The page.", {"type": "string"}, media="text/html"),),
)
