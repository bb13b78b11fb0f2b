-- The HNSW index built anew, by whoever owns the tables. After a bulk load that is several times as
-- fast as inserting each vector, and after many deletes it brings recall back.
--
-- It takes two transactions: dropping an index locks out readers, who are to wait for a moment and
-- not for the build. In between and while it is built, search compares every vector: slower, and
-- exact. Large batches that come meanwhile are marked as indexed at once, and written but
-- once. Other organizations of the same partition share the index and what happens to it.

create or replace function ragdb_data._vector_partition(p_org_no int4)
  returns regclass
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select i.inhrelid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'ragdb_data.chunk_vector'::regclass
     and satisfies_hash_partition(
           i.inhparent, 16, substring(c.relname from '\d+$')::int4, p_org_no)
$$;

comment on function ragdb_data._vector_partition(int4) is
$$The partition that holds an organization's vectors.$$;

create or replace function ragdb_data._vector_index(p_org_no int4)
  returns regclass
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select to_regclass(format('ragdb_data.%I', c.relname || '_hnsw'))
            from pg_class c
           where c.oid = ragdb_data._vector_partition(p_org_no));
end;
$$;

comment on function ragdb_data._vector_index(int4) is
$$The HNSW index of an organization's partition; null while there is none.$$;

create or replace function ragdb.check_vector_index(p_sample int4 default 20)
  returns table (
    indexed int8, waiting int8, held int8, is_owned boolean, recall float8, advice text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
  set enable_sort = off
  set jit = off
  set hnsw.iterative_scan = relaxed_order
  set hnsw.ef_search = 200
as $$
#variable_conflict use_column
declare
  c_small constant int4 := 2000;
  v_org int4 := ragdb.require('data:write');
  v_scopes int4[] := ragdb.current_scopes();
  v_version int4 := ragdb_data._embedding_version();
  v_index regclass := ragdb_data._vector_index(v_org);
begin
  if p_sample is null or p_sample not between 1 and 1000 then
    raise exception 'A sample has 1 to 1,000 vectors.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'The default is 20.';
  end if;
  select count(*) filter (where v.is_indexed), count(*) filter (where not v.is_indexed)
    into indexed, waiting
    from ragdb_data.chunk_vector v
   where v.org_no = v_org and v.scope_no = any (v_scopes) and v.version = v_version;
  is_owned := (select pg_has_role(c.relowner, 'usage')
                 from pg_class c
                where c.oid = ragdb_data._vector_partition(v_org));
  if v_index is null then
    held := case when is_owned then 0 end;
    advice := case when is_owned and indexed + waiting > c_small then 'build' else 'none' end;
    return next;
    return;
  end if;
  -- It tells of others: for operators, who see what the whole server holds.
  held := case when is_owned then pg_relation_size(v_index) / 830 end;
  if indexed > c_small then
    select avg(s.share) into recall
      from (select v.embedding
              from (select min(t.chunk_no) as first, max(t.chunk_no) as last
                      from ragdb_data.chunk_vector t
                     where t.org_no = v_org and t.version = v_version) b
             cross join generate_series(0, p_sample - 1) n
             cross join lateral (
               select t.embedding
                 from ragdb_data.chunk_vector t
                where t.org_no = v_org
                  and t.version = v_version
                  and t.chunk_no >= b.first + (b.last - b.first) * n / p_sample
                  and t.scope_no = any (v_scopes)
                order by t.chunk_no
                limit 1) v) q
     cross join lateral (
       -- Of several at the same distance, as copies are, one is as good as another.
       select (select count(*)
                 from (select i.embedding operator(public.<=>) q.embedding as distance
                         from ragdb_data.chunk_vector i
                        where i.org_no = v_org
                          and i.version = v_version
                          and i.is_indexed
                          and i.scope_no = any (v_scopes)
                        order by i.embedding operator(public.<=>) q.embedding
                        limit 10) f
                where f.distance <= e.farthest + 0.000001::float8)::float8 / e.vectors as share
         from (select max(x.distance) as farthest, count(*) as vectors
                 from (select (t.embedding operator(public.<=>) q.embedding) + 0 as distance
                         from ragdb_data.chunk_vector t
                        where t.org_no = v_org
                          and t.version = v_version
                          and t.is_indexed
                          and t.scope_no = any (v_scopes)
                        order by 1
                        limit 10) x) e) s;
  end if;
  advice := case
    when is_owned and indexed + waiting > c_small and (2 * waiting > held or recall < 0.95::float8)
      then 'build'
    when waiting > 0 and indexed + waiting > c_small then 'insert'
    else 'none'
  end;
  return next;
end;
$$;

comment on function ragdb.check_vector_index(int4) is
$$What state the HNSW index of the caller's vectors is in, and what would be best for it.

indexed, waiting: vectors that are in it, and that are compared one by one. held: about how many it
has, those of other organizations in the same partition included; null for logins that may not build
it (is_owned false). recall: of ten nearest neighbours, by the index and by all vectors, over a
sample; null for few vectors. advice, for this login: build
(drop_vector_index() and build_vector_index(), where there is no index, recall is below .95, or so
many are waiting that building takes less time than inserting), insert (maintain()) or none.
Needs data:write. Raises PT422 invalid_limit.$$;

create or replace function ragdb.drop_vector_index()
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
begin
  execute format('drop index if exists ragdb_data.%I',
                 (select c.relname || '_hnsw'
                    from pg_class c
                   where c.oid = ragdb_data._vector_partition(v_org)));
end;
$$;

comment on function ragdb.drop_vector_index() is
$$Take the HNSW index of the caller's partition away, to be built by build_vector_index().

For a login that owns the tables. Until then search there is exact and slower.$$;

create or replace function ragdb.build_vector_index()
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_partition regclass := ragdb_data._vector_partition(v_org);
  v_index text := (select c.relname || '_hnsw' from pg_class c where c.oid = v_partition);
  v_indexed int8;
begin
  if ragdb_data._vector_index(v_org) is not null then
    return 0;
  end if;
  execute format('update %s set is_indexed = true where org_no = $1 and not is_indexed',
                 v_partition)
    using v_org;
  get diagnostics v_indexed = row_count;
  execute format(
    'create index %I on %s using hnsw (embedding public.halfvec_cosine_ops)'
    ' with (m = 16, ef_construction = 64) where is_indexed',
    v_index, v_partition);
  return v_indexed;
end;
$$;

comment on function ragdb.build_vector_index() is
$$Build the HNSW index that drop_vector_index() took away, with all vectors of the organization in
it; returns how many had been waiting. Does nothing where there is one.

For a login that owns the tables. Writers in the same partition wait for it, readers do not.$$;
