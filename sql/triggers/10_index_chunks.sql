-- Whoever writes a chunk, its words, postings and vector are written with it, in the same
-- statement; whoever deletes one, they go.
--
-- Titles count three times in the term frequency and length of BM25, and .3 in the vector; a
-- chunk's title is its document's with the headings above it. Set-based: one statement each,
-- however many chunks.

create or replace function ragdb_data.index_new_chunks()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org_nos int4[];
  v_scope_nos int4[];
  v_body_nos int8[];
  v_chunk_nos int8[];
  v_languages text[];
  v_titles text[];
  v_contents text[];
  v_version int4;
begin
  -- Into arrays first: rows of a statement have no statistics, and a join to them may become a loop
  -- over all of them for each.
  select array_agg(n.org_no), array_agg(n.scope_no), array_agg(n.body_no), array_agg(n.chunk_no),
         array_agg(b.language),
         array_agg(ragdb_data._full_title(b.title, n.heading_path)),
         array_agg(n.content)
    into v_org_nos, v_scope_nos, v_body_nos, v_chunk_nos, v_languages, v_titles, v_contents
    from new_chunk n
    join ragdb_data.body b on b.org_no = n.org_no and b.body_no = n.body_no;

  with chunk as materialized (
    select *
      from unnest(v_org_nos, v_scope_nos, v_chunk_nos, v_languages, v_titles, v_contents)
             c(org_no, scope_no, chunk_no, language, title, content)),
  title as materialized (
    select d.language, d.title, array_remove(ragdb_data._terms(d.language, d.title), 0) as terms
      from (select distinct c.language, c.title from chunk c) d),
  word as materialized (
    select c.org_no, c.scope_no, c.chunk_no, cardinality(t.terms) as title_length,
           t.terms || 0 || ragdb_data._terms(c.language, c.content) as terms
      from chunk c
      join title t on t.language = c.language and t.title = c.title),
  stored_word as (
    insert into ragdb_data.chunk_word (org_no, scope_no, chunk_no, terms)
    select w.org_no, w.scope_no, w.chunk_no, w.terms from word w),
  term as materialized (
    select w.chunk_no, u.term, sum(case when u.position <= w.title_length then 3 else 1 end) as tf
      from word w
     cross join unnest(w.terms) with ordinality u(term, position)
     where u.term <> 0
     group by w.chunk_no, u.term),
  length as materialized (
    select t.chunk_no, sum(t.tf)::int4 as length from term t group by t.chunk_no)
  insert into ragdb_data.posting (org_no, scope_no, term, chunk_no, tf, length)
  select w.org_no, w.scope_no, t.term, w.chunk_no, least(t.tf, 32767)::int2, l.length
    from term t
    join length l on l.chunk_no = t.chunk_no
    join word w on w.chunk_no = t.chunk_no
  union all
  select w.org_no, w.scope_no, 0, w.chunk_no, 0, coalesce(l.length, 0)
    from word w
    left join length l on l.chunk_no = w.chunk_no;

  foreach v_version in array ragdb_data._vector_versions() loop
    insert into ragdb_data.chunk_vector (org_no, version, scope_no, chunk_no, body_no, embedding)
    select c.org_no, v_version, c.scope_no, c.chunk_no, c.body_no, e.embedding
      from unnest(v_org_nos, v_scope_nos, v_chunk_nos, v_body_nos) with ordinality
             c(org_no, scope_no, chunk_no, body_no, ordinal)
      join ragdb.embed_batch(v_contents, v_titles, p_version => v_version) e
        on e.ordinal = c.ordinal
     where e.embedding is not null;
  end loop;
  return null;
end;
$$;

comment on function ragdb_data.index_new_chunks() is
$$Trigger: write words, postings, marker and vector of the chunks just inserted.$$;

create or replace trigger index_new_chunks
  after insert on ragdb_data.chunk
  referencing new table as new_chunk
  for each statement execute function ragdb_data.index_new_chunks();

create or replace function ragdb_data.unindex_old_chunks()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
begin
  with word as (
    delete from ragdb_data.chunk_word w
     using old_chunk o
     where w.org_no = o.org_no
       and w.chunk_no = o.chunk_no
    returning w.org_no, w.scope_no, w.chunk_no, w.terms),
  slot as (
    delete from ragdb_data.slot s
     using old_chunk o
     where s.org_no = o.org_no
       and s.chunk_no = o.chunk_no
    returning s.chunk_no, s.slot_no)
  insert into ragdb_data.dead_chunk (org_no, scope_no, chunk_no, length, slot_no, terms)
  select w.org_no, w.scope_no, w.chunk_no, ragdb_data._length(w.terms), s.slot_no,
         array(select distinct t from unnest(w.terms) t where t <> 0)
    from word w
    left join slot s on s.chunk_no = w.chunk_no;

  delete from ragdb_data.posting p
   using old_chunk o
   where p.org_no = o.org_no
     and p.term = 0
     and p.scope_no = o.scope_no
     and p.chunk_no = o.chunk_no;

  delete from ragdb_data.chunk_vector v
   using old_chunk o
   where v.org_no = o.org_no
     and v.version = any (array(
           select generate_series(1, max(t.version)) from ragdb_data.embedding_table_version t))
     and v.chunk_no = o.chunk_no;
  return null;
end;
$$;

comment on function ragdb_data.unindex_old_chunks() is
$$Trigger: take the chunks just deleted out of every leg.

Their postings, which hold hashes only, are left to ragdb.maintain() and counted by no search.$$;

create or replace trigger unindex_old_chunks
  after delete on ragdb_data.chunk
  referencing old table as old_chunk
  for each statement execute function ragdb_data.unindex_old_chunks();

create or replace trigger forget_answers
  after delete on ragdb_data.answer_citation
  referencing old table as old_row
  for each statement execute function ragdb_private.forget_answers();

create or replace trigger forget_answers
  after update on ragdb_data.document
  referencing old table as old_row new table as new_row
  for each statement execute function ragdb_private.forget_answers();

create or replace trigger forget_answers
  after update on ragdb_data.body
  referencing old table as old_row new table as new_row
  for each statement execute function ragdb_private.forget_answers();
