-- Which version of ragdb this database holds. `ragdb serve` and the health check compare it with
-- their own, and neither ever migrates.

create or replace function ragdb.version()
  returns table (version text, migrations text, repeatable text, upgraded_at timestamptz)
  language sql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
  select i.version, i.migrations, i.repeatable, i.upgraded_at
    from ragdb_private.install i
$$;

comment on function ragdb.version() is
$$The version of ragdb in this database, the checksums of its SQL files, and the last upgrade.

Example: select version, upgraded_at from ragdb.version();
Definer: the state of upgrades is private; version and checksums are not.$$;

grant execute on function ragdb.version()
  to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin;
