-- depends: 0009_create_evaluations
-- Words an organization treats as alike, and what spelling is corrected by.

-- terms and other_terms: the stems of word and synonym, hashed as in chunk_word.
create table ragdb_data.synonym (
  org_no       int4 not null,
  scope_no     int4 not null,
  synonym_no   int8 generated always as identity,
  language     text not null,
  word         text not null check (length(word) <= 200),
  synonym      text not null check (length(synonym) <= 200),
  terms        int4[] not null check (cardinality(terms) > 0),
  other_terms  int4[] not null check (cardinality(other_terms) > 0),
  weight       float8 not null check (weight > 0 and weight < 1),
  primary key (org_no, synonym_no),
  unique (org_no, scope_no, language, word, synonym),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade
);
alter table ragdb_data.synonym alter column word set statistics 0;
alter table ragdb_data.synonym alter column synonym set statistics 0;

-- The words of the segments, as hashes of what is left of each without one of its letters: what two
-- words have in common here, they are one edit apart. No word can be read from it; it is read from
-- a chunk that still has it. So a row that outlives its chunk tells nobody anything.
create table ragdb_data.spelling (
  org_no    int4 not null,
  scope_no  int4 not null,
  variant   int4 not null,
  term      int4 not null,
  primary key (org_no, variant, scope_no, term)
);

-- Segments whose words are in spelling.
create table ragdb_data.spelled_segment (
  org_no      int4 not null,
  scope_no    int4 not null,
  segment_no  int4 not null,
  primary key (org_no, segment_no)
);

-- A chunk on its way through the ranking's later stages.
create type ragdb_data.ranked_chunk as (
  chunk_no       int8,
  score          float8,
  lexical        float8,
  lexical_rank   int4,
  cosine         float8,
  vector_rank    int4,
  phrase         float8,
  sentence       float8,
  confidence     float8,
  documents      int8[],
  document_no    int8,
  boost          float8
);
