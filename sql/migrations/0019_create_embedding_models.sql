-- depends: 0018_create_sources
-- Embedding models besides the table: which there are, who uses them, what they have embedded and
-- what waits for them.
--
-- A model of the table's own space writes its vectors over the table's in chunk_vector, and queries
-- stay table look-ups. Any other model has its vectors in model_vector, and queries are embedded by
-- it. What waits stands in the queues of pgai's vectorizers, which are attached as partitions.

alter table ragdb_data.chunk_vector add column model_no int2 not null default 0;

-- table_model: the embedding table in whose space its vectors are, null for a space of its own.
-- confidence: its constants, as those of embedding_table_version.
create table ragdb_data.embedding_model (
  model_no             int2 generated always as identity primary key,
  name                 text not null unique check (name ~ '^[a-z][a-z0-9_]{0,39}$'),
  protocol             text not null check (protocol in ('openai', 'ollama', 'tei', 'local')),
  url                  text not null,
  model                text not null check (btrim(model) <> '' and length(model) <= 200),
  dimensions           int4 not null check (dimensions between 1 and 4000),
  table_model          text,
  api_key_name         text check (api_key_name ~ '^[A-Z][A-Z0-9_]{0,99}_(KEY|TOKEN)$'),
  batch_size           int4 not null check (batch_size between 1 and 2048),
  concurrency          int4 not null check (concurrency between 1 and 64),
  timeout_seconds      float8 not null check (timeout_seconds > 0 and timeout_seconds <= 600),
  requests_per_minute  int4 check (requests_per_minute > 0),
  tokens_per_minute    int4 check (tokens_per_minute > 0),
  price_per_million    float8 not null check (price_per_million >= 0),
  query_prefix         text not null,
  passage_prefix       text not null,
  shorten              boolean not null,
  confidence           float8[] not null check (cardinality(confidence) = 3),
  vectorizer_id        int4 unique,
  created_at           timestamptz not null default now(),
  check ((protocol = 'local') = (url = 'local:')),
  check (protocol = 'local' or url ~ '^https?://[^/\s]+'),
  check (table_model is null or dimensions = 256)
);
comment on table ragdb_data.embedding_model is
  'ragdb: embedding models that organizations may use. A key is named here, never kept.';

-- What is left of a model's limits, which all workers share; blocked_until: it asked for that.
create table ragdb_data.embedding_rate (
  model_no       int2 primary key references ragdb_data.embedding_model on delete cascade,
  requests       float8 not null,
  tokens         float8 not null,
  refilled_at    timestamptz not null default now(),
  blocked_until  timestamptz
);

-- user_no, permissions: in whose name its jobs run. backfill: how many times the chunks that are
-- there are still to be gone through. is_complete: all but a hundredth of the chunks are embedded.
create table ragdb_data.organization_model (
  org_no         int4 not null references ragdb_data.organization on delete cascade,
  model_no       int2 not null references ragdb_data.embedding_model on delete cascade,
  user_no        int4 not null,
  permissions    text[] not null,
  is_active      boolean not null default true,
  serves         boolean not null default false,
  served_before  boolean not null default false,
  backfill       int2 not null default 2 check (backfill between 0 and 2),
  backfilled_to  int8 not null default 0,
  is_complete    boolean not null default false,
  since          timestamptz not null default now(),
  primary key (org_no, model_no)
);
comment on table ragdb_data.organization_model is
  'ragdb: which models embed an organization''s chunks, and which of them its searches use.';

create table ragdb_data.model_vector (
  org_no      int4 not null,
  scope_no    int4 not null,
  chunk_no    int8 not null,
  body_no     int8 not null,
  model_no    int2 not null,
  is_indexed  boolean not null,
  embedding   public.halfvec not null,
  primary key (org_no, model_no, chunk_no)
) partition by hash (org_no);
comment on table ragdb_data.model_vector is
  'ragdb: vectors of models with a space of their own. Each model has HNSW indexes of its own.';
create index model_vector_scope_idx
  on ragdb_data.model_vector (org_no, model_no, scope_no, is_indexed);

do $$
begin
  for v_remainder in 0 .. 15 loop
    execute format('create table ragdb_data.%I partition of ragdb_data.model_vector'
                   ' for values with (modulus 16, remainder %s)',
                   'model_vector_' || to_char(v_remainder, 'FM00'), v_remainder);
  end loop;
end;
$$;

-- The columns of pgai's queues, and the model. A partition belongs to a vectorizer.
create table ragdb_data.embedding_queue (
  org_no               int4 not null,
  chunk_no             int8 not null,
  queued_at            timestamptz not null default now(),
  loading_retries      int4 not null default 0,
  loading_retry_after  timestamptz,
  model_no             int2 not null
) partition by list (model_no);
comment on table ragdb_data.embedding_queue is
  'ragdb: chunks that wait for a model. Its partitions are the queues of pgai''s vectorizers.';
create index embedding_queue_idx
  on ragdb_data.embedding_queue (org_no, model_no, loading_retries, queued_at);
create index embedding_queue_chunk_idx on ragdb_data.embedding_queue (org_no, chunk_no);

create table ragdb_data.embedding_failure (
  org_no        int4 not null,
  chunk_no      int8 not null,
  created_at    timestamptz not null default now(),
  failure_step  text not null default '',
  model_no      int2 not null
) partition by list (model_no);
comment on table ragdb_data.embedding_failure is
  'ragdb: chunks that a model does not embed, and why. Its partitions are those of pgai.';
create index embedding_failure_idx on ragdb_data.embedding_failure (org_no, model_no, chunk_no);

-- A text that is embedded again, because another document has it too, costs nothing. It goes with
-- the chunk that brought it, or, when that is being divided anew (chunk_no 0), soon after.
create table ragdb_data.embedding_cache (
  org_no     int4 not null,
  scope_no   int4 not null,
  model_no   int2 not null,
  sha256     bytea not null check (length(sha256) = 32),
  chunk_no   int8 not null,
  embedding  public.halfvec not null,
  used_at    timestamptz not null default now(),
  primary key (org_no, scope_no, model_no, sha256)
);
create index embedding_cache_chunk_idx on ragdb_data.embedding_cache (org_no, chunk_no);
create index embedding_cache_used_idx on ragdb_data.embedding_cache (org_no, used_at);

create table ragdb_data.query_embedding (
  org_no     int4 not null,
  user_no    int4 not null,
  model_no   int2 not null,
  sha256     bytea not null check (length(sha256) = 32),
  embedding  public.halfvec not null,
  used_at    timestamptz not null default now(),
  primary key (org_no, user_no, model_no, sha256)
);
create index query_embedding_used_idx on ragdb_data.query_embedding (org_no, used_at);

-- Of an organization, so that nobody else's failures or probes keep it from a model.
create table ragdb_data.embedding_circuit (
  org_no      int4 not null,
  model_no    int2 not null,
  failures    int4 not null default 0,
  open_until  timestamptz,
  error       text,
  failed_at   timestamptz,
  primary key (org_no, model_no)
);

create table ragdb_data.embedding_usage (
  org_no    int4 not null,
  model_no  int2 not null,
  day       date not null,
  requests  int8 not null default 0,
  texts     int8 not null default 0,
  cached    int8 not null default 0,
  tokens    int8 not null default 0,
  primary key (org_no, model_no, day)
);

alter table ragdb_data.embedding_model
  alter column name set statistics 0, alter column protocol set statistics 0,
  alter column url set statistics 0, alter column model set statistics 0,
  alter column table_model set statistics 0, alter column api_key_name set statistics 0,
  alter column query_prefix set statistics 0, alter column passage_prefix set statistics 0,
  alter column timeout_seconds set statistics 0, alter column price_per_million set statistics 0,
  alter column confidence set statistics 0;
alter table ragdb_data.embedding_rate
  alter column requests set statistics 0, alter column tokens set statistics 0;
alter table ragdb_data.organization_model alter column permissions set statistics 0;
alter table ragdb_data.embedding_failure alter column failure_step set statistics 0;
alter table ragdb_data.embedding_cache alter column sha256 set statistics 0;
alter table ragdb_data.query_embedding alter column sha256 set statistics 0;
alter table ragdb_data.embedding_circuit alter column error set statistics 0;
