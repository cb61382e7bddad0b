"""Addresses: which are taken, what is shown of them, and what no address may ask for."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels import KINDS, open_channel, read
from alphapulse_nb.notify.channels.kinds import SCHEMES
from tests.notify.receivers import SECRET

LONG = SECRET + "aaaaaaaa"

# An address of each form, its kind, and what screens show of it.
TAKEN = [
    (
        f"mailto://desk:{SECRET}@smtp.example.com:2525/a@x.example?to=b@x.example&cc=c@x.example",
        "email",
        "mailto://…@smtp.example.com:2525/a@x.example, b@x.example",
    ),
    (
        f"mailtos://desk:{SECRET}@gmail.com?to=b@x.example&from=Desk%20%3Cd@x.example%3E",
        "email",
        "mailtos://…@smtp.gmail.com:587/b@x.example",
    ),
    (f"mailto://{SECRET}@x.example", "email", "mailto://…@x.example:25/…"),
    (f"mailto://x.example?user=u&pass={SECRET}", "email", "mailto://x.example:25/…"),
    (
        f"mailto://x.example?to=a@x.example&user=u&pass={SECRET}",
        "email",
        "mailto://x.example:25/a@x.example",
    ),
    (f"slack://T12345678/B12345678/{SECRET}", "slack", "slack://…/…"),
    (f"slack://T12345678/B12345678/{SECRET}/#alerts", "slack", "slack://…/#alerts"),
    (f"slack://xoxb-1234-1234-{SECRET}/#alerts", "slack", "slack://…/#alerts"),
    (f"tgram://123456789:{LONG}aaa/12345", "telegram", "tgram://…/…"),
    (f"tgram://123456789:{LONG}aaa/@desk?silent=yes", "telegram", "tgram://…/@desk"),
    (f"discord://4174216298/{SECRET}", "discord", "discord://…/…"),
    (
        f"workflows://host.logic.azure.com/{SECRET}/{LONG}",
        "teams",
        "workflows://host.logic.azure.com/…",
    ),
    (f"workflow://h.azure.com/?id=abc&sig={SECRET}", "teams", "workflow://h.azure.com/…"),
    (f"ntfys://desk:{SECRET}@ntfy.example.com/topic", "ntfy", "ntfys://…@ntfy.example.com/…"),
    (f"ntfy://{SECRET}", "ntfy", "ntfy://…/…"),
    (f"ntfy://ntfy.example.com:81/{SECRET}?priority=high", "ntfy", "ntfy://ntfy.example.com:81/…"),
    (f"pover://{LONG[:30]}@{LONG[-30:]}/#{LONG[:30]}", "pushover", "pover://…@…/…"),
    (f"pagerduty://{LONG}@{SECRET}?+detail={SECRET}", "pagerduty", "pagerduty://…@…/…"),
    (f"opsgenie://{SECRET}-aaaa/#team?priority=p1", "opsgenie", "opsgenie://…/#team"),
    (
        f"matrixs://{SECRET}@matrix.example.com/#room:example.com",
        "matrix",
        "matrixs://…@matrix.example.com/#room:example.com",
    ),
    (f"matrix://{'a' * 40}{SECRET}", "matrix", "matrix://…/…"),
    (f"mmosts://chat.example.com/{SECRET}?to=town", "mattermost", "mmosts://chat.example.com/town"),
    (f"mmost://chat:8065/sub/{SECRET}", "mattermost", "mmost://chat:8065/…"),
    (
        f"rockets://{SECRET}/{SECRET}@chat.example.com/#ops",
        "rocketchat",
        "rockets://chat.example.com/#ops",
    ),
    (
        f"rocket://u:{SECRET}@chat.example.com/#ops",
        "rocketchat",
        "rocket://…@chat.example.com/#ops",
    ),
    (f"gotifys://push.example.com/{SECRET}", "gotify", "gotifys://push.example.com/…"),
    (
        "signals://signal.example.com/15555555555/15555555556",
        "signal",
        "signals://signal.example.com/…",
    ),
    (
        f"jsons://u:{SECRET}@x.example:8443/p/{SECRET}"
        f"?+Authorization=Bearer%20{SECRET}&-t={SECRET}&:x={SECRET}&method=put",
        "json",
        "jsons://…@x.example:8443/…",
    ),
    (f"xml://x.example/{SECRET}", "xml", "xml://x.example/…"),
    (f"forms://x.example/{SECRET}", "form", "forms://x.example/…"),
    (
        f"webhook+https://hooks.example.com/{SECRET}?k={SECRET}",
        "webhook",
        "webhook+https://hooks.example.com/…",
    ),
    ("webhook+http://10.0.0.1:8080", "webhook", "webhook+http://10.0.0.1:8080/"),
    ("WEBHOOK+HTTPS://x.example/", "webhook", "webhook+https://x.example/"),
]


@pytest.mark.parametrize(("address", "kind", "masked"), TAKEN, ids=[entry[2] for entry in TAKEN])
def test_an_address_is_taken_and_shown_without_its_secrets(
    address: str, kind: str, masked: str
) -> None:
    found = read(address)
    assert (found.kind, found.masked) == (kind, masked)
    for shown in (str(found), repr(found), f"{found}", found.masked):
        assert SECRET not in shown
        assert LONG not in shown


def test_every_kind_has_an_address_among_these() -> None:
    assert {kind for _, kind, _ in TAKEN} == {*KINDS, "webhook"}
    assert {address.partition("://")[0].lower() for address, _, _ in TAKEN} <= set(SCHEMES)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_scheme_that_a_message_shows_as_an_example_exists(kind: object) -> None:
    example = getattr(kind, "example")  # noqa: B009 - parametrize gives objects
    assert example.partition("://")[0] in getattr(kind, "schemes")  # noqa: B009


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "1 to 2,000 characters, not 0"),
        ("slack://" + "x" * 2_000, "1 to 2,000 characters, not 2,008"),
        (SECRET, "begins with its kind"),
        (f"://{SECRET}", "begins with its kind"),
        (f"{SECRET}:{SECRET}@x.example", "begins with its kind"),
        (f"slak://{SECRET}", "no channel slak://; did you mean slack"),
        (f"https://hooks.slack.com/services/T/B/{SECRET}", r"write webhook\+https:// .* slack://"),
        (f"http://x.example/{SECRET}", r"json:// for a plain one"),
        # What runs programs, reads files, speaks to the server's own screen or to other apprises.
        *[
            (f"{scheme}://{SECRET}", f"there is no channel {scheme}://")
            for scheme in (
                *("file", "syslog", "rsyslog", "dbus", "qt", "kde", "glib", "gnome", "windows"),
                *("macosx", "exec", "python", "apprise", "apprises", "mqtt", "smpp", "sns", "ses"),
                *("growl", "irc", "blink1", "enigma2", "vapid", "ftp", "gopher", "ldap", "data"),
            )
        ],
        (f"slack://T12345678/B12345678/{SECRET}?template=file:///etc/passwd", "no files are read"),
        (f"slack://T12345678/B12345678/{SECRET}?Template=x", "no files are read"),
        (f"slack://T12345678/B12345678/{SECRET}?%74emplate=x", "no files are read"),
        (f"slack://T12345678/B12345678/{SECRET}?to=x;template=x&verify=no", "always checked"),
        (f"discord://1/{SECRET}?template=x", "no files are read"),
        (f"tgram://123456789:{LONG}aaa/1?template=x", "no files are read"),
        (f"mailto://u:{SECRET}@x.example?pgppub=/etc/passwd", "option 1 is none"),
        (f"mailto://u:{SECRET}@x.example?pgpprv=/etc/passwd&pgp=sign", "option 1 is none"),
        (f"mailto://u:{SECRET}@x.example?wkd=yes", "option 1 is none"),
        (f"mailto://u:{SECRET}@x.example?+Bcc=x@y.example", "option 1 is none"),
        (f"ntfys://ntfy.example.com/{SECRET}?attach=file:///etc/passwd", "no files are sent"),
        (f"jsons://x.example/{SECRET}?verify=no", "certificates are always checked"),
        (f"jsons://x.example/{SECRET}?redirect=yes", "redirects are never followed"),
        (f"jsons://x.example/{SECRET}?rto=600", "time-outs are fixed"),
        (f"jsons://x.example/{SECRET}?format=markdown", "plain text"),
        (f"jsons://x.example/{SECRET}?method=GET", "one of POST, PUT, PATCH"),
        (f"jsons://x.example/{SECRET}?metod=POST", "option 1 is none .*did you mean method"),
        (f"jsons://x.example/?+Host={SECRET}", "a header that is yours"),
        (f"jsons://x.example/?+Transfer-Encoding={SECRET}", "a header that is yours"),
        (f"jsons://x.example/?+X%20Y={SECRET}", "a header that is yours"),
        (f"gotify://x.example/{SECRET}?+X={SECRET}", "option 1 is none"),
        (f"gotify://x.example/{SECRET}?priority=high&{SECRET}", "option 2 is none"),
        (f"matrixs://{SECRET}@x.example/#r?autoverify=yes", "option 1 is none"),
        # What would be read in two ways, or would break a line of a header.
        (f"mailto://u:{SECRET}@b@x.example", "%40"),
        (f"mailto://u:a:{SECRET}@x.example", "%3A"),
        (f"json://x.example\\@y.example/{SECRET}", "backslash"),
        (f"json://x.example/a b/{SECRET}", "%20"),
        (f"mailto://x.example?to=a@x.example%0d%0aBcc:{SECRET}", "no line breaks"),
        (f"mailto://x.example?to=a@x.example%250d%250aBcc:{SECRET}", "no line breaks"),
        (f"mailto://x.example?to=a@x.example%25250d%25250aBcc:{SECRET}", "no line breaks"),
        (f"mailto://x.example?name=a%E2%80%AE{SECRET}", "no line breaks"),
        (f"json://x.example/\x00{SECRET}", "no line breaks"),
        (f"webhook+https://x.example/%0a{SECRET}", "no line breaks"),
        # What is incomplete.
        ("slack://", "look like slack://TokenA"),
        (f"slack://{SECRET}", "look like slack://TokenA"),
        (f"tgram://{SECRET}", "look like tgram://BotToken"),
        (f"tgram://123456789:{LONG}aaa", "says who gets it"),
        (f"tgram://123456789:{LONG}aaa/!!{SECRET}", "look like tgram://"),
        (f"discord://{SECRET}", "look like discord://"),
        (f"mailto://u:{SECRET}@x.example?to=nobody", "look like mailtos://"),
        (f"mailto://u:{SECRET}@x.example?mode=plain", "look like mailtos://"),
        (f"json://?+x={SECRET}", "look like jsons://"),
        (f"webhook+https://?{SECRET}", r"looks like webhook\+https://"),
        (f"webhook+https://[{SECRET}/", r"looks like webhook\+https://"),
        (f"webhook+https://x.example:{SECRET}/", r"looks like webhook\+https://"),
        (f"webhook+https://x.example:0/{SECRET}", r"looks like webhook\+https://"),
        (f"webhook+https://u:{SECRET}@x.example/", "it is signed"),
        (f"webhook+https://x.example/#{SECRET}", "it is signed"),
        (f"webhook+ftp://x.example/{SECRET}", "no channel webhook"),
        (f"webhook+https://{SECRET}@x.example?a@b", "it is signed"),
    ],
)
def test_an_address_is_refused_with_a_reason_that_repeats_no_part_of_it(
    address: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    with pytest.raises(InputError, match=words) as refused:
        read(address)
    assert SECRET not in str(refused.value)
    assert LONG not in str(refused.value)
    assert SECRET not in caplog.text


def test_what_else_an_option_of_the_address_holds_reaches_apprise_as_a_value() -> None:
    found = read(f"slack://T12345678/B12345678/{SECRET}?to=a%26template=file:///etc/passwd")
    assert found.url.endswith("?to=a%26template%3Dfile%3A%2F%2F%2Fetc%2Fpasswd")
    found = read("slack://T12345678/B12345678/C1?to=a;template=x")
    assert found.url.endswith("?to=a%3Btemplate%3Dx")


@pytest.mark.parametrize(
    ("said", "cleaned"),
    [
        (f"no token {SECRET}", "no token …"),
        (f"T12345678\\/B12345678\\/{SECRET}", r"…\/…\/…"),
        ("channel alerts is gone", "channel alerts is gone"),
    ],
)
def test_what_others_say_loses_the_address_s_secrets(said: str, cleaned: str) -> None:
    assert read(f"slack://T12345678/B12345678/{SECRET}/#alerts").clean(said) == cleaned


def test_secrets_are_known_in_each_of_their_forms() -> None:
    found = read(f"jsons://desk:p%40ss{SECRET}@x.example/a%2Fb{SECRET}?+X-Key=k%26{SECRET}")
    for form in (f"p@ss{SECRET}", f"p%40ss{SECRET}", f"a/b{SECRET}", f"k&{SECRET}"):
        assert found.clean(f"[{form}]") == "[…]"
    assert found.clean("[ZGVzazpwQHNz" + "UzNDUkVUczNjcmV0UzNDUkVUczNjcmV0]") == "[…]"
    assert found.clean("x.example") == "x.example"


tokens = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_+!~.", min_size=12, max_size=30)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(SCHEMES)),
    st.lists(tokens, min_size=1, max_size=6),
    st.sampled_from(
        ["{}", "{}/{}", "{}:{}@x.example/{}", "{}@{}/{}", "x.example/{}?{}={}", "{}/{}/{}/{}?{}"]
    ),
)
def test_no_token_is_ever_shown_or_said(scheme: str, parts: list[str], form: str) -> None:
    wanted = [f"q{part}z" for part in (parts * 6)[: form.count("{}")]]
    address = f"{scheme}://" + form.format(*map(quote, wanted))
    try:
        said = read(address).masked
    except InputError as error:
        said = str(error)
    # A host is shown where one is meant to be, and nothing else is.
    host = wanted[0] if form in ("{}", "{}/{}", "{}/{}/{}/{}?{}") else ""
    host = wanted[1] if form == "{}@{}/{}" else host
    for token in wanted:
        assert token == host or token not in said


def test_a_secret_belongs_to_a_webhook_and_to_nothing_else() -> None:
    with pytest.raises(InputError, match="only a webhook") as refused:
        open_channel("chat", f"gotify://x.example/{SECRET}", "x" * 16)
    assert "x" * 16 not in str(refused.value)
    with pytest.raises(InputError, match="16 characters or more, not 5"):
        open_channel("hook", "webhook+https://x.example", "12345")
    channel = open_channel("hook", "webhook+https://x.example", SECRET)
    assert (channel.name, channel.kind) == ("hook", "webhook")
    assert SECRET not in repr(channel)
