"""What the files no longer define is dropped; what they never defined is left alone."""

from __future__ import annotations

import pytest
from harness import Cluster, Tree

from ragdb.install import InstallError, upgrade


def test_orphans_of_every_kind_are_dropped(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    before_orphans = upgrade(url, sql=tree.root)
    expected = cluster.dump(url)
    tree.write(
        "functions/20_more.sql",
        """
        create or replace function ragdb_private.shout() returns trigger language plpgsql
          as $$ begin return new; end $$;
        create or replace function ragdb.one(p_n int4 default 1) returns int4
          language sql as 'select p_n';
        create or replace procedure ragdb."Odd name"(p_list text[]) language sql as '';
        create or replace function ragdb.sum_step(a int4, b int4) returns int4
          language sql as 'select a + b';
        create or replace aggregate ragdb.total(int4) (sfunc = ragdb.sum_step, stype = int4);
        """,
    )
    tree.write(
        "triggers/20_more.sql",
        """create or replace trigger "Shout" after insert on ragdb_data.note
             for each row execute function ragdb_private.shout();""",
    )
    tree.write(
        "views/20_more.sql",
        """create or replace view ragdb.first as select ragdb.one() as n;
           create or replace view ragdb.second as select n from ragdb.first;""",
    )
    tree.write(
        "policies/20_more.sql",
        """drop policy if exists "More" on ragdb_data.note;
           create policy "More" on ragdb_data.note for select using (ragdb.one() = 1);""",
    )
    assert upgrade(url, sql=tree.root).dropped == ()
    for name in ("functions", "triggers", "views", "policies"):
        tree.remove(f"{name}/20_more.sql")

    report = upgrade(url, sql=tree.root)

    assert [dropped.split()[0] for dropped in report.dropped] == [
        "trigger",
        "policy",
        "view",
        "routine",
    ]
    assert cluster.dump(url) == expected
    assert before_orphans.dropped == ()


def test_an_overload_left_behind_is_an_orphan(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    text = "create or replace function ragdb.one({}) returns int4 language sql as 'select 1';"
    tree.write("functions/20_one.sql", text.format(""))
    upgrade(url, sql=tree.root)
    tree.write("functions/20_one.sql", text.format("p_n int4 default 1"))
    assert upgrade(url, sql=tree.root).dropped == ("routine ragdb.one()",)


def test_a_vectorizer_survives_a_reload(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    cluster.ask(
        url,
        """
        set role ragdb_owner;
        select ai.create_vectorizer(
          'ragdb_data.note'::regclass, name => 'notes',
          loading => ai.loading_column('body'), parsing => ai.parsing_none(),
          chunking => ai.chunking_none(), destination => ai.destination_column('embedding'),
          embedding => ai.embedding_openai('m', 8), indexing => ai.indexing_none(),
          scheduling => ai.scheduling_none(), grant_to => null);
        """,
    )
    before = cluster.dump(url)
    assert upgrade(url, sql=tree.root, force=True).dropped == ()
    assert cluster.dump(url) == before


def test_an_orphan_somebody_needs_stops_the_upgrade(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    tree.write(
        "functions/20_one.sql",
        "create or replace function ragdb.one() returns int4 language sql as 'select 1';",
    )
    upgrade(url, sql=tree.root)
    cluster.ask(url, "create view public.theirs as select ragdb.one() as n")
    tree.remove("functions/20_one.sql")
    with pytest.raises(InstallError, match=r"ragdb\.one\(\).*view public\.theirs depends on"):
        upgrade(url, sql=tree.root)
