-- What the four schemas are for, and what an upgrade remembers of itself. The schemas are made by
-- roles.sql, for yoyo keeps its tables in one of them before the first migration runs.

comment on schema ragdb is 'ragdb: the API. Functions and views to call; no tables.';
comment on schema ragdb_data is
  'ragdb: the tables of all organizations, behind row level security, and helpers of the API.';
comment on schema ragdb_private is 'ragdb: keys, hashes and the state of upgrades.';
comment on schema ai is 'pgai''s catalogue: vectorizers and their queues.';

-- One row: the version that ran last, and the checksums of the files it ran.
create table ragdb_private.install (
  is_current   boolean primary key default true check (is_current),
  version      text not null,
  migrations   text not null,
  repeatable   text not null,
  upgraded_at  timestamptz not null default now()
);

-- The text each migration had when it ran. yoyo identifies a migration by its name alone.
create table ragdb_private.migration_sum (
  name    text primary key,
  sha256  text not null
);

grant select on ragdb_private.install to ragdb_definer;
