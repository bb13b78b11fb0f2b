-- depends: 0016_create_chunk_profiles
-- The languages that the texts of a scope are in: a query that names none is read in the one whose
-- stems these texts have. A language stays when its last text goes; it costs a look then.

create table ragdb_data.scope_language (
  org_no    int4 not null,
  scope_no  int4 not null,
  language  text collate "C" not null,
  primary key (org_no, scope_no, language),
  foreign key (org_no, scope_no) references ragdb_data.scope on delete cascade
);
alter table ragdb_data.scope_language alter column language set statistics 0;

insert into ragdb_data.scope_language (org_no, scope_no, language)
select distinct b.org_no, b.scope_no, b.language from ragdb_data.body b;
