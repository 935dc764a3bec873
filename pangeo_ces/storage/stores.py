"""Icechunk's storage of object stores; credentials stay where they are used."""

from __future__ import annotations

import functools
from typing import Any

import icechunk
from icechunk._icechunk_python import AzureRefreshableCredential

from ..errors import ConfigError
from .files import ANSWER_SECONDS, CONNECT_SECONDS
from .settings import Place, connection_string, place

#: How often a request is made, and the longest pause between two (ms): a server may be away for
#: some 15 s, as when it restarts.  Pauses of minutes, Icechunk's own, would look like hanging.
_ATTEMPTS, _PAUSE_MS = 12, 5_000
_OPENING_SECONDS = 30


def icechunk_storage(url: str) -> Any:
    """Icechunk's storage behind a URL; ``None`` if it leads into no object store."""
    there = place(url)
    return None if there is None else _STORAGE_OF[there.family](there)


def _s3_storage(there: Place) -> Any:
    credentials: dict[str, Any] = {"from_env": True}
    if there.anonymous:
        credentials = {"anonymous": True}
    elif there.profile:
        credentials = {"get_credentials": functools.partial(_credentials_of, there.profile)}
    return icechunk.s3_storage(
        bucket=there.bucket,
        prefix=there.key,
        region=there.region or "us-east-1",
        endpoint_url=there.endpoint or None,
        allow_http=there.endpoint.startswith("http://"),
        force_path_style=bool(there.endpoint),
        network_stream_timeout_seconds=ANSWER_SECONDS,
        **credentials,
    )


def _credentials_of(profile: str) -> Any:
    """The keys of a profile of AWS; asked for where they are used, and not kept in pickles."""
    try:
        import botocore.session  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            f"the profile {profile} needs s3fs: pip install 'pangeo_ces[s3]'"
        ) from error
    try:
        found = botocore.session.Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        raise ConfigError(f"{error}: add it to ~/.aws/credentials, on workers too") from error
    if found is None:
        raise ConfigError(f"the profile {profile} has no keys: add them to ~/.aws/credentials")
    keys = found.get_frozen_credentials()
    return icechunk.S3StaticCredentials(
        access_key_id=keys.access_key,
        secret_access_key=keys.secret_key,
        session_token=keys.token,
        expires_after=getattr(found, "_expiry_time", None),
    )


def _gs_storage(there: Place) -> Any:
    return icechunk.gcs_storage(
        bucket=there.bucket,
        prefix=there.key,
        config={"google_base_url": there.endpoint} if there.endpoint else None,
        anonymous=there.anonymous or None,
        from_env=None if there.anonymous else True,
    )


def _az_storage(there: Place) -> Any:
    if not there.account:
        raise ConfigError(
            "az://: whose? Set AZURE_STORAGE_ACCOUNT_NAME, or account: NAME in ces.storage"
        )
    config = {"azure_storage_endpoint": there.endpoint} if there.endpoint else {}
    if there.endpoint.startswith("http://"):
        config["azure_allow_http"] = "true"
    string = connection_string()
    credentials: Any
    if there.anonymous:
        credentials = icechunk.azure_anonymous_credentials()
    elif string.get("accountname") == there.account:  # which Icechunk does not read by itself
        credentials = icechunk.azure_refreshable_credentials(_credentials_of_string)
    else:
        credentials = icechunk.azure_from_env_credentials()
    return icechunk.Storage.new_azure_blob(
        account=there.account, container=there.bucket, prefix=there.key,
        credentials=credentials, config=config,
    )  # fmt: skip


def _credentials_of_string() -> Any:
    """What AZURE_STORAGE_CONNECTION_STRING gives access with, where it is used."""
    string = connection_string()
    if signature := string.get("sharedaccesssignature"):
        return AzureRefreshableCredential.SasToken(signature, expires_after=None)
    key = string.get("accountkey", "")
    return AzureRefreshableCredential.AccessKey(key, expires_after=None)


_STORAGE_OF = {"s3": _s3_storage, "gs": _gs_storage, "az": _az_storage}


def opened(where: icechunk.Storage) -> icechunk.Repository:
    """The repository of an object store, for which Icechunk waits for a bounded time.

    Half a minute for opening, which is a few small requests, so that a wrong address is known soon;
    no limit in all for a request that makes progress later, a shard on a slow line.  None of this
    is written into the store.
    """
    found = icechunk.Repository.open(where, config=_config(_OPENING_SECONDS * 1000))
    return found.reopen(config=_config(None))


def _config(most: int | None) -> icechunk.RepositoryConfig:
    return icechunk.RepositoryConfig(
        storage=icechunk.StorageSettings(
            retries=icechunk.StorageRetriesSettings(max_tries=_ATTEMPTS, max_backoff_ms=_PAUSE_MS),
            timeouts=icechunk.StorageTimeoutSettings(
                connect_timeout_ms=CONNECT_SECONDS * 1000, read_timeout_ms=ANSWER_SECONDS * 1000,
                operation_timeout_ms=most,
            ),
        )
    )  # fmt: skip
