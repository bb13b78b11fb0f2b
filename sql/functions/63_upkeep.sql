-- Upkeep that somebody asks for: texts indexed anew, copies removed, and whether every index row
-- belongs to something that is there.

create or replace function ragdb_data._check_batch(p_limit int4)
  returns void
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if p_limit is null or p_limit not between 1 and 10000 then
    raise exception 'The limit must be 1 to 10,000.'
      using errcode = 'PT422',
            constraint = 'invalid_limit',
            hint = 'Leave p_limit out for the default.';
  end if;
end;
$$;

comment on function ragdb_data._check_batch(int4) is
$$Refuse to do nothing, or too much in one transaction. Raises PT422 invalid_limit.$$;

create or replace function ragdb.rebuild(
  p_after int8 default 0, p_limit int4 default 100, p_workspace text default null)
  returns table (texts int4, chunks int4, remaining int8, next int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_workspace_no int4 := case when p_workspace is not null
                           then (ragdb_data._workspace(p_workspace)).workspace_no end;
  v_bodies int8[];
begin
  perform ragdb_data._check_batch(p_limit);
  v_bodies := array(
    select b.body_no
      from ragdb_data.body b
     where b.org_no = v_org
       and b.body_no > p_after
       and exists (select from ragdb_data.document d
                    where d.org_no = v_org
                      and d.body_no = b.body_no
                      and (v_workspace_no is null or d.workspace_no = v_workspace_no))
     order by b.body_no
     limit p_limit);
  chunks := ragdb_data._reindex(v_org, v_bodies);
  texts := cardinality(v_bodies);
  next := v_bodies[texts];
  select count(*) into remaining
    from ragdb_data.body b
   where b.org_no = v_org
     and b.body_no > coalesce(next, p_after)
     and (v_workspace_no is null
          or exists (select from ragdb_data.document d
                      where d.org_no = v_org
                        and d.body_no = b.body_no
                        and d.workspace_no = v_workspace_no));
  if remaining = 0 then
    next := null;
  end if;
  return next;
end;
$$;

comment on function ragdb.rebuild(int8, int4, text) is
$$Divide, stem and embed stored texts anew, p_limit at a time.

For what reads texts differently from before: another major version of PostgreSQL, another stemmer.
Each call is one transaction; call again with p_after => next until next is null. Search goes on and
finds every text all along.
remaining: texts to come. Needs data:write. Raises PT422 invalid_limit, PT404 workspace_not_found.
Example: select * from ragdb.rebuild();$$;

create or replace function ragdb.dedupe(
  p_workspace text default null, p_apply boolean default false, p_limit int4 default 1000)
  returns table (
    document_id uuid, title text, source text, kept_id uuid, kept_title text, kept_source text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_workspace_no int4 := case when p_workspace is not null
                           then (ragdb_data._workspace(p_workspace)).workspace_no end;
  v_documents int8[];
  v_kept int8[];
begin
  perform ragdb_data._check_batch(p_limit);
  select array_agg(c.document_no), array_agg(c.kept_no)
    into v_documents, v_kept
    from (select d.document_no,
                 min(d.document_no) over (partition by d.body_no, d.workspace_no) as kept_no
            from ragdb_data.document d
           where d.org_no = v_org
             and (v_workspace_no is null or d.workspace_no = v_workspace_no)
           order by d.body_no, d.document_no) c
   where c.document_no <> c.kept_no
   limit p_limit;
  return query
  select d.id, d.title, s.name, k.id, k.title, t.name
    from unnest(v_documents, v_kept) u(document_no, kept_no)
    join ragdb_data.document d on d.org_no = v_org and d.document_no = u.document_no
    join ragdb_data.document k on k.org_no = v_org and k.document_no = u.kept_no
    join ragdb_data.data_source s on s.org_no = v_org and s.source_no = d.source_no
    join ragdb_data.data_source t on t.org_no = v_org and t.source_no = k.source_no
   order by k.document_no, d.document_no;
  if p_apply then
    perform ragdb.delete_documents(
      array(select d.id
              from ragdb_data.document d
             where d.org_no = v_org and d.document_no = any (v_documents)));
  end if;
end;
$$;

comment on function ragdb.dedupe(text, boolean, int4) is
$$Documents whose text another document of the same workspace has, and the one to keep: the oldest.

p_apply: delete them, too. Copies share text and chunks, so they cost little and are found once;
what goes is the second title, url and metadata. A source that is synchronized brings its copies
back: leave them out of it there.
Needs data:write. Raises PT422 invalid_limit, PT404 workspace_not_found.
Example: select * from ragdb.dedupe(p_apply => true);$$;

create or replace function ragdb.check_integrity()
  returns table (problem text, rows int8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('rag:read');
begin
  return query
  select 'texts of no document', count(*)
    from ragdb_data.body b
   where b.org_no = v_org
     and not exists (select from ragdb_data.document d
                      where d.org_no = v_org and d.body_no = b.body_no)
  union all
  select 'chunks that are not in their text', count(*)
    from ragdb_data.chunk c
    join ragdb_data.body b on b.org_no = c.org_no and b.body_no = c.body_no
   where c.org_no = v_org
     and substr(b.content, c.char_start + 1, c.char_end - c.char_start) <> c.content
  union all
  select 'chunks without words', count(*)
    from ragdb_data.chunk c
   where c.org_no = v_org
     and not exists (select from ragdb_data.chunk_word w
                      where w.org_no = v_org and w.chunk_no = c.chunk_no)
  union all
  select 'words of no chunk', count(*)
    from ragdb_data.chunk_word w
   where w.org_no = v_org
     and not exists (select from ragdb_data.chunk c
                      where c.org_no = v_org and c.chunk_no = w.chunk_no)
  union all
  select 'chunks that keywords do not find, or find twice', count(*)
    from ragdb_data.chunk c
   where c.org_no = v_org
     and 1 <> (select count(*)
                 from ragdb_data.posting p
                where p.org_no = v_org
                  and p.term = 0
                  and p.scope_no = c.scope_no
                  and p.chunk_no = c.chunk_no)
            + (select count(*)
                 from ragdb_data.slot s
                where s.org_no = v_org and s.chunk_no = c.chunk_no)
  union all
  select 'vectors of no chunk', count(*)
    from ragdb_data.chunk_vector v
   where v.org_no = v_org
     and not exists (select from ragdb_data.chunk c
                      where c.org_no = v_org and c.chunk_no = v.chunk_no)
  union all
  select 'chunks of letters without a vector', count(*)
    from ragdb_data.chunk c
   where c.org_no = v_org
     and c.content ~ '[a-z]'
     and not exists (select from ragdb_data.chunk_vector v
                      where v.org_no = v_org and v.chunk_no = c.chunk_no);
end;
$$;

comment on function ragdb.check_integrity() is
$$Whether texts, chunks and every index of them agree; all rows are 0 in a sound database.

Reads everything the caller may read. Needs rag:read.
Example: select * from ragdb.check_integrity() where rows > 0;$$;
