-- Whoever writes a chunk, its words, postings and vector are written with it, in the same statement; whoever deletes one, they go.
--
-- Titles count three times in the term frequency and length of BM25, and .3 in the vector; a chunk's title is its document's with the
-- headings above it. Set-based: one statement each, however many chunks.

create or replace function ragdb_data.index_new_chunks()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_chunk_nos int8[];
  v_contents text[];
  v_titles text[];
begin
  select array_agg(n.chunk_no order by n.chunk_no),
         array_agg(n.content order by n.chunk_no),
         array_agg(concat_ws(' ', b.title, array_to_string(array_remove(n.heading_path, b.title), ' ')) order by n.chunk_no)
    into v_chunk_nos, v_contents, v_titles
    from new_chunk n
    join ragdb_data.body b on b.org_no = n.org_no and b.body_no = n.body_no;

  with title as materialized (
    select d.language, d.title, array_remove(ragdb_data._terms(d.language, d.title), 0) as terms
      from (select distinct b.language, t.title
              from unnest(v_chunk_nos, v_titles) t(chunk_no, title)
              join new_chunk n on n.chunk_no = t.chunk_no
              join ragdb_data.body b on b.org_no = n.org_no and b.body_no = n.body_no) d),
  word as materialized (
    select n.org_no, n.scope_no, n.chunk_no, cardinality(t.terms) as title_length,
           t.terms || 0 || ragdb_data._terms(b.language, n.content) as terms
      from unnest(v_chunk_nos, v_titles) v(chunk_no, title)
      join new_chunk n on n.chunk_no = v.chunk_no
      join ragdb_data.body b on b.org_no = n.org_no and b.body_no = n.body_no
      join title t on t.language = b.language and t.title = v.title),
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

  insert into ragdb_data.chunk_vector (org_no, scope_no, chunk_no, body_no, embedding)
  select n.org_no, n.scope_no, n.chunk_no, n.body_no, e.embedding
    from ragdb.embed_batch(v_contents, v_titles) e
    join unnest(v_chunk_nos) with ordinality v(chunk_no, ordinal) on v.ordinal = e.ordinal
    join new_chunk n on n.chunk_no = v.chunk_no
   where e.embedding is not null;
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
  set plan_cache_mode = force_generic_plan
as $$
begin
  with word as (
    delete from ragdb_data.chunk_word w
     using old_chunk o
     where w.org_no = o.org_no
       and w.chunk_no = o.chunk_no
    returning w.org_no, w.scope_no, w.chunk_no, w.terms)
  insert into ragdb_data.dead_chunk (org_no, scope_no, chunk_no, terms)
  select w.org_no, w.scope_no, w.chunk_no, array(select distinct t from unnest(w.terms) t where t <> 0)
    from word w;

  delete from ragdb_data.posting p
   using old_chunk o
   where p.org_no = o.org_no
     and p.term = 0
     and p.scope_no = o.scope_no
     and p.chunk_no = o.chunk_no;

  delete from ragdb_data.chunk_vector v
   using old_chunk o
   where v.org_no = o.org_no
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
  referencing old table as old_citation
  for each statement execute function ragdb_private.forget_answers();
