-- The index made anew from the text, where the way texts are read has changed.

create or replace function ragdb_data._reindex(p_org_no int4, p_body_nos int8[])
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_chunks int4;
begin
  perform from ragdb_data.body b
   where b.org_no = p_org_no and b.body_no = any (p_body_nos)
   order by b.body_no
     for update;
  -- Most texts will be the same again, and need not be embedded anew.
  update ragdb_data.embedding_cache k
     set chunk_no = 0
    from ragdb_data.chunk c
   where c.org_no = p_org_no
     and c.body_no = any (p_body_nos)
     and k.org_no = p_org_no
     and k.chunk_no = c.chunk_no;
  delete from ragdb_data.chunk c where c.org_no = p_org_no and c.body_no = any (p_body_nos);
  insert into ragdb_data.chunk (
    org_no, body_no, scope_no, ordinal, char_start, char_end, page, hash, heading_path, content)
  select p_org_no, b.body_no, b.scope_no, c.ordinal, c.char_start, c.char_end, c.page,
         ragdb_data._chunk_hash(b.language, b.title, c.heading_path, c.content),
         c.heading_path, c.content
    from ragdb_data.body b
   cross join lateral ragdb.chunk_text(b.content, b.chunking) c
   where b.org_no = p_org_no
     and b.body_no = any (p_body_nos);
  get diagnostics v_chunks = row_count;
  return v_chunks;
end;
$$;

comment on function ragdb_data._reindex(int4, int8[]) is
$$Divide texts anew and write every index row of theirs; returns how many chunks they have.$$;

create or replace function ragdb.reindex_documents(p_document_ids uuid[])
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('data:write');
begin
  return ragdb_data._reindex(v_org, array(
    select distinct d.body_no
      from ragdb_data.document d
     where d.org_no = v_org and d.id = any (p_document_ids)));
end;
$$;

comment on function ragdb.reindex_documents(uuid[]) is
$$Divide and index documents anew from their stored text; returns how many chunks they have.

For texts indexed before a change in how words are told apart: such as those of 0.1.0 in Chinese,
Japanese, Korean or Thai, or all after pg_upgrade to another major version. Chunks get new numbers;
documents and the answers that quote them stay. Some thousand at a time; rebuild() is for all.
Example: select ragdb.reindex_documents(array_agg(document_id)) from ragdb.documents where title =
'Manual';
Needs data:write.$$;
