-- depends: 0020_keep_postings_in_rows
-- A model that writes its vectors over the table's serves searches or not, like any other: what it
-- has taken the place of is kept in model_vector, under the negative number of the table's version,
-- and searches can turn back to it at once.

update ragdb_data.organization_model m
   set serves = true
  from ragdb_data.embedding_model e
 where e.model_no = m.model_no
   and e.table_model is not null
   and m.is_active
   and not exists (select from ragdb_data.organization_model o
                    where o.org_no = m.org_no and o.serves);

comment on table ragdb_data.model_vector is
  'ragdb: vectors of models with a space of their own. Each model has HNSW indexes of its own.'
  ' Under -N: vectors of version N of the table whose place in chunk_vector a model''s have taken.';
