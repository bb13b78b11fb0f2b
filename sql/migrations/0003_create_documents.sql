-- depends: 0002_create_tenancy
-- A document is a reference (source, external id, title, metadata) to a body, the text itself.
-- Equal texts in one scope share a body and with it their chunks, so a copy costs one row, and
-- deleting one reference keeps the others searchable.

create table ragdb_data.data_source (
  org_no        int4 not null,
  source_no     int4 generated always as identity,
  id            uuid not null default gen_random_uuid(),
  scope_no      int4 not null,
  workspace_no  int4 not null,
  name          text not null check (btrim(name) <> '' and length(name) <= 200),
  type          text not null default 'file'
                check (type in ('file', 'database', 'api', 'sharepoint')),
  created_at    timestamptz not null default now(),
  primary key (org_no, source_no),
  unique (org_no, id),
  unique (org_no, scope_no, workspace_no, name),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade,
  foreign key (org_no, workspace_no) references ragdb_data.workspace on delete cascade
);

create table ragdb_data.body (
  org_no     int4 not null,
  body_no    int8 generated always as identity,
  scope_no   int4 not null,
  sha256     bytea not null check (length(sha256) = 32),
  title      text not null,
  content    text not null,
  language   text not null,
  chunking   jsonb not null,
  primary key (org_no, body_no),
  unique (org_no, scope_no, body_no),
  unique (org_no, scope_no, sha256),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade
);

create table ragdb_data.document (
  org_no        int4 not null,
  document_no   int8 generated always as identity,
  id            uuid not null default gen_random_uuid(),
  workspace_no  int4 not null,
  scope_no      int4 not null,
  source_no     int4 not null,
  body_no       int8 not null,
  external_id   text not null check (length(external_id) between 1 and 2000),
  title         text not null,
  url           text,
  mime          text not null,
  labels        text[] not null default '{}',
  metadata      jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  dated_at      timestamptz,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  primary key (org_no, document_no),
  unique (org_no, id),
  foreign key (org_no, workspace_no) references ragdb_data.workspace on delete cascade,
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade,
  foreign key (org_no, source_no) references ragdb_data.data_source on delete cascade,
  foreign key (org_no, scope_no, body_no)
    references ragdb_data.body (org_no, scope_no, body_no)
);
-- A user's private copy of an external id stands beside the shared one and neither reveals the
-- other.
create unique index document_external_key
  on ragdb_data.document (org_no, source_no, scope_no, md5(external_id));
create index document_body_idx on ragdb_data.document (org_no, body_no);
create index document_scope_idx on ragdb_data.document (org_no, scope_no, document_no);

-- One row per value a filter can ask for: the built-in keys, and every path of the metadata.
create table ragdb_data.document_fact (
  org_no       int4 not null,
  scope_no     int4 not null,
  document_no  int8 not null,
  key          text collate "C" not null,
  value        text collate "C" not null,
  number       float8,
  foreign key (org_no, document_no) references ragdb_data.document on delete cascade
);
create index document_fact_value_idx
  on ragdb_data.document_fact (org_no, key, value, scope_no) include (document_no);
create index document_fact_number_idx
  on ragdb_data.document_fact (org_no, key, number, scope_no) include (document_no)
  where number is not null;
create index document_fact_document_idx on ragdb_data.document_fact (org_no, document_no);

create table ragdb_data.chunk (
  org_no        int4 not null,
  chunk_no      int8 generated always as identity,
  body_no       int8 not null,
  scope_no      int4 not null,
  ordinal       int4 not null,
  char_start    int4 not null,
  char_end      int4 not null,
  page          int4,
  hash          bytea not null,
  heading_path  text[] not null default '{}',
  content       text not null,
  primary key (org_no, chunk_no),
  foreign key (org_no, scope_no, body_no)
    references ragdb_data.body (org_no, scope_no, body_no) on delete cascade,
  check (0 <= char_start and char_start < char_end)
);
create index chunk_body_idx on ragdb_data.chunk (org_no, body_no, ordinal) include (chunk_no);

-- A document on its way in: as given, checked, and then what it was found to be.
create type ragdb_data.incoming_document as (
  ordinal      int4,
  external_id  text,
  title        text,
  content      text,
  url          text,
  mime         text,
  labels       text[],
  metadata     jsonb,
  language     text,
  chunking     jsonb,
  dated_at     timestamptz,
  sha256       bytea,
  error        text,
  message      text
);
