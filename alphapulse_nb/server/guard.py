"""What every handler that comes from Voila or Jupyter gets in front: our checks and our headers."""

from __future__ import annotations

from typing import Any

import tornado.web
from jupyter_server.auth.identity import IdentityProvider, User

from alphapulse_nb.server.handler import Handler, access


class Provider(IdentityProvider):  # type: ignore[misc]
    """Tells Jupyter's handlers what `Access` found. Nothing is exempt from its other checks."""

    @property
    def auth_enabled(self) -> bool:
        return True

    @property
    def login_available(self) -> bool:
        return False

    def get_handlers(self) -> list[tuple[str, object]]:
        return []

    async def get_user(self, handler: tornado.web.RequestHandler) -> User | None:
        found = await access(handler).person(handler)
        return User(found.name) if found else None

    def is_token_authenticated(self, handler: tornado.web.RequestHandler) -> bool:  # noqa: ARG002
        return False


class Guard(Handler):
    """Goes before a handler of Voila or Jupyter in the list of bases."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        policy = getattr(self, "content_security_policy", None)
        if isinstance(policy, str) and "script-src" in policy:
            self.set_header("Content-Security-Policy", policy)

    async def prepare(self, **given: Any) -> Any:
        access(self).check_source(self)
        following: Any = super(Handler, self)
        return await following.prepare(**given)

    def check_origin(self, origin: str | None = None) -> bool:
        given = origin or self.request.headers.get("Origin")
        return given is None or access(self).same_origin(self, given)
