-- The table's own vectors where a model of the same space has written over them: kept, searched
-- after a rollback, and put back once the model is left.
--
-- They are in model_vector under the negative number of the table's version, and never in an index:
-- keeping them costs a row, and turning back to them nothing.

create or replace function ragdb_data._keep_table_vectors(
  p_org_no int4, p_version int4, p_chunks int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  insert into ragdb_data.model_vector (
    org_no, model_no, scope_no, chunk_no, body_no, is_indexed, embedding)
  select p_org_no, -p_version, v.scope_no, v.chunk_no, v.body_no, false, v.embedding
    from ragdb_data.chunk_vector v
   where v.org_no = p_org_no
     and v.version = p_version
     and v.chunk_no = any (p_chunks)
     and v.model_no = 0
  on conflict (org_no, model_no, chunk_no) do update set embedding = excluded.embedding;
end;
$$;

comment on function ragdb_data._keep_table_vectors(int4, int4, int8[]) is
$$Keep the table's vectors of chunks whose place a model's are about to take.$$;

create or replace function ragdb_data._table_only(p_org_no int4)
  returns int4
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  if exists (select
               from ragdb_data.organization_model m
               join ragdb_data.embedding_model e on e.model_no = m.model_no
              where m.org_no = p_org_no and e.table_model is not null) then
    return -ragdb_data._embedding_version();
  end if;
  return null;
end;
$$;

comment on function ragdb_data._table_only(int4) is
$$Under which number to search the table's vectors alone: null where nothing is in their place.$$;

create or replace function ragdb_data._table_vectors(
  p_org_no int4, p_model_no int4, p_chunks int8[])
  returns table (chunk_no int8, embedding public.halfvec)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return query
  select v.chunk_no, v.embedding
    from ragdb_data.chunk_vector v
   where v.org_no = p_org_no
     and v.version = -p_model_no
     and v.chunk_no = any (p_chunks)
     and v.model_no = 0
  union all
  select v.chunk_no, v.embedding
    from ragdb_data.model_vector v
   where v.org_no = p_org_no and v.model_no = p_model_no and v.chunk_no = any (p_chunks);
end;
$$;

comment on function ragdb_data._table_vectors(int4, int4, int8[]) is
$$The table's own vectors of chunks, those included whose place a model's have taken.

p_model_no: of _table_only().$$;

create or replace function ragdb_data._nearest_of_table(
  p_org_no int4, p_scopes int4[], p_model_no int4, p_embedding public.halfvec,
  p_bodies int8[], p_chunks int8[], p_depth int4,
  out chunk_nos int8[], out cosines float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
begin
  if p_chunks is not null then
    select array_agg(v.chunk_no), array_agg(1 - v.distance)
      into chunk_nos, cosines
      from (select t.chunk_no, t.embedding operator(public.<=>) p_embedding as distance
              from ragdb_data._table_vectors(p_org_no, p_model_no, p_chunks) t
             order by distance, t.chunk_no
             limit p_depth) v;
    return;
  end if;
  select array_agg(v.chunk_no), array_agg(1 - v.distance)
    into chunk_nos, cosines
    from (select u.chunk_no, u.distance
            from ((select e.chunk_no,
                          (e.embedding operator(public.<=>) p_embedding) + 0 as distance
                     from ragdb_data.chunk_vector e
                    where e.org_no = p_org_no
                      and e.version = -p_model_no
                      and e.model_no = 0
                      and e.scope_no = any (p_scopes)
                      and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
                    order by distance, e.chunk_no
                    limit p_depth)
                  union all
                  (select e.chunk_no,
                          (e.embedding operator(public.<=>) p_embedding) + 0 as distance
                     from ragdb_data.model_vector e
                    where e.org_no = p_org_no
                      and e.model_no = p_model_no
                      and e.scope_no = any (p_scopes)
                      and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
                    order by distance, e.chunk_no
                    limit p_depth)) u
           order by u.distance, u.chunk_no
           limit p_depth) v;
end;
$$;

comment on function ragdb_data._nearest_of_table(
  int4, int4[], int4, public.halfvec, int8[], int8[], int4) is
$$The vector leg of the table's own vectors, where a model's have taken the place of some.

All are compared, for the index holds the model's. See _nearest_of_model().$$;

-- Its arguments have changed.
drop function if exists ragdb.restore_table_vectors(int4);

create or replace function ragdb.restore_table_vectors(p_name text, p_limit int4 default 2000)
  returns table (restored int8, remaining int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb_data._leased_org();
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  v_version int4 := ragdb_data._embedding_version();
  v_is_active boolean;
  v_chunks int8[];
  v_lost int8[];
  v_titles text[];
  v_contents text[];
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    raise exception 'The limit must be 1 to 100000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'The default is 2000.';
  end if;
  restored := 0;
  remaining := 0;
  select m.is_active into v_is_active
    from ragdb_data.organization_model m
   where m.org_no = v_org and m.model_no = v_model.model_no
     for update;
  -- Used again meanwhile, or never in anything's place.
  if v_is_active or v_model.table_model is null then
    return next;
    return;
  end if;

  v_chunks := array(select v.chunk_no
                      from ragdb_data.chunk_vector v
                     where v.org_no = v_org
                       and v.version = v_version
                       and v.model_no = v_model.model_no
                     limit p_limit);
  update ragdb_data.chunk_vector v
     set embedding = k.embedding, model_no = 0
    from ragdb_data.model_vector k
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = any (v_chunks)
     and k.org_no = v_org
     and k.model_no = -v_version
     and k.chunk_no = v.chunk_no;
  get diagnostics restored = row_count;
  delete from ragdb_data.model_vector k
   where k.org_no = v_org and k.model_no = -v_version and k.chunk_no = any (v_chunks);

  -- What the model embedded first: the table is asked now. Without a word that it knows, a text
  -- has no vector of its.
  select array_agg(c.chunk_no), array_agg(c.content),
         array_agg(ragdb_data._full_title(b.title, c.heading_path))
    into v_lost, v_contents, v_titles
    from ragdb_data.chunk_vector v
    join ragdb_data.chunk c on c.org_no = v_org and c.chunk_no = v.chunk_no
    join ragdb_data.body b on b.org_no = v_org and b.body_no = c.body_no
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = any (v_chunks)
     and v.model_no <> 0;
  update ragdb_data.chunk_vector v
     set embedding = e.embedding, model_no = 0
    from unnest(v_lost) with ordinality c(chunk_no, ordinal)
    join ragdb.embed_batch(v_contents, v_titles) e on e.ordinal = c.ordinal
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = c.chunk_no
     and e.embedding is not null;
  delete from ragdb_data.chunk_vector v
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = any (v_lost)
     and v.model_no <> 0;
  restored := restored + coalesce(cardinality(v_lost), 0);

  remaining := (select count(*)
                  from ragdb_data.chunk_vector v
                 where v.org_no = v_org
                   and v.version = v_version
                   and v.model_no = v_model.model_no);
  if remaining = 0 then
    delete from ragdb_data.organization_model m
     where m.org_no = v_org and m.model_no = v_model.model_no;
  end if;
  return next;
end;
$$;

comment on function ragdb.restore_table_vectors(text, int4) is
$$Put the table's vectors back in the place of those of a model that was left, at most p_limit.

Searches have used them since the model was left, and go on; afterwards they have an index again.
For workers, until nothing remains; then the organization no longer uses the model. Does nothing
where it is in use. Needs data:write. Raises PT404 embedding_model_not_found, PT409 lease_required,
PT422 invalid_limit.$$;
