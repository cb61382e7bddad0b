"""Bodies of requests: JSON that meets a schema, or an error that says where it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

from alphapulse_nb.notify.bulk import excess
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.spelling import nearest

MOST_VALUES: Final = 5_000
MOST_LEVELS: Final = 20

_MEDIA: Final = "application/json"


def read(raw: bytes, media: str, schema: Mapping[str, Any]) -> Any:
    """What a body says. Raises `Fault`, which repeats no value of it: it may be a secret."""
    if media.partition(";")[0].strip().lower() != _MEDIA:
        raise Fault("bad_request", f"The body must be JSON, with the Content-Type {_MEDIA}.")
    much = excess(raw, MOST_VALUES, MOST_LEVELS)
    if much:
        raise Fault("bad_request", f"The body is too much: {much}.")
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_once)
    except ValueError:
        raise Fault("bad_request", "The body is not JSON in UTF-8.") from None
    wrong = next(Draft202012Validator(schema).iter_errors(found), None)
    if wrong is not None:
        raise _fault(wrong)
    return found


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Fault("bad_request", "A field is given twice in the body.")
    return found


def _fault(wrong: Any) -> Fault:
    place = ".".join(str(part) for part in wrong.absolute_path)
    if wrong.validator == "required":
        missing = next(name for name in wrong.validator_value if name not in wrong.instance)
        return Fault("bad_parameter", "It is missing.", field=_within(place, missing))
    if wrong.validator == "additionalProperties" and wrong.validator_value is False:
        return _unknown(wrong, place)
    said = {str(wrong.validator): wrong.validator_value}
    return Fault(
        "bad_parameter",
        f"{place or 'The body'} is not what is allowed here.",
        field=place or "body",
        allowed=said,
    )


def _unknown(wrong: Any, place: str) -> Fault:
    known = list(wrong.schema.get("properties", {}))
    name = next(name for name in wrong.instance if name not in known)
    listed = f"known here: {', '.join(known)}" if known else "there are none here"
    return Fault(
        "bad_parameter",
        f"There is no such field; {listed}.",
        field=_within(place, name),
        allowed={"enum": known},
        nearest=nearest(name, known),
    )


def _within(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
