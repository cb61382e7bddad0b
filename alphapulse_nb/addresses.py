"""Addresses of machines, as settings and headers write them."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def client(address: str) -> str:
    """What to count a client under: its address, or the network that is one client's in IPv6.

    Who has one address there has 2**64, and would begin anew with each.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def words(value: str) -> list[str]:
    """The entries of a setting that holds several, parted by commas or spaces."""
    return value.replace(",", " ").split()


def networks(value: str) -> list[Network]:
    """The networks that a setting names; raises `ValueError` for anything else."""
    return [ipaddress.ip_network(word, strict=False) for word in words(value)]
