"""What every answer tells the browser about itself, and what a page may load and run."""

from __future__ import annotations

import secrets
from typing import Final

ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Server": "AlphaPulse",
}
_CLOSED: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'self'"


def nonce() -> str:
    """A mark for the scripts and styles of one answer."""
    return secrets.token_urlsafe(16)


def plain_policy(mark: str) -> str:
    """For pages of ours without a script, and for everything that is no page."""
    return f"{_CLOSED}; style-src 'nonce-{mark}'; img-src data:; form-action 'self'"


def page_policy(mark: str) -> str:
    """For the dashboard.

    anywidget imports a widget's script from a blob. Jupyter's widgets and plotly.js write styles
    into elements, which no nonce can mark. plotly.js draws its pictures by way of data and blobs.
    """
    return "; ".join(
        [
            _CLOSED,
            f"script-src 'self' 'nonce-{mark}' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "form-action 'self'",
        ]
    )
