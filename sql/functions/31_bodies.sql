-- The parts of storing a document: its source, its checks, its chunk profile, and a body that gets
-- another text.

create or replace function ragdb_data._source_no(
  p_workspace_no int4, p_scope_no int4, p_name text)
  returns int4
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select s.source_no
    from ragdb_data.data_source s
   where s.org_no = ragdb.current_org_no()
     and s.scope_no = p_scope_no
     and s.workspace_no = p_workspace_no
     and s.name = p_name
$$;

comment on function ragdb_data._source_no(int4, int4, text) is
$$The data source of that name for a workspace's documents of one scope; null if there is none.$$;

create or replace function ragdb_data._source(p_workspace_no int4, p_scope_no int4, p_name text)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_source_no int4 := ragdb_data._source_no(p_workspace_no, p_scope_no, p_name);
begin
  if v_source_no is null then
    insert into ragdb_data.data_source (org_no, scope_no, workspace_no, name)
    values (v_org, p_scope_no, p_workspace_no, p_name)
    on conflict on constraint data_source_org_no_scope_no_workspace_no_name_key
      do update set name = excluded.name
    returning source_no into v_source_no;
  end if;
  return v_source_no;
end;
$$;

comment on function ragdb_data._source(int4, int4, text) is
$$The data source of that name for a workspace's documents of one scope, created when it is new.$$;

create or replace function ragdb_data._check_document(
  p_document jsonb, p_ordinal int4, p_language text, p_profiles jsonb)
  returns ragdb_data.incoming_document
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set timezone = 'UTC'
as $$
declare
  v_keys constant text[] :=
    '{external_id,title,content,url,mime,labels,metadata,language,chunking,date}';
  v ragdb_data.incoming_document;
  v_unknown text;
begin
  v.ordinal := p_ordinal;
  v.error := 'invalid_document';
  if jsonb_typeof(p_document) is distinct from 'object' then
    v.message := 'A document is a JSON object.';
    return v;
  end if;
  v.external_id := nullif(btrim(p_document ->> 'external_id'), '');
  select string_agg(k, ', ') into v_unknown
    from jsonb_object_keys(p_document) k
   where k <> all (v_keys);
  v.message := case
    when v_unknown is not null
      then format('Unknown key %s; a document has the keys %s.',
                  v_unknown, array_to_string(v_keys, ', '))
    when jsonb_typeof(p_document -> 'content') is distinct from 'string'
      then 'content must be a text.'
    when coalesce(jsonb_typeof(p_document -> 'metadata'), 'null') not in ('object', 'null')
      then 'metadata must be a JSON object.'
    when coalesce(jsonb_typeof(p_document -> 'labels'), 'null') not in ('array', 'null')
      then 'labels must be an array of texts.'
    when length(v.external_id) > 2000
      then 'external_id is longer than 2,000 characters.'
    when length(p_document ->> 'title') > 2000
      then 'title is longer than 2,000 characters.'
    when p_document ->> 'date' is not null
         and not pg_input_is_valid(p_document ->> 'date', 'timestamptz')
      then format('%L is not a date; write 2025-01-31 or 2025-01-31T12:00:00Z.',
                  p_document ->> 'date')
  end;
  if v.message is not null then
    return v;
  end if;

  v.content := p_document ->> 'content';
  v.language := coalesce(ragdb_data._find_language(p_document ->> 'language'), p_language);
  if p_document ->> 'language' is not null
     and ragdb_data._find_language(p_document ->> 'language') is null then
    v.error := 'unknown_language';
    v.message := format('The language %s is not known.', p_document ->> 'language');
    return v;
  end if;
  if v.content !~ '\S' then
    v.error := 'empty_content';
    v.message := 'The document has no text.';
    return v;
  end if;

  v.sha256 := sha256(convert_to(v.content, 'UTF8'));
  v.external_id := coalesce(v.external_id, 'sha256:' || encode(v.sha256, 'hex'));
  v.title := coalesce(btrim(p_document ->> 'title'), '');
  v.url := p_document ->> 'url';
  v.mime := coalesce(p_document ->> 'mime', 'text/plain');
  v.metadata := case when jsonb_typeof(p_document -> 'metadata') = 'object'
                  then p_document -> 'metadata'
                  else '{}' end;
  v.labels := case when jsonb_typeof(p_document -> 'labels') = 'array'
                then array(select l
                             from jsonb_array_elements_text(p_document -> 'labels') l
                            where l is not null)
                else '{}' end;
  v.dated_at := (p_document ->> 'date')::timestamptz;
  v.chunking := case
    when jsonb_typeof(p_document -> 'chunking') = 'string'
      then case when p_document ->> 'chunking' ~ '[/*]' then null
                else p_profiles -> (p_document ->> 'chunking') end
    else coalesce(nullif(p_document -> 'chunking', 'null'),
                  p_profiles -> v.mime,
                  p_profiles -> (split_part(v.mime, '/', 1) || '/*'),
                  p_profiles -> '*')
  end;
  if v.chunking is null then
    v.error := 'unknown_chunk_preset';
    v.message := format('There is no chunk preset %L; see ragdb.chunk_presets.',
                        p_document ->> 'chunking');
    return v;
  end if;
  v.error := null;
  return v;
end;
$$;

comment on function ragdb_data._check_document(jsonb, int4, text, jsonb) is
$$One element of put_documents() as a row; error and message are set when it cannot be stored.

p_profiles: as _chunk_profiles() returns them.$$;

create or replace function ragdb_data._chunk_hash(
  p_language text, p_title text, p_heading_path text[], p_content text)
  returns bytea
  language sql
  stable
  security invoker
  parallel safe
  return sha256(convert_to(
    concat_ws(E'\x1f', p_language, p_title, array_to_string(p_heading_path, E'\x1e'), p_content),
    'UTF8'));

comment on function ragdb_data._chunk_hash(text, text, text[], text) is
$$Identity of what a chunk's index rows are made from; equal hashes need no new ones.$$;

create or replace function ragdb_data._rewrite_body(
  p_body_no int8, p_title text, p_content text, p_language text, p_chunking jsonb, p_sha256 bytea)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
  set enable_sort = off  -- see put_documents()
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_scope_no int4;
  v_new int4;
begin
  update ragdb_data.body b
     set sha256 = p_sha256,
         title = p_title,
         content = p_content,
         language = p_language,
         chunking = p_chunking
   where b.org_no = v_org and b.body_no = p_body_no
  returning b.scope_no into v_scope_no;

  -- Equal hashes pair up in order; what stays unpaired on the old side goes, on the new side comes.
  with fresh as materialized (
    select h.*, row_number() over (partition by h.hash order by h.ordinal) as nth
      from (select c.*,
                   ragdb_data._chunk_hash(p_language, p_title, c.heading_path, c.content) as hash
              from ragdb.chunk_text(p_content, p_chunking) c) h),
  old as materialized (
    select c.chunk_no, c.hash, row_number() over (partition by c.hash order by c.ordinal) as nth
      from ragdb_data.chunk c
     where c.org_no = v_org and c.body_no between p_body_no and p_body_no
     order by c.body_no),
  paired as materialized (
    select f.*, o.chunk_no
      from fresh f
      left join old o on o.hash = f.hash and o.nth = f.nth),
  gone as (
    delete from ragdb_data.chunk c
     using old o
     where c.org_no = v_org
       and c.chunk_no = o.chunk_no
       and not exists (select from paired p where p.chunk_no = o.chunk_no)),
  moved as (
    update ragdb_data.chunk c
       set ordinal = p.ordinal, char_start = p.char_start, char_end = p.char_end, page = p.page
      from paired p
     where c.org_no = v_org
       and c.chunk_no = p.chunk_no
       and (c.ordinal, c.char_start, c.char_end, c.page)
           is distinct from (p.ordinal, p.char_start, p.char_end, p.page))
  insert into ragdb_data.chunk (
    org_no, body_no, scope_no, ordinal, char_start, char_end, page, hash, heading_path, content)
  select v_org, p_body_no, v_scope_no, p.ordinal, p.char_start, p.char_end, p.page,
         p.hash, p.heading_path, p.content
    from paired p
   where p.chunk_no is null
   order by p.ordinal;
  get diagnostics v_new = row_count;
  return v_new;
end;
$$;

comment on function ragdb_data._rewrite_body(int8, text, text, text, jsonb, bytea) is
$$Give a body another text or title; returns how many chunks had to be indexed.

Chunks whose text, headings, title and language are as before keep their index rows and at most
move.$$;
