-- Chunk profiles of a workspace, by media type, over the presets that ship.

create or replace function ragdb_data._chunk_profiles(p_org_no int4, p_workspace_no int4)
  returns jsonb
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    select jsonb_object_agg(u.name, u.profile order by u.precedence)
      from (select m as name, p.profile, 1 as precedence
              from ragdb_data.chunk_preset p
             cross join unnest(p.mimes || p.preset) m
            union all
            select w.mime, w.profile, 2
              from ragdb_data.chunk_profile w
             where w.org_no = p_org_no and w.workspace_no = p_workspace_no) u);
end;
$$;

comment on function ragdb_data._chunk_profiles(int4, int4) is
$$Every chunk profile a document of a workspace may get: by media type (text/csv, text/*, *) and by
the name of a preset, which holds no slash.$$;

create or replace function ragdb.put_chunk_profile(
  p_mime text, p_profile jsonb, p_workspace text default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_workspace_no int4 := (ragdb_data._workspace(p_workspace)).workspace_no;
  v_profile jsonb := p_profile;
begin
  if p_mime is null or p_mime !~ '^(\*|[a-z0-9.+-]+/(\*|[a-z0-9.+-]+))$' then
    raise exception '% is not a media type.', coalesce(quote_literal(p_mime), 'Null')
      using errcode = 'PT422',
            constraint = 'invalid_media_type',
            hint = 'For example text/markdown, text/* or *';
  end if;
  if jsonb_typeof(p_profile) = 'string' then
    select p.profile into v_profile
      from ragdb_data.chunk_preset p
     where p.preset = p_profile #>> '{}';
    if v_profile is null then
      raise exception 'There is no chunk preset %.', p_profile
        using errcode = 'PT422',
              constraint = 'unknown_chunk_preset',
              hint = 'select preset, description from ragdb.chunk_presets;';
    end if;
  end if;
  perform from ragdb.chunk_text('a', coalesce(v_profile, 'null'));
  insert into ragdb_data.chunk_profile as c (org_no, workspace_no, mime, profile)
  values (v_org, v_workspace_no, p_mime, v_profile)
  on conflict (org_no, workspace_no, mime) do update set profile = excluded.profile;
end;
$$;

comment on function ragdb.put_chunk_profile(text, jsonb, text) is
$$Set how documents of a media type are cut into chunks in a workspace, from now on.

p_mime: text/markdown, text/* for its family, * for all. p_profile: the name of a preset as a JSON
string, or a profile as ragdb.chunk_text() takes it. Documents already stored keep their chunks
until they are put again.
Example: select ragdb.put_chunk_profile('text/*', '"tokens-512"');
Needs rag:config. Raises PT422 invalid_media_type, unknown_chunk_preset, invalid_chunk_profile or
invalid_chunk_size, PT404 workspace_not_found.$$;

create or replace function ragdb.delete_chunk_profile(p_mime text, p_workspace text default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_workspace_no int4 := (ragdb_data._workspace(p_workspace)).workspace_no;
begin
  delete from ragdb_data.chunk_profile c
   where c.org_no = v_org and c.workspace_no = v_workspace_no and c.mime = p_mime;
  if not found then
    raise exception 'The workspace has no chunk profile for %.', p_mime
      using errcode = 'PT404',
            constraint = 'chunk_profile_not_found',
            hint = 'select * from ragdb.chunk_profiles;';
  end if;
end;
$$;

comment on function ragdb.delete_chunk_profile(text, text) is
$$Return a media type to what the presets say. Needs rag:config.

Raises PT404 chunk_profile_not_found or workspace_not_found.$$;
