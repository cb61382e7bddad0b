"""Who gets in: token, password, users, proxy, everybody; and what keeps others out."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import connect
from alphapulse_nb.people import Role
from alphapulse_nb.state import State, Users, prepare
from tests.conftest import Desk, Served, serve, wait_until
from tests.kernel import ask
from tests.visitor import Answer, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOKEN = "correct-horse-battery"
PASSWORD = "staple of the desk"
OUTLINE = 'id="ap-skeleton"'


@pytest.fixture(scope="module")
def guarded(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a token and a password, under a path, behind a proxy on this machine."""
    with serve(
        tmp_path_factory.mktemp("guarded"),
        desk.server.url,
        DASHBOARD_TOKEN=TOKEN,
        DASHBOARD_PASSWORD=PASSWORD,
        DASHBOARD_BASE_URL="/desk/one",
        DASHBOARD_TRUSTED_PROXIES="127.0.0.9",
    ) as served:
        yield served


@pytest.fixture
def base(guarded: Served) -> str:
    return guarded.url + "desk/one/"


@pytest.fixture
def users_db(desk: Desk) -> Iterator[str]:
    """A database with the users ann (operator) and bob (viewer)."""
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("CREATE DATABASE people")
    url = sa.make_url(desk.server.url).set(database="people").render_as_string(False)
    try:
        with connect(url) as db, State(db) as state:
            prepare(state)
            Users(state).add("ann", "a password of ann", Role.OPERATOR, "Asia/Tokyo")
            Users(state).add("bob", "a password of bob")
        yield url
    finally:
        with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("DROP DATABASE people WITH (FORCE)")


def known(page: Answer) -> dict[str, str]:
    """What a page's kernel was told of its person."""
    names = ("USER", "ROLE", "ZONE")
    told = ask(page.kernel_id, "dict(__import__('os').environ)")
    return {name: told[f"ALPHAPULSE_{name}"] for name in names}


def test_a_token_in_the_address_is_exchanged_for_a_session(guarded: Served, base: str) -> None:
    stranger = Visitor(base).get()
    assert OUTLINE not in stranger.text
    assert stranger.url.startswith(f"{base}login?next=")
    viewer = Visitor(base)
    page = viewer.get(f"?symbol=ETH/USDT&token={TOKEN}")
    assert OUTLINE in page.text
    assert page.url == f"{base}?symbol=ETH/USDT"
    assert OUTLINE in viewer.get().text
    assert TOKEN not in str(ask(page.kernel_id, "dict(__import__('os').environ)"))
    assert TOKEN not in guarded.output()


def test_a_password_opens_the_page_that_was_asked_for(base: str) -> None:
    visitor = Visitor(base)
    form = visitor.get("?symbol=ETH/USDT")
    assert 'type="password"' in form.text
    assert OUTLINE in visitor.post("login", {"password": PASSWORD, "next": "/desk/one/"}).text
    assert visitor.get("login").url == base


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/elsewhere", "javascript:1"],
)
def test_signing_in_leads_nowhere_else(base: str, target: str) -> None:
    visitor = Visitor(base)
    visitor.get("login")
    answer = visitor.post("login", {"password": PASSWORD, "next": target})
    assert answer.url == base


def test_a_sign_in_without_the_token_of_its_form_is_refused(base: str) -> None:
    visitor = Visitor(base)
    visitor.get("login")
    assert visitor.ask("POST", "login", b"password=" + PASSWORD.encode()).status == 403
    wrong = visitor.post("login", {"password": PASSWORD, "_xsrf": "2|00|00|1"})
    assert wrong.status == 403


def test_wrong_passwords_are_counted_and_then_refused_without_a_look(
    desk: Desk, tmp_path: Path
) -> None:
    with serve(tmp_path, desk.server.url, DASHBOARD_PASSWORD=PASSWORD) as served:
        visitor = Visitor(served.url)
        answers = [visitor.sign_in(f"a wrong one {n}") for n in range(10)]
        assert {answer.status for answer in answers} == {401}
        after = visitor.sign_in(PASSWORD)
        assert after.status == 429
        assert 0 < int(after.headers["Retry-After"]) <= 301
        assert "Too many attempts" in after.text
        token = visitor.get(Authorization="Bearer nonsense")
        assert token.status in {200, 429}
        assert OUTLINE not in token.text
        assert "a wrong one" not in served.output()


def test_a_token_in_a_header_is_enough_for_a_script(base: str) -> None:
    script = Visitor(base, Authorization=f"Bearer {TOKEN}")
    assert OUTLINE in script.get().text
    wrong = Visitor(base, Authorization="Bearer wrong-horse-battery").get()
    assert OUTLINE not in wrong.text


def test_a_session_cookie_that_was_changed_or_made_up_is_nobody(base: str) -> None:
    visitor = Visitor(base)
    visitor.sign_in(PASSWORD)
    session = next(cookie for cookie in visitor.jar if cookie.name.endswith("-session"))
    assert session.has_nonstandard_attr("HttpOnly")
    good = str(session.value)
    for value in (good[:-3], good.replace("2|1:0", "2|1:1"), "admin", good[::-1]):
        session.value = value
        assert OUTLINE not in visitor.get().text


def test_a_new_password_ends_the_sessions_of_the_old_one(desk: Desk, tmp_path: Path) -> None:
    secret = {"DASHBOARD_COOKIE_SECRET": "k" * 40}
    with serve(tmp_path, desk.server.url, DASHBOARD_PASSWORD=PASSWORD, **secret) as served:
        visitor = Visitor(served.url)
        visitor.sign_in(PASSWORD)
        held = visitor.cookies()
    for password, welcome in ((PASSWORD, True), ("another password", False)):
        with serve(tmp_path, desk.server.url, DASHBOARD_PASSWORD=password, **secret) as served:
            # The ports differ, and with them the names of the cookies.
            port = served.url.rsplit(":", 1)[1].strip("/")
            cookies = _renamed(held, port)
            assert (OUTLINE in Visitor(served.url, Cookie=cookies).get().text) is welcome


def _renamed(cookies: str, port: str) -> str:
    import re

    # A signed value holds its own name, so only the session's claim can be checked by renaming;
    # it is signed anew here with the key that the test has set.
    from tornado.web import create_signed_value, decode_signed_value

    made = []
    for cookie in cookies.split("; "):
        name, _, value = cookie.partition("=")
        if not name.startswith("alphapulse-"):
            continue
        claim = decode_signed_value("k" * 40, name, value.strip('"'))
        assert claim is not None
        new = re.sub(r"-\d+-", f"-{port}-", name, count=1)
        made.append(f"{new}={create_signed_value('k' * 40, new, claim).decode()}")
    return "; ".join(made)


def test_users_sign_in_with_their_own_password_and_their_kernels_know_them(
    users_db: str, tmp_path: Path
) -> None:
    with serve(tmp_path, users_db) as served:
        assert OUTLINE not in Visitor(served.url).get().text
        ann = Visitor(served.url)
        assert ann.sign_in("a password of bob", "ann").status == 401
        page = ann.sign_in("a password of ann", "ANN")
        assert OUTLINE in page.text
        assert known(page) == {"USER": "ann", "ROLE": "operator", "ZONE": "Asia/Tokyo"}
        assert "a password of ann" not in served.output()


def test_a_user_who_was_removed_is_out_within_seconds(users_db: str, tmp_path: Path) -> None:
    with serve(tmp_path, users_db) as served:
        bob = Visitor(served.url)
        assert OUTLINE in bob.sign_in("a password of bob", "bob").text
        with connect(users_db) as db, State(db) as state:
            Users(state).remove("bob")
        wait_until(lambda: OUTLINE not in bob.get("login?next=/").text, 20)
        wait_until(lambda: bob.get("login").url.endswith("/login"), 20)


def test_what_was_attempted_is_counted(base: str) -> None:
    before = _refused(base)
    visitor = Visitor(base)
    page = visitor.sign_in(PASSWORD)
    other = Visitor(base)
    other.sign_in(PASSWORD)
    kernel = f"api/kernels/{page.kernel_id}"
    stolen = other.get(kernel)
    assert (stolen.status, json.loads(stolen.body)["error"]["code"]) == (404, "not_found")
    assert stolen.headers["Content-Type"] == "application/json"
    assert Visitor(base).get(kernel).status == 401
    assert visitor.ask("DELETE", kernel).status == 403
    assert Visitor(base, Origin="https://evil.example").post("login", {}).status == 403
    assert Visitor(base).get("api/symbols").status == 401
    after = _refused(base)
    changed = {why: count - before.get(why, 0) for why, count in after.items()}
    made = {why: count for why, count in changed.items() if count}
    assert made == {"access": 2, "owner": 1, "xsrf": 1, "origin": 1}


def _refused(base: str) -> dict[str, float]:
    script = Visitor(base, Authorization=f"Bearer {TOKEN}", Accept="text/plain")
    text = script.get("api/metrics").text
    found = re.findall(r'^alphapulse_requests_refused_total\{why="(\w+)"\} ([\d.]+)', text, re.M)
    return {why: float(value) for why, value in found}


def test_signing_out_ends_the_session(base: str) -> None:
    visitor = Visitor(base)
    visitor.sign_in(PASSWORD)
    assert "You are signed in as <b>viewer</b>" in visitor.get("logout").text
    visitor.post("logout", {})
    assert OUTLINE not in visitor.get().text


def test_a_name_from_a_header_counts_only_from_a_trusted_proxy(desk: Desk, tmp_path: Path) -> None:
    for proxies, welcome in (("127.0.0.1", True), ("10.9.8.7", False)):
        with serve(
            tmp_path,
            desk.server.url,
            DASHBOARD_TRUSTED_PROXIES=proxies,
            DASHBOARD_REMOTE_USER_HEADER="X-Remote-User",
        ) as served:
            page = Visitor(served.url, X_Remote_User="carol").get()
            assert (OUTLINE in page.text) is welcome
            assert OUTLINE not in Visitor(served.url).get().text
            if welcome:
                assert known(page) == {"USER": "carol", "ROLE": "viewer", "ZONE": ""}


@pytest.mark.browser
def test_a_page_shows_who_signed_in_in_their_time_zone_and_lets_them_out(
    users_db: str, tmp_path: Path, page: Page
) -> None:
    with serve(tmp_path, users_db) as served:
        page.goto(served.url)
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("a password of ann")
        page.get_by_role("button", name="Sign in").click()
        link = page.get_by_role("link", name="ann")
        link.wait_for()
        assert page.get_by_label("Time zone").input_value() == "Asia/Tokyo"
        link.click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Password").wait_for()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_another_site_cannot_make_a_browser_post(base: str, headers: dict[str, str]) -> None:
    visitor = Visitor(base)
    visitor.get("login")
    assert visitor.post("login", {"password": PASSWORD}, **headers).status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example"])
def test_a_foreign_name_for_this_machine_is_refused(served: Served, host: str) -> None:
    answer = Visitor(served.url, Host=host).get()
    assert answer.status == 403
    assert OUTLINE not in answer.text


def test_without_access_control_an_address_that_others_can_reach_is_refused(
    desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"say --no-auth"):
        _open(desk, tmp_path, DASHBOARD_HOST="0.0.0.0")
    _open(desk, tmp_path, DASHBOARD_HOST="0.0.0.0", DASHBOARD_NO_AUTH="1")


def _open(desk: Desk, folder: Path, **environment: str) -> None:
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serve(folder, desk.server.url, **environment))
        assert OUTLINE in Visitor(served.url).get().text


@pytest.mark.parametrize(
    "path",
    [
        "voila/files/dashboard.ipynb",
        "voila/render/dashboard.ipynb",
        "voila/tree/",
        "dashboard.ipynb",
        "api/contents",
        "voila/static/../../../../etc/passwd",
        "voila/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "voila/templates/alphapulse/static/..%2f..%2findex.html.j2",
        "voila/labextensions/%00",
        "voila/templates/x",
        "metrics",
    ],
)
def test_nothing_else_is_served(served: Served, path: str) -> None:
    answer = Visitor(served.url).get(path)
    assert answer.status == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("query", ["?template=classic", "?theme=dark", "?template=../../x"])
def test_the_address_cannot_choose_another_template(served: Served, query: str) -> None:
    assert OUTLINE in Visitor(served.url).get(query).text
