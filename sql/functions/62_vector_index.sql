-- The HNSW index built anew, by whoever owns the tables. After a bulk load that is several times as
-- fast as inserting each vector, and after many deletes it brings recall back.
--
-- It takes two transactions: dropping an index locks out readers, who are to wait for a moment and
-- not for the build. In between and while it is built, search compares every vector: slower, and
-- exact. Other organizations of the same partition share the index and what happens to it.

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
  if to_regclass(format('ragdb_data.%I', v_index)) is not null then
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
it; returns how many came in. Does nothing where there is one.

For a login that owns the tables. Writers in the same partition wait for it, readers do not.$$;
