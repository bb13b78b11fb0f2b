-- depends: 0022_index_scopes
-- Files that wait for a worker. A service that takes them and a worker that reads them share the
-- database and nothing else. They are in pieces, so that neither side holds a file in memory, and
-- they go when the job that they came with has succeeded or is forgotten.

create table ragdb_data.upload (
  org_no      int4 not null references ragdb_data.organization on delete cascade,
  id          uuid not null,
  piece_no    int4 not null check (piece_no >= 0),
  user_no     int4 not null,
  job_no      int8,
  content     bytea not null check (length(content) between 1 and 4000000),
  created_at  timestamptz not null default now(),
  primary key (org_no, id, piece_no),
  foreign key (org_no, job_no) references ragdb_data.job on delete cascade
);
comment on table ragdb_data.upload is
  'ragdb: pieces of files that a job will read. job_no: null until the last piece is there.';

create index upload_job_idx on ragdb_data.upload (org_no, job_no) where job_no is not null;
create index upload_lost_idx on ragdb_data.upload (created_at) where job_no is null;

-- Most files are compressed already; and the planner learns no tenant's values (0007).
alter table ragdb_data.upload
  alter column content set storage external,
  alter column content set statistics 0,
  alter column id set statistics 0;
