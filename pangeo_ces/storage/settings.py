"""Where URLs of object stores lead: configuration, environment, profiles."""

from __future__ import annotations

import configparser
import contextlib
import contextvars
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask.config

from ..errors import ConfigError

#: Schemes by whose interface they speak.
FAMILIES = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az",
}  # fmt: skip
#: What may be said of a prefix, by family.
OPTIONS = {
    "s3": ("endpoint", "region", "profile", "anonymous"),
    "gs": ("endpoint", "anonymous"),
    "az": ("endpoint", "account", "anonymous"),
}
#: Where its secrets belong.
SECRETS_BELONG = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into ~/.aws/credentials as a profile",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, which names a file",
    "az": "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_CONNECTION_STRING",
}
_SECRET = re.compile(r"secret|passw|token|key|credential|sas$|connection|user", re.IGNORECASE)
_YES = ("1", "true", "yes", "on")

Rule = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a URL of an object store leads.

    Attributes
    ----------
    family
        ``s3``, ``gs`` or ``az``.
    bucket, key
        Bucket (of Azure: container), and the path in it.
    endpoint
        URL of the server; empty for the provider's own.
    anonymous
        Whether requests are signed; ``None`` leaves it to the client.
    region, profile, account
        Empty where nothing was said.
    """

    family: str
    bucket: str
    key: str
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    account: str = ""
    anonymous: bool | None = None

    def server(self) -> str:
        """The server, for people to read."""
        own = {"s3": "AWS", "gs": "Google", "az": f"Azure's account {self.account or 'of no name'}"}
        return self.endpoint or own[self.family]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is known about places: rules by prefix, and what holds where there is none.

    They hold no secrets and go along with tasks, so that workers need nothing but credentials.
    """

    rules: tuple[tuple[str, Rule], ...] = ()
    environment: tuple[tuple[str, Rule], ...] = ()

    def place(self, url: str, **more: Any) -> Place | None:
        """Where a URL leads; ``None`` if not into an object store.  What is given goes first."""
        scheme, sign, rest = url.partition("://")
        family = FAMILIES.get(scheme) if sign else None
        if family is None:
            return None
        bucket, _, key = rest.strip("/").partition("/")
        told: dict[str, Any] = {}
        if family == "az" and "@" in bucket:  # abfs://container@account.dfs.core.windows.net
            bucket, _, host = bucket.partition("@")
            told["account"] = host.partition(".")[0]
        if ":" in bucket or (family != "az" and "@" in bucket):
            raise ConfigError(
                f"a URL {scheme}://… with credentials would be written into reports: put them into "
                f"{SECRETS_BELONG[family]}"
            )
        own = f"{family}://{bucket}/{key}/"
        for prefix, rule in reversed(self.rules):  # the longest first
            if prefix == family or own.startswith(f"{prefix}/"):
                told = {**dict(rule), **told}
        told |= {name: value for name, value in more.items() if value not in (None, "")}
        around = dict(dict(self.environment).get(family, ()))
        if told.get("account", around.get("account")) != around.get("account"):
            around.pop("endpoint", None)  # which is that of another account
        return Place(family, bucket, key, **{**around, **told})


_given: contextvars.ContextVar[Settings | None] = contextvars.ContextVar("storage", default=None)


@contextlib.contextmanager
def using(settings: Settings) -> Iterator[None]:
    """Within a task: the settings of whoever made it, whatever is configured here."""
    token = _given.set(settings)
    try:
        yield
    finally:
        _given.reset(token)


def current() -> Settings:
    """The settings that hold now.

    Raises
    ------
    ConfigError
        When ``ces.storage`` says what cannot be, or holds a secret.
    """
    if (given := _given.get()) is not None:
        return given
    rules = {}
    for prefix, options in (dask.config.get("ces.storage", None) or {}).items():
        scheme, _, rest = str(prefix).partition("://")
        family = FAMILIES.get(scheme)
        if family is None or not isinstance(options, Mapping):
            raise ConfigError(
                f"ces.storage: {prefix!r} is no scheme or prefix with options: write "
                "s3://BUCKET: {endpoint: https://…}, or s3, gs, az for all of a kind"
            )
        rest = rest.strip("/")
        rules[f"{family}://{rest}" if rest else family] = _rule(str(prefix), family, options)
    environment = (("s3", _aws()), ("gs", _google()), ("az", _azure()))
    return Settings(tuple(sorted(rules.items(), key=lambda item: len(item[0]))), environment)


def _rule(prefix: str, family: str, options: Mapping[str, Any]) -> Rule:
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name not in OPTIONS[family]:
            if _SECRET.search(str(name)):
                raise ConfigError(
                    f"ces.storage: {prefix} has {name!r}, and configuration goes along with tasks "
                    f"and into logs: put secrets into {SECRETS_BELONG[family]}"
                )
            known = ", ".join(OPTIONS[family])
            raise ConfigError(f"ces.storage: {prefix} has {name!r}: the known ones are {known}")
        if name == "anonymous":
            found[name] = value if isinstance(value, bool) else str(value).lower() in _YES
            continue
        found[name] = str(value)
        if name == "endpoint":
            _check_endpoint(f"ces.storage: {prefix}", found[name])
    if "profile" in found:  # read here, since workers may have another
        _check_profile(prefix, found["profile"])
        found = {**_profile(found["profile"]), **found}
    return tuple(sorted(found.items()))


def _check_endpoint(where: str, endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"{where}: endpoint {endpoint!r} is no URL: write https://HOST:PORT")
    if "@" in parts.netloc:
        raise ConfigError(f"{where}: an endpoint with a password: leave out all before @, and put "
                          "secrets into the environment or a profile")  # fmt: skip


def _first(*names: str) -> str:
    """The first of some variables of the environment that is set."""
    return next((value for name in names if (value := os.environ.get(name))), "")


def _aws() -> Rule:
    found = _profile(_first("AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default")
    endpoint = _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or found.get("endpoint", "")
    if _first("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").lower() in _YES:
        endpoint = ""
    if endpoint:
        _check_endpoint("AWS_ENDPOINT_URL", endpoint)
    region = _first("AWS_REGION", "AWS_DEFAULT_REGION") or found.get("region", "")
    anonymous = _first("AWS_NO_SIGN_REQUEST").lower() in _YES or None
    return (("anonymous", anonymous), ("endpoint", endpoint), ("region", region))


def _check_profile(prefix: str, name: str) -> None:
    """Refuse a profile that is nowhere: Icechunk would only say that no request could be made."""
    known = _parsed("AWS_CONFIG_FILE", "~/.aws/config").sections()
    known = [section.removeprefix("profile ") for section in known]
    known += _parsed("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials").sections()
    if name not in known:
        raise ConfigError(
            f"ces.storage: {prefix} has the profile {name!r}, which is not in ~/.aws: add it with "
            f"aws configure --profile {name}"
        )


def _parsed(variable: str, default: str) -> configparser.ConfigParser:
    """A file of AWS's; empty if it cannot be read, the client says what is wrong with it."""
    # No interpolation: a percent sign is one.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser.read(Path(_first(variable) or default).expanduser())
    return parser


def _profile(name: str) -> dict[str, str]:
    """Endpoint and region of a profile, as ``~/.aws/config`` has them."""
    parser = _parsed("AWS_CONFIG_FILE", "~/.aws/config")
    section = name if name == "default" and parser.has_section(name) else f"profile {name}"
    if not parser.has_section(section):
        return {}
    facts = dict(parser[section])
    services = f"services {facts.get('services', '')}"
    if parser.has_section(services):
        nested = re.search(r"^endpoint_url\s*=\s*(\S+)", parser[services].get("s3", ""), re.M)
        facts |= {"endpoint_url": nested[1]} if nested else {}
    names = {"endpoint": "endpoint_url", "region": "region"}
    return {ours: facts[theirs] for ours, theirs in names.items() if facts.get(theirs)}


def _google() -> Rule:
    host = _first("STORAGE_EMULATOR_HOST")
    return (("endpoint", host if "://" in host or not host else f"http://{host}"),)


def _azure() -> Rule:
    string = connection_string()
    anonymous = _first("AZURE_STORAGE_ANON").lower() in _YES or None
    account = string.get("accountname", "") or _first("AZURE_STORAGE_ACCOUNT_NAME")
    endpoint = string.get("blobendpoint", "") or _first("AZURE_STORAGE_ENDPOINT")
    return (("account", account), ("anonymous", anonymous), ("endpoint", endpoint.rstrip("/")))


def connection_string() -> dict[str, str]:
    """The parts of Azure's connection string, which holds a secret; names in lower case."""
    pairs = (p.partition("=") for p in _first("AZURE_STORAGE_CONNECTION_STRING").split(";"))
    return {name.strip().lower(): value for name, _, value in pairs}


def place(url: str | os.PathLike[str], **more: Any) -> Place | None:
    """Where a URL leads now; see :meth:`Settings.place`."""
    text = os.fspath(url)
    scheme, sign, _ = text.partition("://")
    return current().place(text, **more) if sign and scheme in FAMILIES else None
