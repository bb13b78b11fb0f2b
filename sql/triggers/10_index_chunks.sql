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
  set plan_cache_mode = force_generic_plan
  set enable_sort = off  -- see put_documents()
as $$
declare
  c_segment constant int4 := 4000;
  v_versions constant int4[] := ragdb_data._vector_versions();
  v_version int4;
  v_batch record;
  v_is_indexed boolean;
  v_orgs int4[] := '{}';
  v_scopes int4[] := '{}';
  v_languages text[] := '{}';
begin
  -- Into arrays first: rows of a statement have no statistics, and a join to them may become a loop
  -- over all of them for each.
  for v_batch in
    select n.org_no, n.scope_no, b.language,
           -- Such a batch becomes a segment of its own: it never has posting rows.
           n.org_no = ragdb.current_org_no() and count(*) >= 500 as is_sealed,
           array_agg(n.chunk_no order by n.chunk_no) as chunk_nos,
           array_agg(n.body_no order by n.chunk_no) as body_nos,
           array_agg(ragdb_data._full_title(b.title, n.heading_path) order by n.chunk_no)
             as titles,
           array_agg(n.content order by n.chunk_no) as contents
      from new_chunk n
     cross join lateral (
       select t.title, t.language
         from ragdb_data.body t
        where t.org_no = n.org_no
          and t.body_no between n.body_no and n.body_no
        order by t.body_no
        limit 1) b
     group by n.org_no, n.scope_no, b.language
  loop
    -- An index that is built later will have these vectors in it; see drop_vector_index().
    v_is_indexed := v_batch.is_sealed and ragdb_data._vector_index(v_batch.org_no) is null;
    with chunk as materialized (
      select c.chunk_no, c.body_no, t.terms, t.embedding
        from unnest(v_batch.chunk_nos, v_batch.body_nos) with ordinality
               c(chunk_no, body_no, ordinal)
        join ragdb_data._index_texts(
               v_batch.language, v_batch.titles, v_batch.contents, v_versions[1]) t
          on t.ordinal = c.ordinal),
    stored_word as (
      insert into ragdb_data.chunk_word (org_no, scope_no, chunk_no, terms, stems)
      select v_batch.org_no, v_batch.scope_no, c.chunk_no, c.terms,
             ('{' || coalesce(t.stems, '') || '}/536870912')::public.sparsevec
        from (select k.chunk_no, k.terms, array_position(k.terms, 0) as title_end
                from chunk k
              offset 0) c
       cross join lateral (
         select string_agg(f.term || ':' || f.tf, ',') as stems
           from (select u.term, sum(case when u.position < c.title_end then 3 else 1 end) as tf
                   from unnest(c.terms) with ordinality u(term, position)
                  where u.term <> 0
                  group by u.term) f) t),
    stored_vector as (
      insert into ragdb_data.chunk_vector (
        org_no, version, scope_no, chunk_no, body_no, is_indexed, embedding)
      select v_batch.org_no, v_versions[1], v_batch.scope_no, c.chunk_no, c.body_no, v_is_indexed,
             c.embedding
        from chunk c
       where c.embedding is not null)
    insert into ragdb_data.posting (org_no, scope_no, chunk_no, length, term, tf)
    select v_batch.org_no, v_batch.scope_no, c.chunk_no, c.length, t.term, least(t.tf, 32767)::int2
      from (select k.chunk_no, k.terms, array_position(k.terms, 0) as title_end,
                   ragdb_data._length(k.terms) as length
              from chunk k
             where not v_batch.is_sealed
            offset 0) c
     cross join lateral (
       select u.term, sum(case when u.position < c.title_end then 3 else 1 end) as tf
         from unnest(c.terms) with ordinality u(term, position)
        where u.term <> 0
        group by u.term
       union all
       select 0, 0) t;

    -- While the organization turns to another embedding table, a vector of that one too.
    foreach v_version in array v_versions[2:] loop
      insert into ragdb_data.chunk_vector (
        org_no, version, scope_no, chunk_no, body_no, embedding)
      select v_batch.org_no, v_version, v_batch.scope_no, c.chunk_no, c.body_no, e.embedding
        from unnest(v_batch.chunk_nos, v_batch.body_nos) with ordinality
               c(chunk_no, body_no, ordinal)
        join ragdb.embed_batch(v_batch.contents, v_batch.titles, p_version => v_version) e
          on e.ordinal = c.ordinal
       where e.embedding is not null;
    end loop;

    if v_batch.is_sealed then
      for v_first in 1 .. cardinality(v_batch.chunk_nos) by c_segment loop
        perform ragdb_data._seal(
                  v_batch.scope_no, v_batch.chunk_nos[v_first : v_first + c_segment - 1]);
      end loop;
    end if;
    v_orgs := v_orgs || v_batch.org_no;
    v_scopes := v_scopes || v_batch.scope_no;
    v_languages := v_languages || v_batch.language;
  end loop;

  -- At the end and in one order: whoever writes the same language waits until this commits.
  insert into ragdb_data.scope_language (org_no, scope_no, language)
  select l.org_no, l.scope_no, l.language
    from (select u.org_no, u.scope_no, u.language
            from unnest(v_orgs, v_scopes, v_languages) u(org_no, scope_no, language)
           order by u.scope_no, u.language) l
   where not exists (select from ragdb_data.scope_language o
                      where o.org_no = l.org_no
                        and o.scope_no = l.scope_no
                        and o.language = l.language)
      on conflict do nothing;
  return null;
end;
$$;

comment on function ragdb_data.index_new_chunks() is
$$Trigger: write words, postings, marker and vector of the chunks just inserted; 500 chunks or more
of a scope and a language are sealed at once instead of having postings.$$;

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

  perform ragdb_data._forget_model_vectors(o.org_no, array_agg(o.chunk_no))
     from old_chunk o
    group by o.org_no;
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
