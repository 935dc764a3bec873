"""Where URLs of object stores lead, and what is refused."""

from __future__ import annotations

import pickle

import dask
import pytest

from pangeo_ces.errors import ConfigError
from pangeo_ces.storage import current, file_system, options, place, reason, using

VARIABLES = (
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE",
    "AWS_NO_SIGN_REQUEST", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "STORAGE_EMULATOR_HOST",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT",
    "AZURE_STORAGE_ANON",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No environment but that of the test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def configured(**rules):
    return dask.config.set({"ces.storage": rules})


def test_the_longest_prefix_goes_first():
    with dask.config.set({"ces.storage": {
        "s3": {"endpoint": "https://one", "region": "eu-1"},
        "s3://open": {"anonymous": True},
        "s3://open/mine": {"anonymous": False, "endpoint": "https://two"},
    }}):  # fmt: skip
        found = place("s3a://open/mine/store@v1")
        assert (found.endpoint, found.region, found.anonymous) == ("https://two", "eu-1", False)
        found = place("s3://open/mineral/store")
        assert (found.bucket, found.key) == ("open", "mineral/store")
        assert (found.endpoint, found.anonymous) == ("https://one", True)
        assert place("s3://opening/store").anonymous is None


def test_configuration_before_environment_before_profile(monkeypatch, tmp_path):
    (tmp_path / "config").write_text(
        "[default]\nregion = r1\nendpoint_url = https://profile\n"
        "[profile lab]\nregion = r2\nservices = of-lab\n"
        "[services of-lab]\ns3 =\n  endpoint_url = https://lab\n"
    )
    assert place("s3://b/k").endpoint == "https://profile"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert (place("s3://b/k").endpoint, place("s3://b/k").region) == ("https://lab", "r2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://environment")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "true")
    assert place("s3://b/k").endpoint == "https://environment"
    assert options("s3://b/k")["s3"]["anon"] is True
    with dask.config.set({"ces.storage": {"s3://b": {"profile": "lab", "anonymous": False}}}):
        found = options("s3://b/k")["s3"]
        assert (found["endpoint_url"], found["profile"], found["anon"]) == (
            "https://lab", "lab", False,
        )  # fmt: skip
    assert place("s3://b/k", endpoint="https://given", anonymous=False).endpoint == "https://given"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert place("s3://b/k").endpoint == ""


@pytest.mark.parametrize("name", [
    "secret", "key", "aws_secret_access_key", "token", "password", "sas_token", "connection_string",
])  # fmt: skip
def test_secrets_are_refused(name):
    with configured(s3={name: "hush-hush"}), pytest.raises(ConfigError) as caught:
        place("s3://b/k")
    assert "AWS_ACCESS_KEY_ID" in str(caught.value) and "hush" not in str(caught.value)


@pytest.mark.parametrize("rules, told", [
    ({"s3": {"endpint": "https://a"}}, "known ones are endpoint, region"),
    ({"gs": {"region": "a"}}, "known ones are endpoint, anonymous"),
    ({"ftp": {"endpoint": "https://a"}}, "no scheme or prefix"),
    ({"s3": "https://a"}, "no scheme or prefix"),
    ({"s3": {"endpoint": "localhost:9000"}}, "write https://HOST:PORT"),
    ({"s3": {"endpoint": "https://me:hush@host"}}, "leave out all before @"),
    ({"s3": {"profile": "nobody"}}, "aws configure --profile nobody"),
])  # fmt: skip
def test_what_cannot_be_is_refused(rules, told):
    with configured(**rules), pytest.raises(ConfigError, match=told) as caught:
        place("s3://b/k")
    assert "hush" not in str(caught.value)


def test_a_url_with_credentials_is_refused():
    with pytest.raises(ConfigError, match="into AWS_ACCESS_KEY_ID") as caught:
        place("s3://me:hush@bucket/store")
    assert "hush" not in str(caught.value)


def test_tasks_have_the_settings_of_their_maker(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://maker")
    with dask.config.set({"ces.storage": {"s3://open": {"anonymous": True}}}):
        settings = pickle.loads(pickle.dumps(current()))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://worker")
    assert place("s3://open/k").endpoint == "https://worker"
    with using(settings):
        found = place("s3://open/k")
        assert (found.endpoint, found.anonymous) == ("https://maker", True)
    assert place("s3://open/k").anonymous is None


def test_azure(monkeypatch):
    assert place("abfs://c@lake.dfs.core.windows.net/k").account == "lake"
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        "AccountName=mine;AccountKey=aHVzaA==;BlobEndpoint=http://127.0.0.1:1/mine",
    )
    assert place("az://c/k").endpoint == "http://127.0.0.1:1/mine"
    with configured(az={"account": "open", "anonymous": True}):
        found = options("az://c/k")["az"]
        assert found["connection_string"].endswith(
            "BlobEndpoint=https://open.blob.core.windows.net"
        )
    with (
        configured(az={"account": "other"}),
        pytest.raises(ConfigError, match="of the account mine"),
    ):
        options("az://c/k")
    assert "aHVzaA==" not in repr(current()) and b"aHVzaA==" not in pickle.dumps(current())


def test_google(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:9")
    assert options("gs://b/k")["gs"]["endpoint_url"] == "http://localhost:9"
    with configured(gs={"anonymous": True}):
        assert options("gcs://b/k")["gcs"]["token"] == "anon"


def test_others_are_left_alone(tmp_path):
    assert place(tmp_path) is None and place("https://host/store") is None
    assert options("memory://a") == {}
    assert file_system("memory://a")[0].protocol == "memory"


def test_chained(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://one")
    assert options("zip://a.mseed::s3://b/a.zip")["s3"]["endpoint_url"] == "https://one"


def test_errors_are_told_without_signatures():
    url = "https://host/b/k?X-Amz-Signature=hush&sig=hush"
    assert "hush" not in reason("s3://b/k", OSError(f"bad answer from {url}"))
    assert reason("s3://b/k", OSError("The specified bucket does not exist")).endswith("the name")
    assert "check the path" in reason("/data/store", OSError("odd"))
