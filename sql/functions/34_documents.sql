-- Documents out: deleted, shown, listed. What is deleted is gone from every leg, and from every
-- answer that quotes it, at commit.

create or replace function ragdb_data._drop_orphan_bodies(p_body_nos int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_orphans int8[];
begin
  -- The lock keeps a concurrent put from finding a body that is about to go; the second look sees
  -- what it stored meanwhile.
  perform from ragdb_data.body b
   where b.org_no = v_org and b.body_no = any (p_body_nos)
   order by b.body_no
     for update;
  select array_agg(b.body_no) into v_orphans
    from ragdb_data.body b
   where b.org_no = v_org
     and b.body_no = any (p_body_nos)
     and not exists (select from ragdb_data.document d
                      where d.org_no = v_org and d.body_no = b.body_no);
  delete from ragdb_data.chunk c where c.org_no = v_org and c.body_no = any (v_orphans);
  delete from ragdb_data.body b where b.org_no = v_org and b.body_no = any (v_orphans);
end;
$$;

comment on function ragdb_data._drop_orphan_bodies(int8[]) is
$$Delete those of the bodies that no document refers to any more, with their chunks.$$;

create or replace function ragdb.delete_documents(p_document_ids uuid[])
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_body_nos int8[];
  v_deleted int4;
begin
  perform from ragdb_data.document d
   where d.org_no = v_org and d.id = any (p_document_ids)
   order by d.document_no
     for update;
  with deleted as (
    delete from ragdb_data.document d
     where d.org_no = v_org and d.id = any (p_document_ids)
    returning d.body_no)
  select array_agg(distinct d.body_no), count(*) into v_body_nos, v_deleted from deleted d;
  perform ragdb_data._drop_orphan_bodies(v_body_nos);
  return v_deleted;
end;
$$;

comment on function ragdb.delete_documents(uuid[]) is
$$Delete documents; returns how many there were.

At commit their text, vectors, words and every stored answer that quotes them are gone. A text
another document shares stays with it.
Needs data:write.$$;

create or replace function ragdb.delete_document(p_document_id uuid)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if ragdb.delete_documents(array[p_document_id]) = 0 then
    raise exception 'There is no document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'document_not_found',
            hint = 'select document_id, title from ragdb.documents;';
  end if;
end;
$$;

comment on function ragdb.delete_document(uuid) is
$$Delete a document; delete_documents() for one. Raises PT404 document_not_found.$$;

create or replace function ragdb.get_document(p_document_id uuid)
  returns table (
    document_id uuid, external_id text, title text, url text, mime text,
    source text, workspace text, visibility text, labels text[], metadata jsonb,
    language text, date timestamptz, chunks int4,
    created_at timestamptz, updated_at timestamptz,
    content text)
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
  select d.document_id, d.external_id, d.title, d.url, d.mime, d.source, d.workspace,
         d.visibility, d.labels, d.metadata, d.language, d.date, d.chunks,
         d.created_at, d.updated_at, b.content
    from ragdb.documents d
    join ragdb_data.document t on t.org_no = v_org and t.id = d.document_id
    join ragdb_data.body b on b.org_no = v_org and b.body_no = t.body_no
   where d.document_id = p_document_id;
  if not found then
    raise exception 'There is no document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'document_not_found',
            hint = 'select document_id, title from ragdb.documents;';
  end if;
end;
$$;

comment on function ragdb.get_document(uuid) is
$$One document with its text. Needs rag:read. Raises PT404 document_not_found.$$;

create or replace function ragdb.list_documents(
  p_limit int4 default 50, p_after text default null,
  p_workspace text default null, p_source text default null)
  returns table (
    document_id uuid, external_id text, title text, url text, mime text,
    source text, workspace text, visibility text, labels text[], metadata jsonb,
    language text, date timestamptz, chunks int4,
    created_at timestamptz, updated_at timestamptz, cursor text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_after int8;
  v_workspace text;
begin
  if p_workspace is not null then
    v_workspace := (ragdb_data._workspace(p_workspace)).slug;
  end if;
  if p_limit is null or p_limit not between 1 and 1000 then
    raise exception 'The limit must be 1 to 1000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'Page with p_after.';
  end if;
  if p_after !~ '^d[0-9a-f]{1,15}$' then
    raise exception 'This is no cursor of a list of documents.'
      using errcode = 'PT422',
            constraint = 'invalid_cursor',
            hint = 'Give the cursor of the last row of the page before, or start without one.';
  end if;
  -- A place in the order, not a document: it is there whatever becomes of the document.
  v_after := ('x' || lpad(substr(p_after, 2), 16, '0'))::bit(64)::int8;
  return query
  select d.*, 'd' || to_hex(t.document_no)
    from ragdb_data.document t
    join ragdb.documents d on d.document_id = t.id
   where t.org_no = v_org
     and (v_after is null or t.document_no < v_after)
     and (v_workspace is null or d.workspace = v_workspace)
     and (p_source is null or d.source = p_source)
   order by t.document_no desc
   limit p_limit;
end;
$$;

comment on function ragdb.list_documents(int4, text, text, text) is
$$The caller's documents, newest first.

p_limit: how many at a time, 1 to 1000. p_after: the cursor of the last row of the page before; it
holds when that document is deleted.
Needs rag:read. Raises PT422 invalid_limit or invalid_cursor, PT404 workspace_not_found.$$;
