"""Servers and tables that cannot be read, and connections that may not be made."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tickets import LOCAL, content, items, make_tickets, read, refused

from foreign import Foreign, free_port, new_maria
from mariadb import mariadb
from ragdb.outbound import Guard
from ragdb.sources.driver import Setup, SourceError, Tools


def failing(url: str, tools: Tools = LOCAL, **config: Any) -> tuple[str, bool]:
    """How reading tickets ends, and whether it may be tried again."""
    config = {"table": "tickets", "id": "id", "title": "subject"} | config
    error = refused(Setup("acme", "x", config, {"url": url}, tools))
    return error.code, error.may_retry


def test_servers_that_cannot_be_read(database: Foreign) -> None:
    right = database.url()
    port = right.partition("127.0.0.1:")[2].partition("/")[0]
    nowhere = {
        "postgresql": ("source_database_not_found", False),
        # A MySQL user who may not see a database is not told that there is none.
        "mariadb": ("source_login_refused", False),
    }[database.kind]
    assert failing(database.url(password="wrong")) == ("source_login_refused", False)
    assert failing(database.url(user="stranger")) == ("source_login_refused", False)
    assert failing(right.replace(f":{port}/", f":{free_port()}/")) == ("source_unreachable", True)
    assert failing(right.replace("127.0.0.1", "nowhere.invalid")) == ("host_not_found", True)
    assert failing(right.replace("/desk_", "/task_")) == nowhere
    assert failing(database.url(tls="require")) == ("source_tls_failed", False)
    assert failing(right, Tools(Guard())) == ("address_not_allowed", False)


def test_tables_that_cannot_be_read(database: Foreign) -> None:
    make_tickets(database, 3)
    database.run("create table hidden (id int, subject int)")
    if database.kind == "postgresql":
        database.run("revoke select on hidden from reader")
        assert failing(database.url(), table="hidden") == ("source_permission_denied", False)
        # MariaDB takes a text that is no number for 0.
        assert failing(database.url(), where={"id": "five"}) == ("type_mismatch", False)
    assert failing(database.url(), table="nothing") == ("table_not_found", False)
    assert failing(database.url(), table="elsewhere.nothing")[0] in (
        "table_not_found", "source_permission_denied"
    )  # fmt: skip
    assert failing(database.url(), title="nothing") == ("column_not_found", False)
    slow = {"postgresql": "pg_sleep(30)", "mariadb": "sleep(30)"}[database.kind]
    assert failing(
        database.url(), table=None, query=f"select id, subject, {slow} as slow from tickets",
        metadata={"slow": "slow"}, statement_seconds=1,
    ) == ("source_timeout", True)  # fmt: skip
    for config in (
        {"table": None}, {"query": "select 1"}, {"title": None}, {"time_zone": "Mars"},
        {"encoding": "klingon"}, {"colour": "red"}, {"ca": "no certificate"},
    ):  # fmt: skip
        url = database.url(tls="verify") if "ca" in config else database.url()
        assert failing(url, **config)[0] in ("invalid_mapping", "invalid_certificate"), config
    assert failing(database.url(), ca="unused")[0] == "invalid_connection"


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://a@b/c", "mysql://a@b:x/c", "mysql://a@b", "mysql://b/c", "mysql://a@/c",
        "postgresql://a@b,c/d", "postgresql://a@b/c?hostaddr=127.0.0.1",
        "postgresql://a@b/c?service=x", "postgresql://a@b/c?sslkey=/etc/passwd",
        "mysql://a@b/c?tls=maybe", "mysql://a@b/c?unix_socket=/run/mysqld.sock",
        "mysql://a@b/c?local_infile=1", "oracle://a@b/c?tls=prefer", "mysql://a@b/c%00d",
    ],
)  # fmt: skip
def test_connection_strings_that_are_none(url: str) -> None:
    assert failing(url) == ("invalid_connection", False)


@pytest.mark.parametrize("host", ["%2Fvar%2Frun", "/var/run", "localhost", "[::1]", "10.1.2.3"])
def test_hosts_that_are_out_of_bounds(host: str) -> None:
    for kind in ("postgresql", "mysql", "oracle"):
        assert failing(f"{kind}://a:b@{host}/c", Tools(Guard()))[0] in (
            "address_not_allowed", "host_not_found", "invalid_connection"
        )  # fmt: skip


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that the account of the server may read."""
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir="/var/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_encrypted_connections(readable: Path) -> None:
    authority = write_certificates(readable)
    with mariadb(f"--ssl-ca={readable / 'ca.pem'}", f"--ssl-cert={readable / 'cert.pem'}",
                 f"--ssl-key={readable / 'key.pem'}") as server:  # fmt: skip
        database = new_maria(server)
        query = "select 1 as id, variable_value as cipher"
        query += " from information_schema.session_status where variable_name = 'Ssl_cipher'"

        def cipher(tls: str, **config: Any) -> str:
            url = database.url(tls=tls).replace("127.0.0.1", "localhost")
            config = {"query": query, "id": "id", "content": ["cipher"], **config}
            setup = Setup("acme", "x", config, {"url": url}, LOCAL)
            [found] = items(read(setup)).values()
            return content(found)

        assert cipher("off") == ""
        assert all(map(cipher, ("prefer", "require")))
        assert cipher("verify", ca=authority)
        for ca in ({}, {"ca": write_certificates(readable / "other")}):
            with pytest.raises(SourceError) as caught:
                cipher("verify", **ca)
            assert caught.value.code == "source_tls_failed"
        with pytest.raises(SourceError) as caught:
            config = {"table": "t", "id": "id", "title": "t", "ca": authority}
            read(Setup("acme", "x", config, {"url": database.url(tls="verify")}, LOCAL))
        assert caught.value.code == "source_tls_failed"  # 127.0.0.1 is not localhost


def write_certificates(folder: Path) -> str:
    """An authority and a certificate of localhost by it, as files; the authority's certificate."""
    folder.mkdir(exist_ok=True)
    made: dict[str, Any] = {}
    for name, subject in (("ca", "Test Authority"), ("cert", "localhost")):
        key = ec.generate_private_key(ec.SECP256R1())
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        signer, issuer = made.get("ca", (key, common))
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(common).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), True)
            .sign(signer, hashes.SHA256())
        )  # fmt: skip
        made[name] = (key, common)
        pem = certificate.public_bytes(Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(pem)
        if name == "cert":
            (folder / "key.pem").write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            )
    return (folder / "ca.pem").read_text()
