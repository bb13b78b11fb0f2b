-- What an answer is made of: the best chunks for a question, and citations of them.

create or replace function ragdb_data._passages(
  p_question text, p_limit int4, p_filters jsonb, p_workspace text, p_language text,
  p_passages int8[] default null)
  returns table (
    rank int4, chunk_id int8, document_id uuid, document_no int8, title text, heading text,
    url text, page int4, language text, score float8, confidence float8,
    char_start int4, content text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.current_org_no();
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    raise exception 'The limit must be 1 to 1000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'The default is 5.';
  end if;
  return query
  select s.rank, c.chunk_no, d.id, d.document_no, d.title,
         array_to_string(array_remove(c.heading_path, d.title), ' > '),
         d.url, c.page, b.language, s.score, s.confidence, c.char_start, c.content
    from (select f.rank, f.chunk_no, f.score, f.confidence, f.documents
            from ragdb_data._search(
                   p_question, p_limit, 0, p_filters, 'hybrid', p_workspace, p_language) f
           where p_passages is null
          union all
          -- Somebody else's order; the scores stay what they are, from the greatest down.
          (select (row_number() over o)::int4, f.chunk_no,
                  (array_agg(f.score) over (order by f.score desc
                     rows between unbounded preceding and unbounded following)
                  )[row_number() over o],
                  f.confidence, f.documents
             from ragdb_data._search(
                    p_question, 50, 0, p_filters, 'hybrid', p_workspace, p_language) f
            where p_passages is not null
              and f.chunk_no = any (p_passages)
           window o as (order by array_position(p_passages, f.chunk_no))
            order by 1
            limit p_limit)) s
   cross join lateral (
     select k.*
       from ragdb_data.chunk k
      where k.org_no = v_org and k.chunk_no = s.chunk_no
     offset 0) c
   cross join lateral (
     select t.language
       from ragdb_data.body t
      where t.org_no = v_org and t.body_no = c.body_no
     offset 0) b
   cross join lateral (
     select d.id, d.document_no, d.title, d.url
       from ragdb_data.document d
      where d.org_no = v_org
        and d.body_no = c.body_no
        and (s.documents is null or d.document_no = any (s.documents))
      order by d.document_no
      limit 1) d
   order by s.rank;
end;
$$;

comment on function ragdb_data._passages(text, int4, jsonb, text, text, int8[]) is
$$The best chunks for a question, with what a citation needs.

p_passages: take these of the best 50, in this order.$$;

create or replace function ragdb_data._citation(
  p_number int4, p_document_id uuid, p_title text, p_heading text, p_url text, p_page int4,
  p_chunk_id int8, p_chunk_start int4, p_content text, p_quote_start int4, p_quote text)
  returns jsonb
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
           'number', p_number, 'document_id', p_document_id,
           'title', p_title, 'heading', p_heading, 'url', p_url, 'page', p_page,
           'chunk_id', p_chunk_id, 'quote', p_quote,
           'start', p_chunk_start + p_quote_start,
           'end', p_chunk_start + p_quote_start + length(p_quote))
   where substr(p_content, p_quote_start + 1, length(p_quote)) = p_quote
$$;

comment on function ragdb_data._citation(
  int4, uuid, text, text, text, int4, int8, int4, text, int4, text) is
$$A citation, or null when the quote is not in the chunk at that offset. start and end: characters
of the document's text, from 0.$$;
