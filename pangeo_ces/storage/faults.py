"""What errors of object stores mean, and what to do about them."""

from __future__ import annotations

import os
import re
import time

from ..errors import ConfigError
from .files import file_system
from .settings import SECRETS_BELONG, Place, place

#: How long a task waits for a server that was there before.
PATIENCE_SECONDS = 30.0
#: Clients of object stores and web servers, whose errors are not OSError.
_CLIENTS = {
    "aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "httpcore", "httpx",
    "webdav4",
}  # fmt: skip
#: What clients say, and what it means; the first that fits.
_MEANINGS = {
    "bucket": "NoSuchBucket|bucket does not exist|ContainerNotFound|container does not exist",
    "refused": "SignatureDoesNotMatch|signature we calculated|InvalidAccessKey|access key ID you|"
    "AuthenticationFailed|failed to authenticate|invalid_grant|ExpiredToken|token has expired",
    "none": "credential provider was not enabled|NoCredentials|failed to load|"
    "getting credentials|Unable to locate credentials|no providers in chain|CredentialsNotLoaded|"
    "credentials were not found|performing token request",
    "denied": "AccessDenied|Access Denied|Forbidden|AuthorizationFailure|Anonymous caller|"
    "NoAuthenticationInformation|PublicAccessNotPermitted|Unauthorized",
    "away": "dispatch failure|Could not connect|Cannot connect|onnection refused|timed out|"
    "[Tt]imeout|dns error|onnection was closed|reset by peer|Server disconnected|sending request|"
    "ServiceUnavailable|SlowDown|InternalError|nominal_bytes_per_sec|minimum throughput",
}


def is_of_client(error: BaseException) -> bool:
    """Whether an object store's client raised it; clients need not be installed to be known."""
    return type(error).__module__.partition(".")[0] in _CLIENTS


def reason(url: str | os.PathLike[str], error: BaseException) -> str:
    """What an error of a place means and what to do about it, without what gives access."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    said = re.sub(r"(https?://[^\s?\"']+)\?[^\s\"')]+", r"\1?...", said)[:300]
    told = said or type(error).__name__
    try:
        there = place(url)
    except ConfigError:
        there = None
    if there is None:
        return f"{told}; check the path and the credentials"
    kind = kind_of(error)
    server = there.server()
    if kind == "bucket":
        return f"there is no bucket {there.bucket} at {server}: make it, or check the name"
    if kind == "refused":
        return f"{server} refused the credentials: check them in {_place_of_keys(there)}"
    if kind == "none":
        return (f"no credentials were found for {server}: set {SECRETS_BELONG[there.family]}; or "
                f"anonymous: true in ces.storage for what is open to all")  # fmt: skip
    if kind == "denied":
        return (f"{server} denied access to the bucket {there.bucket}: ask its owner, or check the "
                f"credentials in {_place_of_keys(there)}")  # fmt: skip
    if kind == "away":
        return f"no answer from {server}: check the endpoint and the network, then run this again"
    return f"{told}; check the path and the credentials"


def kind_of(error: BaseException) -> str:
    """``bucket``, ``refused``, ``none``, ``denied``, ``away``; empty if it is another error."""
    text = f"{type(error).__name__}: {error}"
    return next((kind for kind, words in _MEANINGS.items() if re.search(words, text)), "")


def is_away(error: BaseException) -> bool:
    """Whether a server, rather than what was asked of it, is the reason of an error."""
    return kind_of(error) == "away"


class Patience:
    """Seconds for which a server may be away before work on it ends.

    Clients repeat requests on their own, but those made at once share what is left of their
    attempts, so that many together give up within a second.

    >>> patience = Patience(0)
    >>> patience.wait(ValueError("no server's fault"))
    False
    """

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self.seconds = seconds
        self.until: float | None = None

    def pause(self, error: BaseException) -> float:
        """Seconds to wait before trying again; 0 if it is of no use."""
        if not is_away(error):
            return 0
        now = time.monotonic()
        if self.until is None:
            self.until = now + self.seconds
        return 1 if now < self.until else 0

    def wait(self, error: BaseException) -> bool:
        """Wait, if it may be of use."""
        pause = self.pause(error)
        time.sleep(pause)
        return pause > 0


def _place_of_keys(there: Place) -> str:
    if there.anonymous:
        return "ces.storage or the environment, which ask for anonymous access"
    if there.profile:
        return f"the profile {there.profile}"
    return SECRETS_BELONG[there.family].split(",")[0]


def has_bucket(url: str | os.PathLike[str]) -> bool:
    """False where the bucket of a URL is certainly missing."""
    there = place(url)
    if there is None:
        return True
    try:
        fs, _ = file_system(url)
        return bool(fs.exists(there.bucket))
    except Exception:  # to ask may not be allowed
        return True
