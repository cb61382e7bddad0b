"""Passwords: kept as scrypt hashes, each with its salt and its cost.

The cost stands beside the digest, as `$scrypt$ln=15,r=8,p=1$salt$digest` (ln: the logarithm of n;
base64 without padding), so that it can be raised: an older hash goes on to work and is replaced
when its owner signs in. With the present cost one check takes 0.1 s and 32 MB.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.errors import InputError

SHORTEST: Final = 8
LONGEST: Final = 1024
_DIGEST_BYTES: Final = 32
_SALT_BYTES: Final = 16
_MOST_MEMORY: Final = 2**28
"""Bytes. A stored hash that asks for more was not made by us, and is not obeyed."""
_STORED: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/-]{8,88})\$([\w+/-]{16,88})", re.ASCII
)


@dataclass(frozen=True)
class Cost:
    """What scrypt is to spend: n = 2**ln, block size r, parallelism p."""

    ln: int = 15
    r: int = 8
    p: int = 1

    @property
    def memory(self) -> int:
        """Bytes that one hash needs."""
        return 128 * self.r * ((1 << self.ln) + self.p + 2)


@dataclass(frozen=True, repr=False)
class Hash:
    """A hashed password. Neither `repr` nor `str` shows it."""

    cost: Cost
    salt: bytes
    digest: bytes

    def __repr__(self) -> str:
        return "Hash(hidden)"

    def text(self) -> str:
        """The form in which it is stored."""
        cost = f"ln={self.cost.ln},r={self.cost.r},p={self.cost.p}"
        return f"$scrypt${cost}${_encoded(self.salt)}${_encoded(self.digest)}"

    @classmethod
    def of_text(cls, text: str) -> Hash | None:
        """The hash that is stored as `text`; None for what is none, or costs beyond reason."""
        found = _STORED.fullmatch(text)
        if found is None:
            return None
        cost = Cost(int(found[1]), int(found[2]), int(found[3]))
        # Looked at before `memory`: ln=99 is a number that takes a while to write.
        if not (1 <= cost.ln <= 24 and cost.r and cost.p and cost.memory <= _MOST_MEMORY):
            return None
        try:
            return cls(cost, _decoded(found[4]), _decoded(found[5]))
        except ValueError:
            return None


class HashText(sa.TypeDecorator[Hash]):
    """A text column that holds hashes; what is no hash is read as None."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Hash | None, dialect: Any) -> str | None:  # noqa: ARG002
        return None if value is None else value.text()

    def process_result_value(self, value: str | None, dialect: Any) -> Hash | None:  # noqa: ARG002
        return None if value is None else Hash.of_text(value)


class Hasher:
    """Makes hashes and compares passwords with them."""

    def __init__(self, cost: Cost | None = None) -> None:
        self.cost = cost or Cost()

    def hash(self, password: str) -> Hash:
        """A new hash, with a salt of its own."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return Hash(self.cost, salt, self.digest(password, salt, self.cost, _DIGEST_BYTES))

    def matches(self, password: str, stored: Hash) -> bool:
        """Whether the hash is that of the password. Takes the same time for yes and no."""
        digest = self.digest(password, stored.salt, stored.cost, len(stored.digest))
        return hmac.compare_digest(digest, stored.digest)

    def decoy(self) -> Hash:
        """A hash of nothing anybody knows: checking against it costs what a real check costs."""
        return Hash(self.cost, secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_DIGEST_BYTES))

    def digest(self, password: str, salt: bytes, cost: Cost, length: int) -> bytes:
        return hashlib.scrypt(
            # A keyboard may send an accent apart from its letter, or (from JSON) half a character.
            unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass"),
            salt=salt,
            n=1 << cost.ln,
            r=cost.r,
            p=cost.p,
            maxmem=cost.memory + 2**20,
            dklen=length,
        )


def checked(password: str) -> str:
    """The password, if it may be one. Raises `InputError`, which does not quote it."""
    if len(password) < SHORTEST:
        raise InputError(f"the password is too short; it needs at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise InputError(f"the password is too long; it may have up to {LONGEST} characters")
    return password


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
