"""The server's small pages: sign in, please wait, not found. HTML and a style, no script."""

from __future__ import annotations

from html import escape
from typing import Final

from alphapulse_nb.charts import theme

WORDS: Final = {
    400: "The request cannot be understood.",
    401: "Sign in first.",
    403: "This is not open to you.",
    404: "There is nothing here.",
    405: "That cannot be done here.",
    413: "That is too much at once.",
    500: "Something went wrong on our side. It has been written to the server's log.",
    503: "The server is not ready. Try again in a moment.",
}


def paragraphs(words: str) -> str:
    """Text as HTML."""
    return f"<p>{escape(words)}</p>"


def link(words: str, address: str) -> str:
    """A way on, as HTML."""
    return f'<p><a href="{escape(address)}">{escape(words)}</a></p>'


def document(title: str, body: str, nonce: str, *, again: float | None = None) -> str:
    """A whole page. `body` is HTML; the page loads again after `again` seconds."""
    repeat = f'<meta http-equiv="refresh" content="{max(1, round(again))}">' if again else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{repeat}'
        f"<title>{escape(title)} · AlphaPulse</title>"
        f'<style nonce="{escape(nonce)}">{_STYLE}</style></head>'
        f'<body><main><div class="brand">AlphaPulse</div><h1>{escape(title)}</h1>{body}</main>'
        "</body></html>"
    )


def field(
    label: str, name: str, kind: str, *, complete: str, value: str = "", first: bool = False
) -> str:
    """A field of a form with its label; the page begins in the `first`."""
    attributes = {"name": name, "type": kind, "autocomplete": complete, "value": value}
    written = " ".join(f'{key}="{escape(given)}"' for key, given in attributes.items())
    marks = " autofocus" if first else ""
    return f'<label>{escape(label)}<input {written} maxlength="1024"{marks}></label>'


def _colours() -> str:
    light = "".join(f"--{name}:{shade.light};" for name, shade in theme.PALETTE.items())
    dark = "".join(f"--{name}:{shade.dark};" for name, shade in theme.PALETTE.items())
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"


_STYLE: Final = (
    _colours()
    + f"""
*{{box-sizing:border-box}}
a{{color:var(--accent)}}
body{{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;background:var(--ground);
color:var(--text);font:15px/1.5 {theme.FONT}}}
main{{width:100%;max-width:400px;background:var(--panel);border:1px solid var(--line);
border-radius:10px;padding:28px}}
.brand{{font-weight:700;color:var(--accent);margin-bottom:18px}}
h1{{font-size:20px;line-height:1.3;margin:0 0 10px}}
p{{margin:0 0 14px;overflow-wrap:anywhere}}
p:last-child{{margin-bottom:0}}
.muted{{color:var(--muted);font-size:13px;margin:14px 0 0}}
.bad{{color:var(--bad)}}
label{{display:block;font-size:13px;color:var(--muted);margin-bottom:12px}}
input{{display:block;width:100%;margin-top:4px;padding:9px 10px;font:inherit;font-size:16px;
color:var(--text);background:var(--ground);border:1px solid var(--zero);border-radius:6px}}
button,.button{{display:inline-block;font:inherit;font-weight:600;padding:9px 18px;border:0;
border-radius:6px;background:var(--accent);color:var(--panel);cursor:pointer;text-decoration:none}}
:focus-visible{{outline:2px solid var(--accent);outline-offset:2px}}
"""
)
