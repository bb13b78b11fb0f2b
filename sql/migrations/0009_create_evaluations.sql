-- depends: 0007_hide_statistics
-- How good search is: questions with the documents that answer them, the runs that measured it,
-- what people said of results, and the weights of the ranking where they are not the default.

-- external_ids and grades belong together; a grade of 0 is a document judged and found irrelevant.
create table ragdb_data.judged_query (
  org_no        int4 not null,
  scope_no      int4 not null,
  dataset       text not null check (length(dataset) between 1 and 200),
  query_id      text not null check (length(query_id) between 1 and 200),
  query         text not null,
  external_ids  text[] not null,
  grades        int2[] not null check (cardinality(grades) = cardinality(external_ids)),
  primary key (org_no, scope_no, dataset, query_id),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade
);

-- One mode of one run, with a value per query for comparing two runs query by query. It outlives
-- the workspace it was measured in, holds no text of it, and belongs to whoever ran it.
create table ragdb_data.evaluation (
  org_no              int4 not null,
  evaluation_no       int8 generated always as identity,
  run_id              uuid not null,
  user_no             int4 not null,
  dataset             text not null,
  mode                text not null,
  config              jsonb not null,
  metrics             jsonb not null,
  query_ids           text[] not null,
  ndcg_10             float8[] not null,
  recall_10           float8[] not null,
  recall_100          float8[] not null,
  reciprocal_ranks    float8[] not null,
  average_precisions  float8[] not null,
  created_at          timestamptz not null default now(),
  primary key (org_no, evaluation_no),
  unique (org_no, run_id, mode),
  foreign key (org_no, user_no) references ragdb_data.membership on delete cascade
);
create index evaluation_dataset_idx on ragdb_data.evaluation (org_no, user_no, dataset, mode);

create table ragdb_data.feedback (
  org_no       int4 not null,
  feedback_no  int8 generated always as identity,
  scope_no     int4 not null,
  user_no      int4 not null,
  document_no  int8 not null,
  query        text not null check (length(query) <= 10000),
  value        int2 not null check (value in (-1, 1)),
  created_at   timestamptz not null default now(),
  primary key (org_no, feedback_no),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade,
  foreign key (org_no, user_no) references ragdb_data.membership on delete cascade,
  foreign key (org_no, document_no) references ragdb_data.document on delete cascade
);
create unique index feedback_query_key
  on ragdb_data.feedback (org_no, document_no, user_no, md5(query));

-- Scope 0 holds the weights of the whole organization, the scope of a workspace its own.
create table ragdb_data.ranking_weight (
  org_no           int4 not null,
  scope_no         int4 not null,
  vector_weight    float8 not null check (vector_weight between 0 and 10),
  phrase_weight    float8 not null check (phrase_weight between 0 and 10),
  sentence_weight  float8 not null check (sentence_weight between 0 and 10),
  updated_at       timestamptz not null default now(),
  primary key (org_no, scope_no),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade
);

-- As everywhere: the planner's statistics would tell what users wrote.
alter table ragdb_data.judged_query
  alter column dataset set statistics 0, alter column query_id set statistics 0,
  alter column query set statistics 0, alter column external_ids set statistics 0;
alter table ragdb_data.evaluation
  alter column run_id set statistics 0, alter column dataset set statistics 0,
  alter column mode set statistics 0, alter column config set statistics 0,
  alter column metrics set statistics 0, alter column query_ids set statistics 0,
  alter column ndcg_10 set statistics 0, alter column recall_10 set statistics 0,
  alter column recall_100 set statistics 0, alter column reciprocal_ranks set statistics 0,
  alter column average_precisions set statistics 0;
alter table ragdb_data.feedback alter column query set statistics 0;
alter index ragdb_data.feedback_query_key alter column 4 set statistics 0;
alter table ragdb_data.ranking_weight
  alter column vector_weight set statistics 0, alter column phrase_weight set statistics 0,
  alter column sentence_weight set statistics 0;
