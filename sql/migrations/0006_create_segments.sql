-- depends: 0005_create_answers
-- Sealed postings. Up to 4,000 chunks of a scope make a segment; the posting list of a term in it
-- is one sparse vector of BM25 impacts by position, so that pgvector adds them up in C, whatever
-- the term's frequency. Segments never change: a deleted chunk is masked until its segment is made
-- anew.

create table ragdb_data.segment (
  org_no       int4 not null,
  segment_no   int4 generated always as identity,
  scope_no     int4 not null,
  chunks       int4 not null,
  length       int8 not null,
  scope_chunks float8 not null,
  primary key (org_no, segment_no)
);

create table ragdb_data.segment_posting (
  org_no      int4 not null,
  scope_no    int4 not null,
  segment_no  int4 not null,
  term        int4 not null,
  df          int2 not null,
  impacts     public.sparsevec(4000) not null
);
-- Compressed they would be unpacked in every query.
alter table ragdb_data.segment_posting alter column impacts set storage external;
create index segment_posting_term_idx on ragdb_data.segment_posting (org_no, term);
create index segment_posting_segment_idx on ragdb_data.segment_posting (org_no, segment_no);

-- slot_no is 4096 * segment_no + the position in the segment, from 0.
create table ragdb_data.slot (
  org_no    int4 not null,
  scope_no  int4 not null,
  slot_no   int8 not null,
  chunk_no  int8 not null,
  primary key (org_no, slot_no)
);
create index slot_chunk_idx on ragdb_data.slot (org_no, chunk_no) include (slot_no);

alter table ragdb_data.dead_chunk
  add column length int4 not null default 0,
  add column slot_no int8;
