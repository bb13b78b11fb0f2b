-- Documents in. What is put is searchable when its transaction commits.
--
-- put_documents() takes a batch, and does each step for all of it at once. A text already stored in
-- the same scope becomes a second reference to the same chunks; a changed document touches only the
-- chunks whose text changed. One faulty document fails alone.
-- Locks are taken in the order document, body, chunk. Custom plans would copy the texts into each:
-- plans are generic. In a table that was never analyzed every index beginning with the organization
-- looks alike to the planner, and most of them would read a whole scope for each document. So a key
-- is looked up as the rows of a range of one value, in its order, and sorting is off: only the
-- index meant gives that order.

create or replace function ragdb.put_documents(
  p_documents jsonb,
  p_source text default 'default',
  p_workspace text default null,
  p_visibility text default 'workspace')
  returns table (
    ordinal int4, external_id text, document_id uuid, status text, chunks int4,
    error text, message text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_sort = off
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_workspace ragdb_data.workspace := ragdb_data._workspace(p_workspace);
  v_scope_no int4;
  v_source_no int4;
  v_profiles jsonb;
  v_in ragdb_data.incoming_document[];
  v_document_nos int8[];
  v_old_bodies int8[];
  v_bodies int8[];
  v_changed record;
  v_created int8[] := '{}';
  v_rewritten int8[] := '{}';
  v_touched int8[];
  v_new int8[];
begin
  if p_visibility is null or p_visibility not in ('private', 'workspace', 'organization') then
    raise exception 'The visibility % is not known.', p_visibility
      using errcode = 'PT422',
            constraint = 'unknown_visibility',
            hint = 'One of: private, workspace, organization';
  end if;
  if jsonb_typeof(p_documents) is distinct from 'array' then
    raise exception 'p_documents is not a JSON array.'
      using errcode = 'PT422',
            constraint = 'invalid_documents',
            hint = 'put_documents(''[{"title": "...", "content": "..."}]'')';
  end if;
  v_scope_no := ragdb_data._open_scope(v_workspace.id, p_visibility);
  v_source_no := ragdb_data._source(v_workspace.workspace_no, v_scope_no, p_source);

  v_profiles := ragdb_data._chunk_profiles(v_org, v_workspace.workspace_no);

  select array_agg(c order by e.ordinal) into v_in
    from jsonb_array_elements(p_documents) with ordinality e(document, ordinal)
   cross join lateral ragdb_data._check_document(
           e.document, e.ordinal::int4, v_workspace.language, v_profiles) c;
  select array_agg(
           case when i.is_repeated
             then (i.ordinal, i.external_id, i.title, i.content, i.url, i.mime, i.labels,
                   i.metadata, i.language, i.chunking, i.dated_at, i.sha256,
                   'duplicate_external_id',
                   'A later document of this batch has the same external_id.'
                  )::ragdb_data.incoming_document
             else i.self end order by i.ordinal)
    into v_in
    from (select u.*, u as self,
                 u.error is null
                 and row_number() over (
                       partition by u.external_id, u.error is null
                       order by u.ordinal desc) > 1 as is_repeated
            from unnest(v_in) u) i;

  -- Who is replaced, locked in an order that all writers share. These arrays are in the order of
  -- v_in.
  select array_agg(d.document_no order by i.ordinal), array_agg(d.body_no order by i.ordinal)
    into v_document_nos, v_old_bodies
    from (select u.ordinal, u.external_id, u.error
            from unnest(v_in) u
           order by u.external_id
          offset 0) i
    left join lateral (
      select d.document_no, d.body_no
        from ragdb_data.document d
       where d.org_no = v_org
         and d.source_no = v_source_no
         and d.scope_no = v_scope_no
         and md5(d.external_id) between md5(i.external_id) and md5(i.external_id)
         and i.error is null
       order by md5(d.external_id)
       limit 1
         for update) d on true;

  -- A changed text keeps its body where nobody shares it, so that only the difference is indexed.
  for v_changed in
    select v_document_nos[i.ordinal] as document_no, b.body_no,
           i.title, i.content, i.language, i.chunking, i.sha256
      from unnest(v_in) i
     cross join lateral (
       select b.body_no
         from ragdb_data.body b
        where b.org_no = v_org
          and b.body_no between v_old_bodies[i.ordinal] and v_old_bodies[i.ordinal]
          and (b.sha256, b.title, b.language, b.chunking)
              is distinct from (i.sha256, i.title, i.language, i.chunking)
          and v_document_nos[i.ordinal] = all (
                select o.document_no
                  from ragdb_data.document o
                 where o.org_no = v_org
                   and o.body_no between b.body_no and b.body_no
                 order by o.body_no)
          and b.body_no = all (
                select o.body_no
                  from ragdb_data.body o
                 where o.org_no = v_org
                   and o.scope_no = v_scope_no
                   and o.sha256 between i.sha256 and i.sha256
                 order by o.sha256)
        order by b.body_no
       offset 0) b
     order by i.external_id
  loop
    perform from ragdb_data.body b
     where b.org_no = v_org and b.body_no between v_changed.body_no and v_changed.body_no
     order by b.body_no
     limit 1
       for update;
    begin
      perform ragdb_data._rewrite_body(
                v_changed.body_no, v_changed.title, v_changed.content,
                v_changed.language, v_changed.chunking, v_changed.sha256);
      v_rewritten := v_rewritten || v_changed.document_no;
    exception when unique_violation then
      -- The text has come into the scope since the query looked: it is shared below.
      null;
    end;
  end loop;

  -- Bodies not there yet. A concurrent transaction may drop one found here before it is locked:
  -- then store it after all.
  loop
    with stored as (
      insert into ragdb_data.body (org_no, scope_no, sha256, title, content, language, chunking)
      select distinct on (i.sha256)
             v_org, v_scope_no, i.sha256, i.title, i.content, i.language, i.chunking
        from unnest(v_in) i
       where i.error is null
       order by i.sha256, i.ordinal
      on conflict on constraint body_org_no_scope_no_sha256_key do nothing
      returning body_no)
    select v_created || coalesce(array_agg(s.body_no), '{}') into v_created from stored s;
    select array_agg(b.body_no order by i.ordinal)
      into v_bodies
      from (select u.ordinal, u.sha256, u.error from unnest(v_in) u order by u.sha256 offset 0) i
      left join lateral (
        select b.body_no
          from ragdb_data.body b
         where b.org_no = v_org
           and b.scope_no = v_scope_no
           and b.sha256 between i.sha256 and i.sha256
           and i.error is null
         order by b.sha256
         limit 1
           for key share) b on true;
    exit when not exists (select from unnest(v_in) i
                           where i.error is null and v_bodies[i.ordinal] is null);
  end loop;

  insert into ragdb_data.chunk (
    org_no, body_no, scope_no, ordinal, char_start, char_end, page, hash, heading_path, content)
  select v_org, v_bodies[b.ordinal], v_scope_no, c.ordinal, c.char_start, c.char_end, c.page,
         ragdb_data._chunk_hash(b.language, b.title, c.heading_path, c.content),
         c.heading_path, c.content
    from unnest(v_in) b
   cross join lateral ragdb.chunk_text(b.content, b.chunking) c
   where b.ordinal in (select min(u.ordinal)
                         from unnest(v_bodies) with ordinality u(body_no, ordinal)
                        where u.body_no in (select unnest(v_created))
                        group by u.body_no)
   order by b.ordinal, c.ordinal;

  with put as (
    insert into ragdb_data.document as d (
      org_no, workspace_no, scope_no, source_no, body_no, external_id,
      title, url, mime, labels, metadata, dated_at)
    select v_org, v_workspace.workspace_no, v_scope_no, v_source_no, v_bodies[i.ordinal],
           i.external_id, coalesce(nullif(i.title, ''), i.external_id), i.url, i.mime, i.labels,
           i.metadata, i.dated_at
      from unnest(v_in) i
     where i.error is null
     order by i.ordinal
    on conflict (org_no, source_no, scope_no, md5(external_id)) do update
       set body_no = excluded.body_no,
           title = excluded.title,
           url = excluded.url,
           mime = excluded.mime,
           labels = excluded.labels,
           metadata = excluded.metadata,
           dated_at = excluded.dated_at,
           updated_at = now()
     where (d.body_no, d.title, d.url, d.mime, d.labels, d.metadata, d.dated_at)
           is distinct from
           (excluded.body_no, excluded.title, excluded.url, excluded.mime, excluded.labels,
            excluded.metadata, excluded.dated_at)
        or d.document_no = any (v_rewritten)
    returning d.document_no, d.xmax <> 0 as is_old)
  select v_rewritten || coalesce(array_agg(p.document_no), '{}'),
         array_agg(p.document_no) filter (where not p.is_old)
    into v_touched, v_new
    from put p;

  perform ragdb_data._write_facts(v_touched, v_new);
  -- The file of the text before.
  delete from ragdb_data.original o
   using unnest(v_document_nos, v_old_bodies, v_bodies) r(document_no, old, new)
   where o.org_no = v_org
     and o.document_no = r.document_no
     and (r.old <> r.new or r.document_no = any (v_rewritten));
  v_old_bodies := array(select b.old
                          from unnest(v_old_bodies, v_bodies) b(old, new)
                         where b.old <> b.new);
  if cardinality(v_old_bodies) > 0 then
    perform ragdb_data._drop_orphan_bodies(v_old_bodies);
  end if;

  return query
  select i.ordinal, i.external_id, d.id,
         case
           when i.error is not null then 'failed'
           when d.document_no in (select unnest(v_new))
             then case when d.body_no in (select unnest(v_created))
                            and row_number() over (partition by d.body_no order by i.ordinal) = 1
                    then 'ingested' else 'duplicate' end
           when d.document_no in (select unnest(v_touched)) then 'updated'
           else 'unchanged'
         end,
         coalesce(d.chunks, 0), i.error, i.message
    from unnest(v_in) i
    left join lateral (
      select d.document_no, d.id, d.body_no,
             -- Ordinals have no gaps.
             (select c.ordinal + 1
                from ragdb_data.chunk c
               where c.org_no = v_org and c.body_no = d.body_no
               order by c.ordinal desc
               limit 1) as chunks
        from ragdb_data.document d
       where d.org_no = v_org
         and d.source_no = v_source_no
         and d.scope_no = v_scope_no
         and md5(d.external_id) between md5(i.external_id) and md5(i.external_id)
         and i.error is null
       order by md5(d.external_id)
       limit 1) d on true
   order by i.ordinal;
end;
$$;

comment on function ragdb.put_documents(jsonb, text, text, text) is
$$Store a batch of documents; searchable when the transaction commits.

p_documents: array of {external_id, title, content, url, mime, labels, metadata, language, chunking,
date}; only content is required. chunking: the name of a preset or a profile, see
ragdb.chunk_text(); default by mime, see ragdb.chunk_profiles.
A document without a title is shown by its external_id, and is not found by that.
A document with the same source, external_id and visibility is replaced, and only chunks whose text
changed are indexed again.
p_visibility: private (the caller's own), workspace, or organization.
status: ingested, updated, unchanged, duplicate (the same text was there: shared, not stored again)
or failed (error: machine name, message: reason; the rest of the batch goes on). chunks: how many
the document has.
Needs data:write. Raises PT422 unknown_visibility, invalid_documents or invalid_chunk_profile, PT404
workspace_not_found.$$;

create or replace function ragdb.put_document(
  p_content text,
  p_title text default null,
  p_external_id text default null,
  p_url text default null,
  p_metadata jsonb default '{}',
  p_labels text[] default '{}',
  p_language text default null,
  p_mime text default 'text/plain',
  p_date timestamptz default null,
  p_source text default 'default',
  p_workspace text default null,
  p_visibility text default 'workspace',
  p_chunking jsonb default null)
  returns table (document_id uuid, status text, chunks int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_put record;
begin
  select * into v_put
    from ragdb.put_documents(
           jsonb_build_array(jsonb_build_object(
             'content', p_content, 'title', p_title, 'external_id', p_external_id,
             'url', p_url, 'metadata', p_metadata, 'labels', p_labels, 'language', p_language,
             'mime', p_mime, 'date', p_date, 'chunking', p_chunking)),
           p_source, p_workspace, p_visibility);
  if v_put.error is not null then
    raise exception '%', v_put.message
      using errcode = 'PT422', constraint = v_put.error, hint = '\df+ ragdb.put_document';
  end if;
  return query select v_put.document_id, v_put.status, v_put.chunks;
end;
$$;

comment on function ragdb.put_document(
  text, text, text, text, jsonb, text[], text, text, timestamptz, text, text, text, jsonb) is
$$Store one document; put_documents() for one.

Example: select * from ragdb.put_document('Keys rotate every 90 days.', 'Key policy', p_labels =>
'{security}');
Raises PT422 empty_content, invalid_document or unknown_language, and what put_documents()
raises.$$;

create or replace function ragdb.replace_document(
  p_document_id uuid,
  p_content text,
  p_title text default null,
  p_url text default null,
  p_metadata jsonb default '{}',
  p_labels text[] default '{}',
  p_language text default null,
  p_mime text default 'text/plain',
  p_date timestamptz default null,
  p_chunking jsonb default null)
  returns table (document_id uuid, status text, chunks int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_old record;
begin
  perform from ragdb_data.document d where d.org_no = v_org and d.id = p_document_id for update;
  select d.external_id, d.source, d.workspace, d.visibility into v_old
    from ragdb.documents d
   where d.document_id = p_document_id;
  if not found then
    raise exception 'There is no document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'document_not_found',
            hint = 'select document_id, title from ragdb.documents;';
  end if;
  return query
  select *
    from ragdb.put_document(
           p_content, p_title, v_old.external_id, p_url, p_metadata, p_labels, p_language,
           p_mime, p_date, v_old.source, v_old.workspace, v_old.visibility, p_chunking);
end;
$$;

comment on function ragdb.replace_document(
  uuid, text, text, text, jsonb, text[], text, text, timestamptz, jsonb) is
$$Give a document another text, title and so on; it keeps its id, source and visibility.

What is left out is emptied. Only chunks whose text changed are indexed again; status is updated or
unchanged.
Needs data:write. Raises PT404 document_not_found, and what put_document() raises.$$;
