-- Chunks as lines of JSON, out of one system and into another: {id, source: {type, path}, content,
-- metadata, embedding}.

create or replace function ragdb.export_chunks(
  p_after int8 default 0, p_limit int4 default 1000, p_workspace text default null)
  returns table (chunk_id int8, record jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:read');
  v_version int4 := ragdb_data._embedding_version();
  v_workspace_no int4 := case when p_workspace is not null
                           then (ragdb_data._workspace(p_workspace)).workspace_no end;
begin
  perform ragdb_data._check_batch(p_limit);
  return query
  select c.chunk_no,
         jsonb_build_object(
           'id', encode(sha256(convert_to(d.external_id || E'\x1f' || c.ordinal, 'UTF8')), 'hex'),
           'source', jsonb_build_object('type', s.type, 'path', coalesce(d.url, d.external_id)),
           'content', c.content,
           'metadata', d.metadata || jsonb_strip_nulls(jsonb_build_object(
             'title', d.title, 'document', d.external_id, 'workspace_id', w.id,
             'chunk', c.ordinal, 'char_start', c.char_start, 'char_end', c.char_end,
             'page', c.page, 'heading_path', nullif(to_jsonb(c.heading_path), '[]'),
             'labels', nullif(to_jsonb(d.labels), '[]'), 'language', b.language)),
           'embedding', v.embedding::text::jsonb)
    from (select k.*
            from ragdb_data.chunk k
           where k.org_no = v_org
             and k.chunk_no > p_after
             and (v_workspace_no is null
                  or exists (select from ragdb_data.document d
                              where d.org_no = v_org
                                and d.body_no = k.body_no
                                and d.workspace_no = v_workspace_no))
           order by k.chunk_no
           limit p_limit) c
    join ragdb_data.body b on b.org_no = v_org and b.body_no = c.body_no
   cross join lateral (
     select d.*
       from ragdb_data.document d
      where d.org_no = v_org
        and d.body_no = c.body_no
        and (v_workspace_no is null or d.workspace_no = v_workspace_no)
      order by d.document_no
      limit 1) d
    join ragdb_data.workspace w on w.org_no = v_org and w.workspace_no = d.workspace_no
    join ragdb_data.data_source s on s.org_no = v_org and s.source_no = d.source_no
    left join ragdb_data.chunk_vector v on v.org_no = v_org
                                       and v.version = v_version
                                       and v.chunk_no = c.chunk_no
   order by c.chunk_no;
end;
$$;

comment on function ragdb.export_chunks(int8, int4, text) is
$$Chunks as JSON records, by chunk_id, p_limit from p_after on.

record: id (SHA-256 of document and number), source {type, path}, content, metadata, embedding (256
numbers, null without a word). A chunk that documents share appears once, under the oldest of them.
Call again with p_after => the last chunk_id until no row comes.
Needs data:read. Raises PT422 invalid_limit, PT404 workspace_not_found.$$;

create or replace function ragdb.import_chunks(
  p_records jsonb,
  p_source text default 'import',
  p_workspace text default null,
  p_visibility text default 'workspace')
  returns table (
    ordinal int4, external_id text, document_id uuid, status text, chunks int4,
    error text, message text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(p_records) is distinct from 'array' then
    raise exception 'p_records is not a JSON array.'
      using errcode = 'PT422',
            constraint = 'invalid_records',
            hint = 'import_chunks(''[{"id": "...", "content": "..."}]'')';
  end if;
  return query
  select *
    from ragdb.put_documents(
           (select coalesce(jsonb_agg(
                     case when jsonb_typeof(r.record) = 'object'
                       then jsonb_strip_nulls(jsonb_build_object(
                              'external_id', r.record ->> 'id',
                              'title', coalesce(r.metadata ->> 'title',
                                                r.record #>> '{source,path}'),
                              'url', r.record #>> '{source,path}',
                              'labels', case when jsonb_typeof(r.metadata -> 'labels') = 'array'
                                          then r.metadata -> 'labels' end,
                              'language', case
                                when ragdb_data._find_language(r.metadata ->> 'language')
                                     is not null
                                  then r.metadata ->> 'language' end,
                              'metadata', r.metadata
                                          - '{title,labels,language,user_id,workspace_id}'::text[],
                              'chunking', '{"chunker": "recursive", "size": 100000,
                                            "overlap": 0, "unit": "characters"}'::jsonb))
                            || jsonb_build_object('content', r.record -> 'content')
                       else r.record
                     end order by r.ordinal), '[]')
              from (select e.record, e.ordinal,
                           case when jsonb_typeof(e.record -> 'metadata') = 'object'
                             then e.record -> 'metadata' else '{}' end as metadata
                      from jsonb_array_elements(p_records) with ordinality e(record, ordinal)) r),
           p_source, p_workspace, p_visibility);
end;
$$;

comment on function ragdb.import_chunks(jsonb, text, text, text) is
$$Store chunks that another system has cut: JSON records as ragdb.export_chunks() gives them.

Each becomes a document of one chunk under its id, with source.path as its url and metadata.title or
else the path as its title; the same id replaces. Embeddings of other models are not comparable and
are made anew. user_id and workspace_id of the metadata are dropped: the caller's hold.
Rows are those of ragdb.put_documents(). Needs data:write. Raises PT422 invalid_records and what
put_documents() raises.$$;
