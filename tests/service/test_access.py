"""Users, passwords and restricted channels."""

from __future__ import annotations

import hashlib
import time
import urllib.request

import pytest
from click.testing import CliRunner
from obspy import UTCDateTime
from obspy.clients.fdsn.header import (
    FDSNException,
    FDSNForbiddenException,
    FDSNUnauthorizedException,
)

from pangeo_ces.cli import main
from pangeo_ces.errors import ConfigError, ParameterError
from pangeo_ces.service.access import Access, Digest, add_user, read_users

WHOLE = ("GR", "BFO", "*", "HHZ", UTCDateTime(2003, 2, 22), UTCDateTime(2003, 2, 23))


def test_the_file_of_users(users, tmp_path):
    assert users.stat().st_mode & 0o777 == 0o600
    assert "secret" not in users.read_text()
    ha1 = hashlib.md5(b"anna:FDSN:secret of anna").hexdigest()
    assert read_users(users)["anna"] == ha1
    arguments = ["serve-fdsn", "--users", str(users), "--add-user", "anna"]
    for password, same in (("another", False), ("secret of anna", True)):
        result = CliRunner().invoke(main, arguments, input=f"{password}\n")
        assert result.exit_code == 0 and "secret" not in result.output
        assert (read_users(users)["anna"] == ha1) is same
    assert sorted(p.name for p in users.parent.iterdir()) == ["users.txt"]
    for name, password in (("a:b", "x"), ("", "x"), ("a\nb", "x"), ("a", "")):
        with pytest.raises(ParameterError):
            add_user(users, name, password)
    loose = tmp_path / "loose"
    loose.write_text(users.read_text())
    loose.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_users(loose)
    loose.chmod(0o600)
    loose.write_text("anna:secret\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_users(loose)


def test_one_rule_for_all():
    access = Access({}, ("XX", "YY.A*"))
    assert access.permits(None, ("ZZ", "A", "", "HHZ"), closed=False)
    for codes, closed in ((("XX", "A", "", "HHZ"), False), (("YY", "AB", "", "HHZ"), False),
                          (("ZZ", "A", "", "HHZ"), True)):  # fmt: skip
        assert not access.permits(None, codes, closed)
        assert access.permits("anna", codes, closed)
    assert access.permits(None, ("YY", "B", "", "HHZ"), closed=False)


@pytest.mark.service
def test_digest_through_obspy(guarded):
    client = guarded.client(user="anna", password="secret of anna")
    for _ in range(3):
        assert len(client.get_waveforms(*WHOLE)) == 1
    assert any('"user": "anna"' in line for line in guarded.log)
    for user, password in (("anna", "wrong"), ("nobody", "secret of anna"), ("bert", "")):
        with pytest.raises(FDSNException):
            guarded.client(user=user, password=password).get_waveforms(*WHOLE)


@pytest.mark.service
def test_restricted_without_password(guarded):
    client = guarded.client()
    with pytest.raises(FDSNForbiddenException):
        client.get_waveforms(*WHOLE)
    others = client.get_waveforms("GR", "*", "*", "HHZ", *WHOLE[4:])
    assert others and not others.select(station="BFO")
    stations = client.get_stations(includerestricted=False)
    assert {s.code for s in stations[0]} == {"BUG", "CLZ", "FUR", "TNS"}
    assert len(client.get_stations()[0].stations) == 5
    with pytest.raises(FDSNUnauthorizedException):
        guarded.client()._download(f"{guarded.url}/fdsnws/dataselect/1/queryauth?sta=BFO")


@pytest.mark.service
def test_without_users_there_is_no_queryauth(german):
    assert german.get("/fdsnws/dataselect/1/queryauth?sta=BFO")[0] == 404
    assert b"queryauth" not in german.get("/fdsnws/dataselect/1/application.wadl")[1]


@pytest.mark.service
def test_wadl_tells_of_queryauth(guarded):
    assert b'path="queryauth"' in guarded.get("/fdsnws/dataselect/1/application.wadl")[1]


class Browser:
    """The client's half, to be bent."""

    def __init__(self, digest: Digest):
        self.digest = digest
        self.nonce = digest.challenge().partition('nonce="')[2].partition('"')[0]

    def header(self, uri="/q?a=1", user="anna", password="secret", nc="00000001", **changes) -> str:
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
        given = {"username": user, "realm": "FDSN", "nonce": self.nonce, "uri": uri, "qop": "auth",
                 "nc": nc, "cnonce": "abc", "algorithm": "MD5", **changes}  # fmt: skip
        ha1, ha2 = md5(f"{user}:FDSN:{password}"), md5(f"GET:{uri}")
        given.setdefault("response", md5(
            f"{ha1}:{given['nonce']}:{nc}:{given['cnonce']}:{given['qop']}:{ha2}"))  # fmt: skip
        return "Digest " + ", ".join(f'{key}="{value}"' for key, value in given.items())


def test_digest_is_strict(monkeypatch):
    digest = Digest({"anna": hashlib.md5(b"anna:FDSN:secret").hexdigest()})
    browser = Browser(digest)
    check = lambda header, method="GET", target="/q?a=1": digest.check(header, method, target)  # noqa: E731
    assert check(browser.header()) == ("anna", False)
    assert check(browser.header()) == (None, True)  # played again
    assert check(browser.header(nc="00000002")) == ("anna", False)
    assert check(browser.header(nc="00000003"), target="/q?a=2") == (None, False)
    assert check(browser.header(nc="00000004"), method="POST") == (None, False)
    assert check(browser.header(nonce="1:2")) == (None, True)
    assert check(browser.header(nonce="nothing")) == (None, True)
    for change in ({"user": "bert"}, {"password": "wrong"}, {"realm": "other"}, {"nc": "zz"},
                   {"algorithm": "SHA-256"}, {"qop": "auth-int"}):  # fmt: skip
        assert check(browser.header(**change)) == (None, False)
    for text in ("", "Basic YTpi", "Digest", 'Digest username="anna"', "Digest ,,,", "Digest a=b",
                 "Digest \u00e9=\u00e9", "Digest " + '"' * 50):  # fmt: skip
        assert check(text) == (None, False)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600)
    assert check(browser.header(nc="00000009")) == (None, True)


@pytest.mark.service
def test_python_answers_a_fresh_challenge(guarded):
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, guarded.url, "bert", "secret of bert")
    opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(manager))
    lines = b"GR BFO * HHZ 2003-02-22 2003-02-23\n"
    with opener.open(f"{guarded.url}/fdsnws/dataselect/1/queryauth", data=lines) as reply:
        assert reply.status == 200 and len(reply.read()) > 0
