-- depends: 0017_create_scope_languages
-- Data sources that refresh by themselves: how each is read, what was found there, and what became
-- of each attempt.
--
-- A secret is here as its holder sealed it; the key never comes near the database. A run is a row
-- from its beginning, with the place it has come to, so that whoever takes over goes on there.

create table ragdb_data.source_type (
  type         text collate "C" primary key check (type ~ '^[a-z][a-z0-9_]{0,62}$'),
  description  text not null,
  config       jsonb not null check (jsonb_typeof(config) = 'object'),
  secrets      text[] not null,
  places       text[] not null,
  always_full  boolean not null default false
);
comment on table ragdb_data.source_type is
  'ragdb: what sources can be. config: its keys; places: those that say where secrets are sent.';

alter table ragdb_data.data_source
  drop constraint data_source_type_check,
  add column labels text[] not null default '{}',
  add column is_synced boolean not null default false,
  add column sweep_limit float8 not null default 0.5 check (sweep_limit between 0 and 1),
  add column revision int4 not null default 0,
  add column cursor jsonb,
  add column job_no int8,
  add column refreshed_at timestamptz;

create table ragdb_data.source_setup (
  org_no       int4 not null,
  source_no    int4 not null,
  scope_no     int4 not null,
  config       jsonb not null check (jsonb_typeof(config) = 'object'),
  secrets      bytea check (length(secrets) between 30 and 65536),
  has_secrets  boolean generated always as (secrets is not null) stored,
  primary key (org_no, source_no),
  foreign key (org_no, source_no) references ragdb_data.data_source on delete cascade
);
comment on table ragdb_data.source_setup is
  'ragdb: how a source is read. secrets: sealed, and for workers alone.';

create table ragdb_data.source_item (
  org_no       int4 not null,
  source_no    int4 not null,
  hash         bytea not null check (length(hash) = 32),
  scope_no     int4 not null,
  external_id  text not null check (length(external_id) between 1 and 2000),
  fingerprint  text,
  run_no       int8,
  documents    uuid[] not null default '{}',
  primary key (org_no, source_no, hash),
  foreign key (org_no, source_no) references ragdb_data.data_source on delete cascade
) with (fillfactor = 80);
comment on table ragdb_data.source_item is
  'ragdb: what a source holds, when it was seen last, and the documents made of it.';

create table ragdb_data.sync_run (
  org_no        int4 not null,
  run_no        int8 generated always as identity,
  id            uuid not null default gen_random_uuid(),
  source_no     int4 not null,
  scope_no      int4 not null,
  job_no        int8 not null,
  revision      int4 not null,
  is_full       boolean not null,
  is_sweeping   boolean not null default false,
  has_gap       boolean not null default false,
  must_return   boolean not null default false,
  status        text not null default 'running'
                check (status in ('running', 'succeeded', 'incomplete', 'failed', 'cancelled')),
  seen          int4 not null default 0,
  added         int4 not null default 0,
  changed       int4 not null default 0,
  unchanged     int4 not null default 0,
  failed        int4 not null default 0,
  deleted       int4 not null default 0,
  sweep_limit   float8 not null check (sweep_limit between 0 and 1),
  cursor        jsonb,
  error_code    text,
  error         text,
  started_at    timestamptz not null default now(),
  reported_at   timestamptz not null default now(),
  finished_at   timestamptz,
  primary key (org_no, run_no),
  unique (org_no, id),
  foreign key (org_no, source_no) references ragdb_data.data_source on delete cascade,
  check ((status = 'running') = (finished_at is null))
) with (fillfactor = 80);
comment on table ragdb_data.sync_run is 'ragdb: one reading of a source, and how far it is.';
create unique index sync_run_running_key on ragdb_data.sync_run (org_no, source_no)
  where status = 'running';
create index sync_run_source_idx on ragdb_data.sync_run (org_no, source_no, run_no);

create table ragdb_data.sync_error (
  org_no       int4 not null,
  error_no     int8 generated always as identity,
  run_no       int8 not null,
  scope_no     int4 not null,
  external_id  text,
  error        text not null,
  message      text not null,
  created_at   timestamptz not null default now(),
  primary key (org_no, error_no),
  foreign key (org_no, run_no) references ragdb_data.sync_run on delete cascade
);
comment on table ragdb_data.sync_error is 'ragdb: what could not be read in a run, and why.';
create index sync_error_run_idx on ragdb_data.sync_error (org_no, run_no, error_no);

-- A source's schedule goes with it.
alter table ragdb_data.schedule
  add column source_no int4,
  add foreign key (org_no, source_no) references ragdb_data.data_source on delete cascade;
create unique index schedule_source_key on ragdb_data.schedule (org_no, source_no)
  where source_no is not null;

-- As 0007 says: no statistics of what users write.
do $$
declare
  v_table text;
  v_column text;
begin
  for v_table, v_column in
    select a.attrelid::regclass::text, a.attname
      from pg_attribute a
     where a.attrelid in ('ragdb_data.data_source'::regclass, 'ragdb_data.source_setup'::regclass,
                          'ragdb_data.source_item'::regclass, 'ragdb_data.sync_run'::regclass,
                          'ragdb_data.sync_error'::regclass)
       and a.attnum > 0
       and a.atttypid = any ('{text,text[],jsonb,bytea,uuid,uuid[],float8}'::regtype[])
       and a.attname not in ('status', 'type')
  loop
    execute format('alter table %s alter column %I set statistics 0', v_table, v_column);
  end loop;
end;
$$;
