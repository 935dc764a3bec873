"""Who may have what: users with HTTP digest (RFC 7616), and restricted channels."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.request import parse_http_list, parse_keqv_list

from ..errors import ConfigError, ParameterError
from .timeline import Codes, matches

REALM = "FDSN"
#: Seconds a server's nonce is good for.
_NONCE_LIFE = 600.0


def add_user(path: str | os.PathLike[str], user: str, password: str) -> None:
    """Add a user to a file that only its owner can read, or give him a new password.

    What is written is ``user:realm:HA1``, as ``htdigest`` does: digest authentication needs no
    password on the server's side.  Keep the file secret all the same: HA1 is as good as one here.

    Raises
    ------
    ParameterError
        If the name or the password cannot be.
    ConfigError
        If the file is no file of users, or others can read it.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,100}", user):
        raise ParameterError(f"user {user!r}: use letters, digits and _ . @ + -")
    if not password:
        raise ParameterError("the password is empty: give one")
    path = Path(path)
    users = read_users(path) if path.exists() else {}
    users[user] = _md5(f"{user}:{REALM}:{password}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{name}:{REALM}:{ha1}\n" for name, ha1 in sorted(users.items()))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def read_users(path: str | os.PathLike[str]) -> dict[str, str]:
    """Users and their HA1.

    Raises
    ------
    ConfigError
        If it cannot be read, others can read it, or a line is not ``user:FDSN:HA1``.
    """
    path = Path(path)
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the users of {path} ({error}): make the file with --add-user NAME"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others can read {path}: run chmod 600 {path}")
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(rf"([^:]+):{REALM}:([0-9a-f]{{32}})", line)
        if not match:
            raise ConfigError(f"line {number} of {path} is not user:{REALM}:HA1: use --add-user")
        users[match[1]] = match[2]
    return users


@dataclasses.dataclass(frozen=True)
class Access:
    """What clients may have.

    Parameters
    ----------
    users
        HA1 of each user.
    restricted
        Patterns of networks (``NET``) or stations (``NET.STA``) that need a password.
    """

    users: dict[str, str]
    restricted: Sequence[str] = ()

    def permits(self, user: str | None, codes: Codes, closed: bool) -> bool:
        """Whether a client may have the samples of a channel; every answer asks here.

        Parameters
        ----------
        user
            Who he proved to be, ``None`` for anyone.
        codes
            Of the channel.
        closed
            Whether the station metadata close it.
        """
        listed = any(
            matches([(part,) for part in item.split(".")], codes[: item.count(".") + 1])
            for item in self.restricted
        )
        return user is not None or not (closed or listed)


class Digest:
    """Checks what clients answer to a challenge; nonces are signed, and each use of one counts."""

    def __init__(self, users: dict[str, str]):
        self._users = users
        self._secret = secrets.token_bytes(32)
        self._used: dict[str, set[int]] = {}

    def challenge(self, *, stale: bool = False) -> str:
        """The ``WWW-Authenticate`` header."""
        now = f"{time.time():.6f}"
        again = ", stale=true" if stale else ""
        return (
            f'Digest realm="{REALM}", qop="auth", algorithm=MD5, '
            f'nonce="{now}:{self._sign(now)}"{again}'
        )

    def check(self, header: str, method: str, target: str) -> tuple[str | None, bool]:
        """The user that an ``Authorization`` header proves, and whether only its nonce is old.

        Parameters
        ----------
        header
            ``Digest username="…", …``.
        method, target
            Of the request: ``GET``, and path with query as they were sent.
        """
        scheme, _, rest = header.partition(" ")
        try:
            given = parse_keqv_list([item for item in parse_http_list(rest) if "=" in item])
            count = int(given["nc"], 16)
            user, nonce = given["username"], given["nonce"]
            ha2 = _md5(f"{method}:{given['uri']}")
            # A user nobody knows takes as long as one with a wrong password.
            ha1 = self._users.get(user, "0" * 32)
            expected = _md5(f"{ha1}:{nonce}:{given['nc']}:{given['cnonce']}:{given['qop']}:{ha2}")
            right = (
                scheme.lower() == "digest"
                and hmac.compare_digest(expected.encode(), given["response"].encode())
                and user in self._users
                and (given["qop"], given["realm"], given["uri"]) == ("auth", REALM, target)
                and given.get("algorithm", "MD5") == "MD5"
            )
        except (KeyError, ValueError, IndexError):
            return None, False
        if not right:
            return None, False
        if not self._fresh(nonce, count):
            return None, True
        return user, False

    def _sign(self, now: str) -> str:
        return hmac.digest(self._secret, now.encode(), "sha256").hex()

    def _fresh(self, nonce: str, count: int) -> bool:
        """Whether the nonce is ours, young, and was never used with this count."""
        made, _, signature = nonce.partition(":")
        if not hmac.compare_digest(signature.encode(), self._sign(made).encode()):
            return False
        oldest = time.time() - _NONCE_LIFE
        self._used = {n: c for n, c in self._used.items() if float(n.partition(":")[0]) > oldest}
        if float(made) <= oldest or count in self._used.get(nonce, ()):
            return False
        self._used.setdefault(nonce, set()).add(count)
        return True


def _md5(text: str) -> str:
    """MD5 is what FDSN clients, ObsPy's among them, answer with."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
