"""The alerts area as a notebook's door: what its pages ask, and what they are answered."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from alphapulse_nb.errors import InputError
from alphapulse_nb.widgets import alerts, assets
from alphapulse_nb.widgets.alerts import Alerts
from tests.conftest import wait_until


def answer(name: str, values: Any, body: object) -> dict[str, Any]:
    match name:
        case "refused":
            return {"error": {"code": "refused", "message": "Not you."}}
        case "wrong":
            raise InputError("ids is empty")
        case "broken":
            raise KeyError("x")
    return {"name": name, "values": dict(values), "body": body}


def made(monkeypatch: pytest.MonkeyPatch, **given: Any) -> tuple[Alerts, list[Any]]:
    area, sent = Alerts(**given), []
    monkeypatch.setattr(area, "send", lambda content, buffers=None: sent.append((content, buffers)))
    return area, sent


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("inbox", {"body": {"name": "inbox", "values": {"limit": 5}, "body": {"a": 1}}}),
        ("refused", {"error": {"code": "refused", "message": "Not you."}}),
        ("wrong", {"error": {"code": "bad_parameter", "message": "ids is empty"}}),
        ("broken", {"error": {"code": "internal", "message": "KeyError: 'x'"}}),
    ],
)
def test_each_question_is_answered(
    monkeypatch: pytest.MonkeyPatch, name: str, wanted: dict[str, Any]
) -> None:
    area, sent = made(monkeypatch, answer=answer)
    area._take(
        area,
        {"kind": "ask", "id": "q-1", "name": name, "values": {"limit": 5}, "body": {"a": 1}},
        [],
    )
    wait_until(lambda: sent)
    assert sent == [({"kind": "answer", "id": "q-1", **wanted}, None)]
    area.close()


def test_the_kernel_goes_on_while_a_question_waits_and_too_many_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going = threading.Event()

    def slow(name: str, _values: Any, _body: object) -> dict[str, Any]:
        going.wait(20)
        return {"name": name}

    area, sent = made(monkeypatch, answer=slow)
    for n in range(alerts.MOST_ASKED + 1):
        area.receive({"kind": "ask", "id": str(n), "name": str(n)})
    assert [said["error"]["code"] for said, _ in sent] == ["too_many_requests"]
    going.set()
    wait_until(lambda: len(sent) == alerts.MOST_ASKED + 1)
    assert [said["body"]["name"] for said, _ in sent[1:]] == [
        str(n) for n in range(alerts.MOST_ASKED)
    ]
    area.receive({"kind": "ask", "id": "again", "name": "again"})
    wait_until(lambda: sent[-1][0]["id"] == "again")
    area.close()


def test_without_anybody_who_answers_pages_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    area, sent = made(monkeypatch)
    assert not area._answers
    area.receive({"kind": "ask", "id": "1", "name": "inbox"})
    assert sent[0][0]["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "ask"},
        {"kind": "ask", "id": 1, "name": "inbox"},
        {"kind": "ask", "id": "x" * 65, "name": "inbox"},
        {"kind": "ask", "id": "1", "name": None},
    ],
)
def test_what_is_no_question_gets_no_answer(
    monkeypatch: pytest.MonkeyPatch, message: dict[str, Any]
) -> None:
    area, sent = made(monkeypatch, answer=answer)
    area.receive(message)
    assert sent == []


def test_the_drawers_script_comes_through_the_comm(monkeypatch: pytest.MonkeyPatch) -> None:
    area, sent = made(monkeypatch, answer=answer)
    area.receive({"kind": "drawer"})
    assert sent == [({"kind": "drawer"}, [assets.bundle(assets.DRAWER).encode()])]
