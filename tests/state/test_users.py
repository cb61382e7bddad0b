"""Users: added, changed, removed, and verified in a time that tells nothing."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from alphapulse_nb.db.connection import connect
from alphapulse_nb.errors import DatabaseUnavailable, InputError
from alphapulse_nb.people import Person, Role
from alphapulse_nb.state import State, Users
from alphapulse_nb.state.passwords import Cost, Hash, Hasher
from alphapulse_nb.state.users import checked_name, checked_role, checked_zone, compared
from tests.db.conftest import execute
from tests.state.conftest import QUICK, ask

PASSWORD = "s3cret-pass"
OTHER = "an0ther-pass"
HOSTILE = [
    "'; DROP TABLE alphapulse.users; --",
    "<script>alert(1)</script>",
    "%s %(name)s :name {name} $user",
    "../../etc/passwd",
    "名前 с пробелом",
]


class Counting(Hasher):
    """Counts how often scrypt is computed."""

    def __init__(self) -> None:
        super().__init__(QUICK)
        self.computed = 0

    def digest(self, password: str, salt: bytes, cost: Cost, length: int) -> bytes:
        self.computed += 1
        return super().digest(password, salt, cost, length)


def stored(url: sa.URL) -> str:
    ((text,),) = ask(url, "SELECT password FROM alphapulse.users")
    return str(text)


def test_a_user_signs_in_with_their_password_and_no_other(users: Users) -> None:
    added = users.add("Alice", PASSWORD, Role.OPERATOR, "Europe/Berlin")
    assert added.person == Person("Alice", Role.OPERATOR, "Europe/Berlin")
    assert users.verify("Alice", PASSWORD) == added
    assert users.find("Alice") == added
    for wrong in ("", PASSWORD.upper(), PASSWORD + " ", "x" * 5000, "\ud800" * 9):
        assert users.verify("Alice", wrong) is None


def test_a_name_is_one_in_any_case_and_form(users: Users) -> None:
    added = users.add("Zo\u0065\u0308 Stra\u00dfe", PASSWORD)
    assert added.person.name == "Zo\u00eb Stra\u00dfe"
    for same in (
        "zo\u00eb stra\u00dfe",
        "ZO\u00cb STRASSE",
        " Zoe\u0308 Strasse ",
        "Ｚo\u00eb strasse",
    ):
        assert users.verify(same, PASSWORD) == added
        with pytest.raises(InputError, match="already"):
            users.add(same, OTHER)
    assert users.verify(added.person.name, PASSWORD) == added


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_text(users: Users, name: str) -> None:
    users.add(name, PASSWORD)
    users.add("bystander", OTHER)
    users.set_role(name, Role.ADMIN)
    assert [u.person.name for u in users.listed() if u.person.role is Role.ADMIN] == [name]
    assert users.verify(name, OTHER) is None
    users.remove(name)
    assert [user.person.name for user in users.listed()] == ["bystander"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 65,
        "a\0b",
        "a\nb",
        "bob\n",
        "\x1b[31mred",
        "\u202ebob",
        "b\u200bob",
        "\ud800",
    ],
    ids=ascii,
)
def test_a_name_that_cannot_be_seen_is_refused_and_belongs_to_nobody(
    users: Users, name: str
) -> None:
    with pytest.raises(InputError, match="user's name"):
        users.add(name, PASSWORD)
    assert users.find(name) is None
    assert users.verify(name, PASSWORD) is None


@given(st.text(max_size=64))
@example("\u1e9e")
@example("\u0130")
@example("\ufdfa")
@example("\u01f0\u0345\u0300")
@example("\u03d2")
@example("\U0001d400")
def test_names_that_are_the_same_to_the_eye_are_compared_alike(name: str) -> None:
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    forms.append(unicodedata.normalize("NFD", name).casefold())
    assert {compared(form) for form in forms} == {compared(name)}
    assert compared(compared(name)) == compared(name)


@given(st.text(max_size=70))
def test_a_name_that_was_accepted_is_accepted_as_it_is(name: str) -> None:
    try:
        kept = checked_name(name)
    except InputError:
        return
    assert checked_name(kept) == kept
    assert kept.isprintable() or any(unicodedata.category(char) == "Zs" for char in kept)
    assert 1 <= len(kept) <= 64


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", PASSWORD), ("alice", OTHER), ("nobody", PASSWORD), ("\0", PASSWORD), ("", "")],
)
def test_every_attempt_computes_one_hash(
    users: Users, state: State, name: str, password: str
) -> None:
    users.add("alice", PASSWORD)
    hasher = Counting()
    Users(state, hasher).verify(name, password)
    assert hasher.computed == 1


def test_a_new_password_ends_the_sessions_of_the_old_one(users: Users) -> None:
    before = users.add("alice", PASSWORD).version
    users.set_role("alice", Role.ADMIN)
    users.set_zone("alice", "Asia/Tokyo")
    kept = users.known("ALICE")
    assert (kept.version, kept.person) == (before, Person("alice", Role.ADMIN, "Asia/Tokyo"))
    users.set_password("alice", OTHER)
    assert users.verify("alice", PASSWORD) is None
    renewed = users.verify("alice", OTHER)
    assert renewed is not None
    assert renewed.version != before


def test_a_session_of_a_removed_user_is_not_one_of_the_next_with_that_name(users: Users) -> None:
    before = users.add("alice", PASSWORD).version
    users.remove("Alice")
    assert users.find("alice") is None
    assert users.verify("alice", PASSWORD) is None
    assert users.add("alice", PASSWORD).version != before


def test_whether_there_is_anybody(bare: State, url: sa.URL) -> None:
    from alphapulse_nb.state import prepare

    users = Users(bare, Hasher(QUICK))
    assert not users.any()  # not even a table
    prepare(bare)
    assert not users.any()
    users.add("alice", PASSWORD)
    assert users.any()


def test_a_database_that_is_away_is_not_a_database_without_users(url: sa.URL) -> None:
    with connect(url.set(query={}, host="127.0.0.1", port=1)) as db, State(db) as state:
        with pytest.raises(DatabaseUnavailable):
            Users(state).any()
        with pytest.raises(DatabaseUnavailable):
            Users(state).verify("alice", PASSWORD)


@pytest.mark.parametrize("name", ["viewer", "Anyone", "LOCAL"])
def test_a_name_that_stands_for_many_is_nobodys(users: Users, name: str) -> None:
    with pytest.raises(InputError, match="choose another"):
        users.add(name, PASSWORD)


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users.remove("alcie"),
        lambda users: users.set_password("alcie", PASSWORD),
        lambda users: users.set_role("alcie", Role.ADMIN),
        lambda users: users.set_zone("alcie", "UTC"),
        lambda users: users.known("alcie"),
    ],
)
def test_an_unknown_user_is_named_with_the_nearest(
    users: Users, change: Callable[[Users], None]
) -> None:
    users.add("Alice", PASSWORD)
    with pytest.raises(InputError, match=r"no user 'alcie'; did you mean Alice\?"):
        change(users)


def test_a_hash_of_an_older_cost_is_renewed_at_sign_in(state: State, url: sa.URL) -> None:
    before = Users(state, Hasher(Cost(ln=3))).add("alice", PASSWORD)
    users = Users(state, Hasher(QUICK))
    assert users.verify("alice", OTHER) is None
    assert stored(url).startswith("$scrypt$ln=3,")
    assert users.verify("alice", PASSWORD) == before  # also the version: sessions go on
    renewed = stored(url)
    assert renewed.startswith("$scrypt$ln=4,")
    assert users.verify("alice", PASSWORD) == before
    assert stored(url) == renewed


def test_a_renewal_does_not_undo_a_new_password(state: State, users: Users) -> None:
    class Interrupted(Hasher):
        """Somebody sets a new password between the check and the renewal."""

        def hash(self, password: str) -> Hash:
            users.set_password("alice", OTHER)
            return super().hash(password)

    Users(state, Hasher(Cost(ln=3))).add("alice", PASSWORD)
    assert Users(state, Interrupted(Cost(ln=5))).verify("alice", PASSWORD)
    assert users.verify("alice", PASSWORD) is None
    assert users.verify("alice", OTHER)


def test_a_renewal_that_fails_lets_the_user_in(
    state: State, url: sa.URL, as_role: Callable[[], sa.URL], caplog: pytest.LogCaptureFixture
) -> None:
    before = Users(state, Hasher(Cost(ln=3))).add("alice", PASSWORD)
    theirs = as_role()
    execute(
        url,
        f"GRANT USAGE ON SCHEMA alphapulse TO {theirs.username}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA alphapulse TO {theirs.username}",
    )
    with connect(theirs) as db, State(db) as other:
        assert Users(other, Hasher(QUICK)).verify("alice", PASSWORD) == before
    assert "keeps its old cost: permission denied" in caplog.text


def test_a_stored_password_that_is_damaged_lets_nobody_in(
    users: Users, url: sa.URL, caplog: pytest.LogCaptureFixture
) -> None:
    users.add("alice", PASSWORD)
    execute(url, "UPDATE alphapulse.users SET password = 'plain'")
    assert users.verify("alice", PASSWORD) is None
    assert users.verify("alice", "plain") is None
    assert "cannot be read: set it again" in caplog.text


def test_no_password_and_no_hash_is_in_a_table_a_repr_a_log_or_an_error(
    state: State, url: sa.URL, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    hashes = []
    for change in (
        lambda users: [users.add("alice", PASSWORD), users.verify("alice", PASSWORD)],
        lambda users: [users.set_password("alice", OTHER), users.listed()],
    ):
        with (
            caplog.at_level(logging.DEBUG, "sqlalchemy"),
            connect(url) as db,
            State(db) as verbose,
        ):
            users = Users(verbose, Hasher(QUICK))
            said.append(repr(change(users)))
            with pytest.raises(InputError) as taken:
                users.add("alice", PASSWORD)
            said.append(repr(taken.value))
        hashes.append(stored(url).rpartition("$")[2])
    text = caplog.text + "".join(said)
    assert "INSERT INTO alphapulse.users" in text  # the log is as verbose as it gets
    assert "Row (1, 'alice'" in text
    rows = str(ask(url, "SELECT u::text FROM alphapulse.users u"))
    assert [secret for secret in (PASSWORD, OTHER) if secret in text + rows] == []
    assert [hashed for hashed in hashes if hashed in text] == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("Europe/Berln", "unknown time zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("../../etc/passwd", "unknown time zone"),
        ("\0", "unknown time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(users: Users, given: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        users.add("alice", PASSWORD, zone=given)
    assert not users.any()


def test_a_zone_may_be_the_browsers() -> None:
    assert checked_zone("") == ""
    assert checked_zone("America/Argentina/Buenos_Aires")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("opreator", r"'opreator'; did you mean operator\? \(roles are viewer, operator, admin\)"),
        ("root", r"'root' \(roles are"),
        ("", r"'' \(roles are"),
    ],
)
def test_an_unknown_role_is_refused_with_the_nearest(given: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        checked_role(given)
    assert checked_role("Admin") is Role.ADMIN
