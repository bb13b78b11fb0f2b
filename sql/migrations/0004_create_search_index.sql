-- depends: 0003_create_documents
-- What search reads: posting rows of exact BM25, the stems of each chunk in order, and one vector a
-- chunk. Statistics (N, document frequency, average length) are derived from these rows, never
-- counted in a row that writers would queue for.

-- term 0 is a chunk's marker: its presence makes the chunk live, its length is the chunk's.
create table ragdb_data.posting (
  chunk_no  int8 not null,
  org_no    int4 not null,
  scope_no  int4 not null,
  term      int4 not null,
  length    int4 not null,
  tf        int2 not null
);
create index posting_term_idx
  on ragdb_data.posting (org_no, term, scope_no, chunk_no) include (tf, length);

-- Postings of deleted chunks stay until maintain() and are left out of every statistic by these
-- rows.
create table ragdb_data.dead_chunk (
  org_no    int4 not null,
  scope_no  int4 not null,
  chunk_no  int8 not null,
  terms     int4[] not null,
  primary key (org_no, scope_no, chunk_no)
);

-- Stem hashes in reading order, the title first; 0 ends a sentence.
create table ragdb_data.chunk_word (
  org_no    int4 not null,
  scope_no  int4 not null,
  chunk_no  int8 not null,
  terms     int4[] not null,
  primary key (org_no, chunk_no)
);

-- A vector enters the HNSW index (is_indexed) only in organizations so large that search asks it:
-- up to 10,000 chunks an exact scan is faster and complete, and an insert into HNSW costs more than
-- all else about a chunk.
create table ragdb_data.chunk_vector (
  org_no      int4 not null,
  scope_no    int4 not null,
  chunk_no    int8 not null,
  body_no     int8 not null,
  is_indexed  boolean not null default false,
  embedding   public.halfvec(256) not null,
  primary key (org_no, chunk_no)
) partition by hash (org_no);

create table ragdb_data.chunk_vector_00 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 0);
create table ragdb_data.chunk_vector_01 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 1);
create table ragdb_data.chunk_vector_02 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 2);
create table ragdb_data.chunk_vector_03 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 3);
create table ragdb_data.chunk_vector_04 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 4);
create table ragdb_data.chunk_vector_05 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 5);
create table ragdb_data.chunk_vector_06 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 6);
create table ragdb_data.chunk_vector_07 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 7);
create table ragdb_data.chunk_vector_08 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 8);
create table ragdb_data.chunk_vector_09 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 9);
create table ragdb_data.chunk_vector_10 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 10);
create table ragdb_data.chunk_vector_11 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 11);
create table ragdb_data.chunk_vector_12 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 12);
create table ragdb_data.chunk_vector_13 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 13);
create table ragdb_data.chunk_vector_14 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 14);
create table ragdb_data.chunk_vector_15 partition of ragdb_data.chunk_vector
  for values with (modulus 16, remainder 15);

-- The exact scan reads one scope of one organization and nothing else.
create index chunk_vector_scope_idx on ragdb_data.chunk_vector (org_no, scope_no);
create index chunk_vector_tail_idx on ragdb_data.chunk_vector (org_no, chunk_no)
  where not is_indexed;
create index chunk_vector_hnsw on ragdb_data.chunk_vector
  using hnsw (embedding public.halfvec_cosine_ops) with (m = 16, ef_construction = 64)
  where is_indexed;

-- The embedding model: a WordPiece table, the same for everybody.
create table ragdb_data.embedding_token (
  token      text collate "C" primary key,
  embedding  public.halfvec(256) not null
);

create table ragdb_data.embedding_table_version (
  is_current  boolean primary key default true check (is_current),
  model       text not null,
  checksum    text not null,
  loaded_at   timestamptz not null default now()
);
