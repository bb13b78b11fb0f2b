-- What files need beyond their text: the file itself, kept on request, and the end of a file that
-- has become shorter. A file too long for one document is stored in parts, whose external ids are
-- the file's followed by #part-1, #part-2 and so on.

create or replace function ragdb.keep_original(
  p_document_id uuid, p_name text, p_mime text, p_content bytea)
  returns boolean
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_sha256 constant bytea := sha256(p_content);
  v_document record;
begin
  if length(p_content) > 64000000 then
    raise exception 'The file has % bytes; at most 64,000,000 are kept.', length(p_content)
      using errcode = 'PT413',
            constraint = 'original_too_large',
            hint = 'The document is stored; keep its file elsewhere and give it a url.';
  end if;
  select d.document_no, d.scope_no into v_document
    from ragdb_data.document d
   where d.org_no = v_org and d.id = p_document_id
     for update;
  if not found then
    raise exception 'There is no document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'document_not_found',
            hint = 'select document_id, title from ragdb.documents;';
  end if;
  if exists (select from ragdb_data.original o
              where o.org_no = v_org
                and o.document_no = v_document.document_no
                and (o.sha256, o.name, o.mime) = (v_sha256, p_name, p_mime)) then
    return false;
  end if;
  delete from ragdb_data.original o
   where o.org_no = v_org and o.document_no = v_document.document_no;
  insert into ragdb_data.original (org_no, scope_no, document_no, name, mime, sha256, content)
  values (v_org, v_document.scope_no, v_document.document_no, p_name, p_mime, v_sha256, p_content);
  return true;
end;
$$;

comment on function ragdb.keep_original(uuid, text, text, bytea) is
$$Keep the file a document was read from; false if it was there already.

It goes with the document, and when put_documents() gives the document another text.
Needs data:write. Raises PT404 document_not_found, PT413 original_too_large.$$;

create or replace function ragdb.get_original(p_document_id uuid)
  returns table (name text, mime text, size int4, sha256 text, content bytea,
                 created_at timestamptz)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
begin
  return query
  select o.name, o.mime, length(o.content), encode(o.sha256, 'hex'), o.content, o.created_at
    from ragdb_data.document d
    join ragdb_data.original o on o.org_no = v_org and o.document_no = d.document_no
   where d.org_no = v_org and d.id = p_document_id;
  if not found then
    raise exception 'There is no file kept for a document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'original_not_found',
            hint = 'Files are kept on request: ragdb add --keep-original';
  end if;
end;
$$;

comment on function ragdb.get_original(uuid) is
$$The file a document was read from. Needs rag:read. Raises PT404 original_not_found.$$;

create or replace function ragdb.trim_parts(
  p_external_ids text[], p_parts int4[],
  p_source text default 'default', p_workspace text default null,
  p_visibility text default 'workspace')
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_workspace ragdb_data.workspace := ragdb_data._workspace(p_workspace);
  v_scope_no int4 := ragdb_data._open_scope(v_workspace.id, p_visibility);
  v_source_no int4 := ragdb_data._source_no(v_workspace.workspace_no, v_scope_no, p_source);
  v_ids uuid[] := '{}';
  v_file record;
  v_number int4;
  v_id uuid;
begin
  for v_file in
    select f.external_id, f.parts
      from unnest(p_external_ids, p_parts) f(external_id, parts)
  loop
    -- In parts, the file is no document of its own any more.
    v_number := case when v_file.parts > 0 then 0 else 1 end;
    loop
      select d.id into v_id
        from ragdb_data.document d
       where d.org_no = v_org
         and d.source_no = v_source_no
         and d.scope_no = v_scope_no
         and md5(d.external_id) = md5(
               v_file.external_id || case when v_number > 0 then '#part-' || v_number else '' end);
      exit when not found and v_number > 0;
      if found then
        v_ids := v_ids || v_id;
      end if;
      v_number := greatest(v_number, v_file.parts) + 1;
    end loop;
  end loop;
  return ragdb.delete_documents(v_ids);
end;
$$;

comment on function ragdb.trim_parts(text[], int4[], text, text, text) is
$$Delete what an earlier version of a file left: parts beyond p_parts, and the whole where there are
parts now. Returns how many documents that were.

p_external_ids: of the files; p_parts: how many parts each has, 0 for a file in one document. The
other arguments are those of put_documents().
Needs data:write. Raises PT404 workspace_not_found.$$;
