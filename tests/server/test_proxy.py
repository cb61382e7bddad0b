"""Which address a browser has, by what the proxies on its way say."""

from __future__ import annotations

import pytest

from alphapulse_nb.addresses import networks
from alphapulse_nb.server.proxy import Proxies

OURS = Proxies(networks("10.0.0.0/8, ::1"))


@pytest.mark.parametrize(
    ("forwarded", "browser"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:5678", "198.51.100.7"),
        ("[2001:db8::1]:5678", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("198.51.100.7, nonsense", "10.0.0.1"),
        ("[", "10.0.0.1"),
        ("1.2.3.4:5:6", "10.0.0.1"),
    ],
)
def test_the_nearest_address_that_is_not_ours_is_the_browsers(forwarded: str, browser: str) -> None:
    assert OURS.browser("10.0.0.1", forwarded) == browser
