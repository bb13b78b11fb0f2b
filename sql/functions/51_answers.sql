-- Answers, with citations whose quotes are verified substrings of the stored text at the offsets
-- given.
--
-- ask() builds an extractive answer from the best sentences, reading only.

create or replace function ragdb.ask(
  p_question text,
  p_limit int4 default 5,
  p_filters jsonb default null,
  p_workspace text default null,
  p_language text default null,
  p_passages int8[] default null)
  returns table (answer text, confidence float8, found boolean, citations jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  c_nothing constant text := 'Nothing relevant was found.';
  v_passages jsonb;
  v_confidence float8;
  v_language text;
  v_answer text;
  v_citations jsonb;
begin
  select jsonb_agg(to_jsonb(p) order by p.rank), max(p.confidence), min(p.language)
    into v_passages, v_confidence, v_language
    from ragdb_data._passages(
           p_question, p_limit, p_filters, p_workspace, p_language, p_passages) p;

  if v_confidence >= 0.3::float8 then
    with passage as materialized (
      select p.*
        from jsonb_to_recordset(v_passages) p (
          rank int4, chunk_id int8, document_id uuid, title text, heading text, url text,
          page int4, score float8, char_start int4, content text)),
    best as (
      select b.*, max(b.score) over () as top,
             row_number() over (partition by b.sentence order by b.score desc) as copy
        from (select array_agg(p.chunk_id order by p.rank) as ids,
                     array_agg(p.content order by p.rank) as contents,
                     array_agg(p.score order by p.rank) as scores
                from passage p) a
       cross join lateral ragdb_data._best_sentences(
               ragdb_data._query_text(p_question),
               coalesce(ragdb_data._find_language(p_language), v_language),
               a.ids, a.contents, a.scores) b),
    chosen as (
      select b.*,
             row_number() over (order by b.score desc, b.chunk_id, b.char_start)::int4 as number
        from best b
       where b.copy = 1
         and b.score >= 0.8::float8 * b.top
       order by b.score desc, b.chunk_id, b.char_start
       limit 3)
    select string_agg(
             regexp_replace(c.sentence, '\s+', ' ', 'g') || ' [' || c.number || ']', ' '
             order by c.number),
           jsonb_agg(
             ragdb_data._citation(
               c.number, p.document_id, p.title, p.heading, p.url, p.page,
               p.chunk_id, p.char_start, p.content, c.char_start, c.sentence)
             order by c.number)
      into v_answer, v_citations
      from chosen c
      join passage p on p.chunk_id = c.chunk_id;
  end if;
  return query
  select coalesce(v_answer, c_nothing), coalesce(v_confidence, 0), v_answer is not null,
         coalesce(v_citations, '[]');
end;
$$;

comment on function ragdb.ask(text, int4, jsonb, text, text, int8[]) is
$$Answer a question in the words of the caller's documents, with citations.

answer: the best sentences, each with the number of its citation. citations: [{number, document_id,
title, heading, url, page, chunk_id, quote, start, end}]; quote is the document's text from
character start to end (from 0, end excluded).
confidence: 0 to 1, how surely the documents are about the question: 1/(1+exp(-z)), where z grows
with the greatest BM25 score over the sum of the question's idf (as if there were 1,000 more chunks)
and with the greatest cosine, by constants that belong to the version of the embedding table. It
does not say that the answer is right. Below .3 found is false and there is no citation; below .5
read with care.
p_limit: passages to answer from. p_passages: chunks to answer from, of the best 50, in the order of
a reranker. Other arguments, needs and errors as search().$$;
