-- depends: 0010_create_vocabulary
-- An HNSW index for each partition instead of one over all: a part of that could not be dropped and
-- built by itself, and building is several times as fast as inserting.

drop index ragdb_data.chunk_vector_hnsw;

do $$
declare
  v_partition regclass;
begin
  for v_partition in
    select i.inhrelid::regclass
      from pg_inherits i
     where i.inhparent = 'ragdb_data.chunk_vector'::regclass
     order by 1
  loop
    execute format(
      'create index %I on %s using hnsw (embedding public.halfvec_cosine_ops)'
      ' with (m = 16, ef_construction = 64) where is_indexed',
      (select c.relname from pg_class c where c.oid = v_partition) || '_hnsw', v_partition);
  end loop;
end;
$$;
