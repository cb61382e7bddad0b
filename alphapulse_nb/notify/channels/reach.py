"""Which machines a channel may speak to, and connections that end in time.

An operator writes a channel's address, and then the server connects to it from inside the house. So
a name is resolved here, each address that it has is looked at, and the connection goes to the very
address that was looked at: what the name says a moment later does not matter. Nobody may reach the
server itself this way, nor the networks in which a cloud keeps its machines' credentials. Private
networks are fine, since chat servers live there.

A connection has one deadline. Every read and every write gets what is left until then, so that a
server that sends one byte a second holds no thread. Only the resolver keeps to limits of its own,
those of the system.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil

from alphapulse_nb.errors import ChannelError

_MOST_ADDRESSES: Final = 4
"""Addresses of one name that are tried."""

_HERE: Final = "the server itself"
_NOBODY: Final = "no single machine"
_REFUSED: Final = {
    ipaddress.ip_network(network): words
    for words, networks in {
        _HERE: ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"),
        "a link of this machine, where clouds keep its credentials": (
            *("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128"),
            *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
        ),
        _NOBODY: ("224.0.0.0/4", "240.0.0.0/4", "ff00::/8"),
    }.items()
    for network in networks
}
_WRAPPED: Final = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48")]
"""Networks whose addresses end in one of IPv4 (NAT64)."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def resolved(host: str) -> list[str]:
    """The addresses of a name as text. Raises `OSError` or `UnicodeError`."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Reach:
    """How far a channel reaches and for how long.

    With `local` it may speak to programs on the server itself. `connect` are the seconds to
    connect, `whole` those for one message, from first to last byte. `resolve` gives a name's
    addresses.
    """

    local: bool = False
    connect: float = 5.0
    whole: float = 15.0
    resolve: Callable[[str], Sequence[str]] = resolved

    def ends(self) -> float:
        """When a message that is begun now must be done, on the monotonic clock."""
        return time.monotonic() + self.whole

    def addresses(self, host: str) -> list[str]:
        """The addresses of a host that may be spoken to. Raises `ChannelError` if there is none."""
        try:
            found = self.resolve(host)
        except UnicodeError:
            raise ChannelError(f"{host} is no name of a machine") from None
        except OSError as error:
            why = error.strerror or "no answer"
            raise ChannelError(f"the name {host} cannot be resolved: {why}", retry=True) from None
        reasons = {address: refusal(address, local=self.local) for address in found}
        allowed = [address for address, reason in reasons.items() if not reason]
        if not allowed:
            why = next(iter(reasons.values()), "nothing")
            raise ChannelError(f"{host} is {why}, to which channels do not send")
        return allowed[:_MOST_ADDRESSES]


def refusal(address: str, *, local: bool = False, own: Collection[str] | None = None) -> str:
    """Why nothing may be sent to an address; empty where it may.

    Parameters
    ----------
    address: of IPv4 or IPv6, as text; one that wraps another is looked at as that other.
    local: whether programs on the server itself may be spoken to.
    own: the addresses of this machine; None for those that it has now.
    """
    plain = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    for network, words in _REFUSED.items():
        if plain in network and not (local and words == _HERE):
            return words
    if not local and str(plain) in (_own() if own is None else own):
        return _HERE
    return ""


def opened(host: str, port: int, reach: Reach, ends: float, *, tls: bool = False) -> socket.socket:
    """A connection to a host, with TLS if asked for, that lasts until `ends`.

    Raises `ChannelError` with the reason in words.
    """
    place = f"{host}:{port}"
    trouble = ChannelError(f"{place} has no address")
    for address in reach.addresses(host):
        try:
            return _connected(address, host, port, reach.connect, ends, tls)
        except OSError as error:
            trouble = failure(error, place, min(reach.connect, reach.whole))
    raise trouble


def context(ends: float) -> ssl.SSLContext:
    """TLS that checks certificates and names, on connections that last until `ends`."""
    found = ssl.create_default_context()
    found.sslsocket_class = type("_TimedTls", (_Tls,), {"ends": ends})
    return found


def failure(error: OSError, place: str, seconds: float, *, unknown: bool = False) -> ChannelError:
    """What went wrong on the way to a place, in words and without anybody else's."""
    if isinstance(error, TimeoutError):
        return ChannelError(f"{place} did not answer in {seconds:g} s", True, unknown=unknown)
    if isinstance(error, ssl.SSLCertVerificationError):
        return ChannelError(f"the certificate of {place} is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "no reason given").lower().replace("_", " ")
        return ChannelError(f"{place} and we cannot agree on TLS: {why}", True, unknown=unknown)
    if isinstance(error, ConnectionRefusedError):
        return ChannelError(f"{place} refuses connections: is the service running?", True)
    why = error.strerror or "the connection ended"
    return ChannelError(f"{place} cannot be reached: {why}", True, unknown=unknown)


def _own() -> set[str]:
    links = psutil.net_if_addrs().values()
    return {entry.address.partition("%")[0] for entries in links for entry in entries}


def _unwrapped(address: IpAddress) -> IpAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _WRAPPED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _connected(
    address: str, host: str, port: int, seconds: float, ends: float, tls: bool
) -> socket.socket:
    link = _Plain(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        link.ends = ends
        link.settimeout(min(seconds, _left(ends)))
        link.connect((address, port))
        return context(ends).wrap_socket(link, server_hostname=host) if tls else link
    except OSError:
        link.close()
        raise


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Plain(socket.socket):
    """A socket that ends in time."""

    ends = math.inf

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.ends))
        return super().recv_into(*arguments, **options)

    def sendall(self, *arguments: Any, **options: Any) -> None:
        self.settimeout(_left(self.ends))
        super().sendall(*arguments, **options)


class _Tls(ssl.SSLSocket):
    """The same with TLS, whose `sendall` consists of calls of `send`."""

    ends = math.inf

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.ends))
        return super().recv_into(*arguments, **options)

    def send(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.ends))
        return super().send(*arguments, **options)
