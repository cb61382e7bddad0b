"""Reach: which machines are spoken to, to which of a name's addresses, and for how long."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels import Reach
from alphapulse_nb.notify.channels.answer import asked
from alphapulse_nb.notify.channels.reach import opened, refusal, resolved
from tests.notify.receivers import HASTY, NEAR, certificate, receiving

HERE = "the server itself"
LINK = "a link of this machine, where clouds keep its credentials"
NOBODY = "no single machine"


@pytest.mark.parametrize(
    ("address", "without", "local"),
    [
        ("127.0.0.1", HERE, ""),
        ("127.8.9.10", HERE, ""),
        ("0.0.0.0", HERE, ""),
        ("::1", HERE, ""),
        ("::", HERE, ""),
        ("::ffff:127.0.0.1", HERE, ""),
        ("64:ff9b::7f00:1", HERE, ""),
        ("2002:7f00:1::", HERE, ""),
        ("10.9.8.7", HERE, ""),  # an address of this machine, see below
        ("fd00::5", HERE, ""),
        ("169.254.169.254", LINK, LINK),
        ("::ffff:169.254.169.254", LINK, LINK),
        ("64:ff9b::a9fe:a9fe", LINK, LINK),
        ("64:ff9b:1::a9fe:a9fe", LINK, LINK),
        ("2002:a9fe:a9fe::", LINK, LINK),
        ("fe80::1", LINK, LINK),
        ("fe80::1%eth0", LINK, LINK),
        ("fd00:ec2::254", LINK, LINK),
        ("fd20:ce::254", LINK, LINK),
        ("100.100.100.200", LINK, LINK),
        ("168.63.129.16", LINK, LINK),
        ("192.0.0.192", LINK, LINK),
        ("224.0.0.1", NOBODY, NOBODY),
        ("255.255.255.255", NOBODY, NOBODY),
        ("ff02::1", NOBODY, NOBODY),
        ("10.0.0.1", "", ""),
        ("172.16.0.1", "", ""),
        ("192.168.1.1", "", ""),
        ("100.64.0.1", "", ""),
        ("fd12::1", "", ""),
        ("93.184.216.34", "", ""),
        ("2606:2800:220:1::", "", ""),
        ("64:ff9b::5db8:d822", "", ""),
    ],
)
def test_some_addresses_are_out_of_reach(address: str, without: str, local: str) -> None:
    own = {"10.9.8.7", "fd00::5"}
    assert refusal(address, own=own) == without
    assert refusal(address, local=True, own=own) == local


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_the_same_however_it_is_wrapped(address: object) -> None:
    plain = refusal(str(address), own=())
    assert refusal(f"::ffff:{address}", own=()) == plain
    assert refusal(f"64:ff9b::{address}", own=()) == plain


def test_the_machine_s_own_addresses_are_the_server_itself() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect(("10.255.255.254", 9))  # sends nothing; finds the address that would
        own = link.getsockname()[0]
    assert refusal(own) == HERE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0"])
def test_the_server_itself_is_refused_however_it_is_written(host: str) -> None:
    with receiving() as receiver, pytest.raises(ChannelError, match=HERE) as refused:
        asked("POST", f"http://{host}:{receiver.port}/", {}, b"", Reach(), Reach().ends())
    assert not refused.value.retry
    assert receiver.requests == []


def test_a_name_is_resolved_once_and_what_it_said_then_counts() -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked_for: list[str] = []

    def resolve(host: str) -> list[str]:
        asked_for.append(host)
        return answers.pop(0)

    reach = Reach(local=True, resolve=resolve)
    with receiving() as receiver:
        url = f"http://moving.example:{receiver.port}/x"
        assert asked("POST", url, {}, b"", reach, reach.ends()).status == 200
        with pytest.raises(ChannelError, match=r"moving\.example is a link of this machine"):
            asked("POST", url, {}, b"", reach, reach.ends())
        (request,) = receiver.requests
    assert request.headers["host"] == f"moving.example:{receiver.port}"
    assert asked_for == ["moving.example"] * 2


def test_of_a_name_s_addresses_only_those_within_reach_are_tried() -> None:
    def resolve(host: str) -> list[str]:
        return ["169.254.169.254", "fe80::1", "127.0.0.1"]

    with receiving() as receiver:
        reach = Reach(local=True, resolve=resolve)
        url = f"http://mixed.example:{receiver.port}/"
        assert asked("POST", url, {}, b"", reach, reach.ends()).status == 200


def test_the_next_address_is_tried_when_one_refuses() -> None:
    with receiving() as receiver:
        reach = Reach(local=True, resolve=lambda host: ["127.0.0.2", "127.0.0.1"])
        url = f"http://two.example:{receiver.port}/"
        assert asked("POST", url, {}, b"", reach, reach.ends()).status == 200


def _unresolved(host: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("reach", "host", "words", "retry"),
    [
        (Reach(resolve=_unresolved), "no.example", "no.example cannot be resolved", True),
        (Reach(resolve=lambda host: []), "no.example", "no.example is nothing", False),
        (Reach(), "x" * 64 + ".example", "is no name of a machine", False),
        (Reach(), "a..example", "is no name of a machine", False),
    ],
)
def test_a_name_without_addresses_is_said(reach: Reach, host: str, words: str, retry: bool) -> None:
    with pytest.raises(ChannelError, match=words) as failed:
        opened(host, 80, reach, reach.ends())
    assert (failed.value.retry, failed.value.unknown) == (retry, False)


def test_nobody_there_may_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(ChannelError, match=rf"127\.0\.0\.1:{port} refuses connections") as failed:
        opened("127.0.0.1", port, NEAR, NEAR.ends())
    assert (failed.value.retry, failed.value.unknown) == (True, False)


def test_somebody_who_does_not_take_the_connection_is_given_up() -> None:
    reach = Reach(local=True, connect=0.2)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        place = door.getsockname()
        # The one whom the door has room for.
        with socket.create_connection(place), pytest.raises(ChannelError) as late:
            opened(*place, reach, reach.ends())
    assert str(late.value).endswith(f":{place[1]} did not answer in 0.2 s")
    assert (late.value.retry, late.value.unknown) == (True, False)


def test_a_connection_whose_time_is_over_is_not_begun() -> None:
    with receiving() as receiver, pytest.raises(ChannelError, match="did not answer") as late:
        opened("127.0.0.1", receiver.port, NEAR, ends=0.0)
    assert late.value.retry


def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    _, server = certificate(tmp_path)
    with receiving(tls=server) as receiver:
        url = f"https://localhost:{receiver.port}/"
        with pytest.raises(ChannelError, match=r"certificate of localhost.*self-signed") as refused:
            asked("POST", url, {}, b"", NEAR, NEAR.ends())
        assert receiver.requests == []
    assert not refused.value.retry


def test_a_certificate_is_for_the_name_and_not_for_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, server = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    reach = Reach(local=True, resolve=lambda host: ["127.0.0.1"])
    with receiving(tls=server) as receiver:
        url = f"https://localhost:{receiver.port}/"
        assert asked("POST", url, {}, b"", reach, reach.ends()).status == 200
        with pytest.raises(ChannelError, match=r"certificate of other\.example"):
            asked("POST", url.replace("localhost", "other.example"), {}, b"", reach, reach.ends())
        (request,) = receiver.requests
    assert request.headers["host"] == f"localhost:{receiver.port}"


def test_a_server_without_tls_is_no_server_with_tls() -> None:
    with receiving() as receiver, pytest.raises(ChannelError, match="cannot agree on TLS: ") as no:
        opened("localhost", receiver.port, NEAR, NEAR.ends(), tls=True)
    assert (no.value.retry, no.value.unknown) == (True, False)


def test_a_handshake_that_never_ends_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        with pytest.raises(ChannelError, match=r"did not answer in 0\.4 s") as late:
            opened("127.0.0.1", port, HASTY, HASTY.ends(), tls=True)
    assert late.value.retry


def test_the_names_of_this_machine_are_resolved_by_the_system() -> None:
    assert set(resolved("localhost")) <= {"127.0.0.1", "::1"}
    assert ssl.OPENSSL_VERSION_INFO >= (1, 1, 1)
