"""Analysts: an SQL login reads one organization's rows and joins them with anything."""

from __future__ import annotations

import psycopg
import pytest

from ragdb.db import Caller, Database
from ragdb.errors import RagdbError


def test_an_analyst_searches_in_plain_sql(acme, globex, database):
    acme.put("Keys rotate every ninety days.", p_title="Acme keys")
    globex.put("Keys rotate every day.", p_title="Globex keys")
    with psycopg.connect(database.analyst("acme"), autocommit=True) as analyst:
        rows = analyst.execute(
            "select s.title, s.score, s.snippet, d.source from ragdb.search('how do keys rotate') s"
            " join ragdb.documents d using (document_id)"
            " join (values ('default', 1)) v(source, n) on v.source = d.source"
        ).fetchall()
        assert [row[0] for row in rows] == ["Acme keys"]
        assert analyst.execute(
            "select answer from ragdb.ask('How often do keys rotate?')"
        ).fetchone()
        assert analyst.execute("select organization from ragdb.whoami()").fetchone() == ("acme",)
        with pytest.raises(psycopg.Error) as error:
            analyst.execute("select ragdb.put_document('x')")
        assert error.value.sqlstate == "PT403"


def test_creating_an_analyst_is_checked(acme, database):
    with Database.connect(database.superuser_url) as operator:
        for arguments, code in (
            ({"p_login": "Robert'); --", "p_org": "acme"}, "invalid_login"),
            ({"p_login": "postgres", "p_org": "acme"}, "login_exists"),
            ({"p_login": "test_nobody", "p_org": "nowhere"}, "organization_not_found"),
        ):
            with pytest.raises(RagdbError) as error:
                operator.call(Caller(role=None), "create_analyst", p_password="x", **arguments)
            assert error.value.problem.code == code


def test_the_installer_creates_analysts(acme, database, db):
    """The login that installs has CREATEROLE and needs no superuser for it."""
    db.execute("alter role test_installer password 'known'")
    url = psycopg.conninfo.make_conninfo(
        **database.superuser | {"user": "test_installer", "password": "known"}
    )
    with Database.connect(url) as installer:
        installer.call(
            Caller(role=None), "create_analyst",
            p_login="test_by_installer", p_org="acme", p_password="secret",
        )  # fmt: skip
    database.logins.append("test_by_installer")
    assert db.execute(
        "select rolcanlogin from pg_roles where rolname = 'test_by_installer'"
    ).fetchone()
