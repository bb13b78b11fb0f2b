-- depends: 0011_separate_vector_indexes
-- Embedding tables by version. A retrained table is loaded beside the old one, and every vector
-- says which of them it was made with: an organization is searched with one version until all of
-- its chunks have a vector of the next, then with that.

alter table ragdb_data.embedding_table_version
  drop column is_current,
  add column version int2 not null default 1 primary key,
  add column confidence_lexical float8 not null default 4.75,
  add column confidence_cosine float8 not null default 11.55,
  add column confidence_offset float8 not null default -9.73;
alter table ragdb_data.embedding_table_version
  alter column version drop default,
  alter column confidence_lexical drop default,
  alter column confidence_cosine drop default,
  alter column confidence_offset drop default;

alter table ragdb_data.embedding_token add column version int2 not null default 1;
alter table ragdb_data.embedding_token
  alter column version drop default,
  drop constraint embedding_token_pkey,
  add primary key (version, token);

-- During a change of tables a chunk has a vector of each.
alter table ragdb_data.chunk_vector add column version int2 not null default 1;
alter table ragdb_data.chunk_vector alter column version drop default;
alter table ragdb_data.chunk_vector
  drop constraint chunk_vector_pkey,
  add primary key (org_no, version, chunk_no);
drop index ragdb_data.chunk_vector_tail_idx;
create index chunk_vector_tail_idx on ragdb_data.chunk_vector (org_no, version, chunk_no)
  where not is_indexed;

-- Organizations whose vectors are still of an older table: none most of the time. scopes: those
-- with chunks to embed; done_to: the chunk up to which each of them is done.
create table ragdb_data.outdated_organization (
  org_no   int4 primary key references ragdb_data.organization on delete cascade,
  version  int2 not null references ragdb_data.embedding_table_version,
  scopes   int4[] not null,
  done_to  int8[] not null,
  check (cardinality(scopes) = cardinality(done_to))
);
