"""Signing in and out."""

from __future__ import annotations

from html import escape

from alphapulse_nb.server import cookies, plain
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.handler import Handler, access
from alphapulse_nb.server.shared import shared
from alphapulse_nb.state.passwords import LONGEST


def inside(base_url: str, wanted: str) -> str:
    """Where to go after signing in: an address of ours, or the dashboard for any other."""
    plain_path = wanted.isprintable() and "\\" not in wanted and not wanted.startswith("//")
    return wanted if plain_path and wanted.startswith(base_url) else base_url


class LoginHandler(Handler):
    """Asks for a name and password, or for the one password or token that all share."""

    async def get(self) -> None:
        target = inside(self.settings["base_url"], self.get_query_argument("next", ""))
        if await access(self).person(self) is not None:
            self.redirect(target)
            return
        await self._ask(target)

    async def post(self) -> None:
        self.check_xsrf_cookie()
        base_url: str = self.settings["base_url"]
        target = inside(base_url, self.get_body_argument("next", ""))
        name = self.get_body_argument("name", "")[:LONGEST]
        secret = self.get_body_argument("password", "", strip=False)[: LONGEST + 1]
        figures = shared(self).figures
        try:
            opened = await access(self).sign_in(str(self.request.remote_ip), name, secret)
        except Refused as refused:
            figures.count("sign_ins", outcome="refused")
            self.set_status(refused.status_code)
            if refused.after is not None:
                self.set_header("Retry-After", str(round(refused.after) + 1))
            await self._ask(target, name, refused.words)
            return
        if opened is None:
            figures.count("sign_ins", outcome="refused")
            self.set_status(401)
            await self._ask(target, name, "That is not right. Try again.")
            return
        figures.count("sign_ins", outcome="ok")
        cookies.open_session(self, opened)
        self.redirect(target, status=303)

    async def _ask(self, target: str, name: str = "", wrong: str = "") -> None:
        rules, has_users = access(self).rules, await access(self).has_users()
        if not (has_users or rules.password or rules.token):
            words = "This page is opened by the site that sends you here. Sign in there."
            self.refuse(401, words if rules.remote_user_header else "Sign in first.")
            return
        form = plain.field("Name", "name", "text", complete="username", value=name, first=True)
        shared_only = not has_users
        secret = "Token" if shared_only and not rules.password else "Password"
        hint = (
            '<p class="muted">Leave the name empty to use the shared password.</p>'
            if has_users and (rules.password or rules.token)
            else ""
        )
        self.show(
            "Sign in",
            (f'<p class="bad" role="alert">{escape(wrong)}</p>' if wrong else "")
            + f'<form method="post" action="{escape(self.request.path)}">'
            + self.xsrf_form_html()
            + f'<input type="hidden" name="next" value="{escape(target)}">'
            + ("" if shared_only else form)
            + plain.field(
                secret, "password", "password", complete="current-password", first=shared_only
            )
            + f"<button>Sign in</button></form>{hint}",
        )


class LogoutHandler(Handler):
    """Ends the session of this browser, and the pages that it has open."""

    async def get(self) -> None:
        found = await access(self).person(self)
        if found is None or cookies.session(self) is None:
            self.redirect(self.settings["base_url"])
            return
        self.show(
            "Sign out",
            f"<p>You are signed in as <b>{escape(found.name)}</b>.</p>"
            f'<form method="post" action="{escape(self.request.path)}">{self.xsrf_form_html()}'
            "<button>Sign out</button></form>",
        )

    async def post(self) -> None:
        self.check_xsrf_cookie()
        found = await access(self).person(self)
        if found is not None and cookies.session(self) is not None:
            await shared(self).visits.sign_out(found, cookies.visits(self))
        cookies.end_session(self)
        self.redirect(self.settings["base_url"], status=303)
