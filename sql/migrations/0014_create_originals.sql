-- depends: 0013_create_jobs
-- The file a document was read from, where somebody wants it kept. It goes with the document, and
-- when the document gets another text.

create table ragdb_data.original (
  org_no       int4 not null,
  scope_no     int4 not null,
  document_no  int8 not null,
  name         text not null check (length(name) between 1 and 500),
  mime         text not null,
  sha256       bytea not null check (length(sha256) = 32),
  content      bytea not null check (length(content) <= 64000000),
  created_at   timestamptz not null default now(),
  primary key (org_no, document_no),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade,
  foreign key (org_no, document_no) references ragdb_data.document on delete cascade
);
-- Most files are compressed already; and the planner learns no tenant's values (0007).
alter table ragdb_data.original
  alter column content set storage external,
  alter column name set statistics 0,
  alter column mime set statistics 0,
  alter column sha256 set statistics 0,
  alter column content set statistics 0;

comment on table ragdb_data.original is
$$Files that documents were read from, kept on request.$$;
