-- depends: 0004_create_search_index
-- Answers given, with the citations that were verified against the stored text. An answer goes when
-- a document it cites goes: deleted text must not live on in a quote.

create table ragdb_data.answer (
  org_no         int4 not null,
  answer_no      int8 generated always as identity,
  id             uuid not null default gen_random_uuid(),
  user_no        int4 not null,
  question       text not null,
  answer         text,
  confidence     float8 not null,
  model          text,
  fallback_used  boolean not null,
  created_at     timestamptz not null default now(),
  primary key (org_no, answer_no),
  unique (org_no, user_no, answer_no),
  unique (org_no, id),
  foreign key (org_no, user_no) references ragdb_data.membership on delete cascade
);

create table ragdb_data.answer_citation (
  org_no       int4 not null,
  answer_no    int8 not null,
  ordinal      int4 not null,
  user_no      int4 not null,
  document_no  int8 not null,
  quote        text not null,
  char_start   int4 not null,
  char_end     int4 not null,
  primary key (org_no, answer_no, ordinal),
  foreign key (org_no, user_no, answer_no)
    references ragdb_data.answer (org_no, user_no, answer_no) on delete cascade,
  foreign key (org_no, document_no) references ragdb_data.document on delete cascade
);
create index answer_citation_document_idx on ragdb_data.answer_citation (org_no, document_no);
