-- depends: 0015_speed_up_search
-- How texts of a media type are cut into chunks: presets that ship, and what a workspace says
-- instead.

create table ragdb_data.chunk_preset (
  preset       text collate "C" primary key check (preset !~ '/'),
  mimes        text[] not null,
  profile      jsonb not null check (jsonb_typeof(profile) = 'object'),
  description  text not null
);

create table ragdb_data.chunk_profile (
  org_no        int4 not null,
  workspace_no  int4 not null,
  mime          text collate "C" not null check (mime ~ '^(\*|[a-z0-9.+-]+/(\*|[a-z0-9.+-]+))$'),
  profile       jsonb not null check (jsonb_typeof(profile) = 'object'),
  primary key (org_no, workspace_no, mime),
  foreign key (org_no, workspace_no) references ragdb_data.workspace on delete cascade
);
alter table ragdb_data.chunk_profile
  alter column mime set statistics 0,
  alter column profile set statistics 0;
