-- depends: 0012_version_embeddings
-- Work that is done later, by `ragdb worker`: jobs, what they are about, and the schedules that
-- make them.
--
-- A job's row holds nothing that anybody wrote, for all members of the organization see it;
-- payload, result and messages are its owner's alone. A lease is a token: who holds it works on the
-- job until the lease runs out, and whoever has lost it can neither report on the job nor write in
-- its name.

create table ragdb_data.job_kind (
  kind          text primary key check (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
  queue         text not null check (queue in ('ingestion', 'embedding', 'maintenance', 'sync')),
  permission    text not null,
  max_attempts  int4 not null check (max_attempts between 1 and 100),
  all_scopes    boolean not null default false
);
comment on table ragdb_data.job_kind is
  'ragdb: what workers can do, and who may ask for it. all_scopes: for the whole organization.';

create table ragdb_data.job (
  org_no               int4 not null references ragdb_data.organization on delete cascade,
  job_no               int8 generated always as identity,
  id                   uuid not null default gen_random_uuid(),
  kind                 text not null,
  queue                text not null
                       check (queue in ('ingestion', 'embedding', 'maintenance', 'sync')),
  user_no              int4 not null,
  permissions          text[] not null,
  limited_to           int4 not null,
  priority             int2 not null check (priority between 0 and 9),
  status               text not null default 'queued'
                       check (status in ('scheduled', 'queued', 'running',
                                         'succeeded', 'failed', 'cancelled')),
  run_at               timestamptz not null default now(),
  attempt              int4 not null default 0,
  max_attempts         int4 not null check (max_attempts between 1 and 100),
  token                uuid,
  lease_until          timestamptz,
  progress             float8 not null default 0 check (progress between 0 and 1),
  reported_at          timestamptz,
  cancel_requested_at  timestamptz,
  error_code           text,
  schedule_no          int4,
  idempotency_hash     bytea check (length(idempotency_hash) = 32),
  created_at           timestamptz not null default now(),
  started_at           timestamptz,
  finished_at          timestamptz,
  primary key (org_no, job_no),
  unique (org_no, id),
  check ((status = 'running') = (token is not null)),
  check ((token is null) = (lease_until is null)),
  check ((status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
comment on table ragdb_data.job is
  'ragdb: a job and how far it is. limited_to: the one workspace its credential may use, or 0.';

create unique index job_idempotency_key on ragdb_data.job (org_no, idempotency_hash)
  where idempotency_hash is not null;
-- A worker takes the first of an organization, and goes from one organization to the next.
create index job_queued_idx on ragdb_data.job (queue, org_no, priority desc, run_at, job_no)
  where status = 'queued';
create index job_scheduled_idx on ragdb_data.job (run_at) where status = 'scheduled';
create index job_running_idx on ragdb_data.job (org_no) where status = 'running';
create index job_finished_idx on ragdb_data.job (finished_at) where finished_at is not null;
create index job_queue_idx on ragdb_data.job (org_no, queue, status, finished_at);

create table ragdb_data.job_detail (
  org_no   int4 not null,
  job_no   int8 not null,
  user_no  int4 not null,
  payload  jsonb not null,
  message  text,
  result   jsonb,
  error    text,
  primary key (org_no, job_no),
  foreign key (org_no, job_no) references ragdb_data.job on delete cascade
) with (fillfactor = 80);
comment on table ragdb_data.job_detail is 'ragdb: what a job is about and what came of it.';

create table ragdb_data.schedule (
  org_no       int4 not null references ragdb_data.organization on delete cascade,
  schedule_no  int4 generated always as identity,
  id           uuid not null default gen_random_uuid(),
  name         text not null check (btrim(name) <> '' and length(name) <= 200),
  cron         text not null,
  time_zone    text not null,
  kind         text not null,
  payload      jsonb not null,
  user_no      int4 not null,
  permissions  text[] not null,
  limited_to   int4 not null,
  is_enabled   boolean not null default true,
  next_run_at  timestamptz not null,
  last_run_at  timestamptz,
  last_job_no  int8,
  created_at   timestamptz not null default now(),
  primary key (org_no, schedule_no),
  unique (org_no, id),
  unique (org_no, name)
);
comment on table ragdb_data.schedule is
  'ragdb: jobs that are made again and again, with the rights of whoever put the schedule.';
create index schedule_due_idx on ragdb_data.schedule (next_run_at) where is_enabled;

-- As 0007 says: no statistics of what users write. Those of states and queues tell nothing.
do $$
declare
  v_table text;
  v_column text;
begin
  for v_table, v_column in
    select a.attrelid::regclass::text, a.attname
      from pg_attribute a
     where a.attrelid in ('ragdb_data.job'::regclass, 'ragdb_data.job_detail'::regclass,
                          'ragdb_data.schedule'::regclass)
       and a.attnum > 0
       and a.atttypid = any ('{text,text[],jsonb,bytea,uuid,float8}'::regtype[])
       and a.attname not in ('status', 'queue')
  loop
    execute format('alter table %s alter column %I set statistics 0', v_table, v_column);
  end loop;
end;
$$;

-- It is no definer function any more: a policy lets operators without a context see organizations.
drop function if exists ragdb.organizations();
