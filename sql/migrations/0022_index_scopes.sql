-- depends: 0021_serve_in_place
-- Filters turn bodies into chunks and chunks into slots by the thousand. With the scope in these
-- indexes the policies are answered by them too, and the tables, one of them that of the texts, are
-- not visited.

drop index ragdb_data.chunk_body_idx;
create index chunk_body_idx
  on ragdb_data.chunk (org_no, body_no, ordinal) include (chunk_no, scope_no);
drop index ragdb_data.slot_chunk_idx;
create index slot_chunk_idx on ragdb_data.slot (org_no, chunk_no) include (slot_no, scope_no);
