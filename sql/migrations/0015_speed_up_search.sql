-- depends: 0014_create_originals
-- What a search reads once it has candidates, ready to read.

-- The stems of a chunk with their frequencies, the title's counted three times: the frequency of
-- one is an inner product with a unit vector, an eighth of a search through the array of stems. Not
-- compressed, and in the row even where that is long: it is read for every word of a query.
alter table ragdb_data.chunk_word
  add column stems public.sparsevec(536870912),
  add column length int4 generated always as (
    cardinality(array_remove(terms, 0)) + 2 * (array_position(terms, 0) - 1)) stored;
alter table ragdb_data.chunk_word alter column stems set storage external;
alter table ragdb_data.chunk_word set (toast_tuple_target = 8160);

update ragdb_data.chunk_word w
   set stems = (
     select ('{' || coalesce(string_agg(t.term || ':' || t.tf, ','), '') || '}/536870912')
            ::public.sparsevec
       from (select u.term,
                    sum(case when u.position < array_position(w.terms, 0) then 3 else 1 end) as tf
               from unnest(w.terms) with ordinality u(term, position)
              where u.term <> 0
              group by u.term) t);
alter table ragdb_data.chunk_word alter column stems set not null;

-- One index tells whether a scope has vectors in HNSW and finds those that are not.
drop index ragdb_data.chunk_vector_scope_idx;
drop index ragdb_data.chunk_vector_tail_idx;
create index chunk_vector_scope_idx on ragdb_data.chunk_vector (org_no, scope_no, is_indexed);
