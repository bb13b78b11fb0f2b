-- What the rerank reads of a chunk's words: which of a query's neighbours are neighbours there, and
-- how much of the query one sentence holds.

create or replace function ragdb_data._pairs(
  p_terms int4[], p_stems int4[], p_idfs float8[], p_n float8,
  out pairs int8[], out idfs float8[])
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_most constant float8 := ln(1 + (p_n + 0.5::float8) / 0.5::float8);
  v_pair int8;
begin
  pairs := '{}';
  idfs := '{}';
  for i in 2 .. coalesce(cardinality(p_terms), 0) loop
    continue when p_terms[i - 1] = p_terms[i] or p_terms[i - 1] = 0 or p_terms[i] = 0;
    v_pair := p_terms[i - 1]::int8 << 32 | p_terms[i];
    continue when v_pair = any (pairs);
    pairs := pairs || v_pair;
    idfs := idfs || least(p_idfs[array_position(p_stems, p_terms[i - 1])]
                          + p_idfs[array_position(p_stems, p_terms[i])], c_most);
  end loop;
end;
$$;

comment on function ragdb_data._pairs(int4[], int4[], float8[], float8) is
$$Neighbouring words of a query, each pair once as one number, with the sum of their idf, at most
that of a word that no chunk has.

p_terms: the query's stems in order, 0 where a sentence or a synonym ends; p_stems: each once, with
p_idfs. p_n: chunks in scope.$$;

create or replace function ragdb_data._phrases_and_sentences(
  p_org_no int4, p_chunks int8[], p_stems int4[], p_idfs float8[],
  p_pairs int8[], p_pair_idfs float8[], p_greatest float8, p_idf_total float8,
  out chunk_nos int8[], out phrases float8[], out sentences float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_mergejoin = off
  set jit = off
as $$
#variable_conflict use_column
declare
  v_sparse public.sparsevec[];
begin
  if p_chunks is null then
    return;
  end if;
  v_sparse := array(select ('{' || u.term || ':1}/536870912')::public.sparsevec
                      from unnest(p_stems) with ordinality u(term, ordinal)
                     order by u.ordinal);
  -- Where the query's words are; a sentence is numbered by the ends of sentences before it. The
  -- concatenation and the offsets unpack a long array once, not for each word.
  with word as materialized (
    select k.chunk_no, q.term, q.idf, width_bucket(p.position, k.ends) as sentence,
           array_position(p_pairs, q.term::int8 << 32 | k.terms[p.position + 1]) as pair
      from (select k.chunk_no, k.terms, k.stems, array_positions(k.terms, 0) as ends
              from (select c.chunk_no, c.terms || '{}'::int4[] as terms, c.stems
                      from ragdb_data.chunk_word c
                     where c.org_no = p_org_no and c.chunk_no = any (p_chunks)
                    offset 0) k
            offset 0) k
      join unnest(p_stems, p_idfs, v_sparse) q(term, idf, stem)
        on k.stems operator(public.<#>) q.stem < 0
     cross join lateral unnest(array_positions(k.terms, q.term)) p(position)),
  sentence as (
    select s.chunk_no, max(s.idf) as idf
      from (select d.chunk_no, sum(d.idf) as idf
              from (select distinct w.chunk_no, w.sentence, w.idf, w.term from word w) d
             group by d.chunk_no, d.sentence) s
     group by s.chunk_no),
  phrase as (
    select d.chunk_no, sum(p_pair_idfs[d.pair]) as idf
      from (select distinct w.chunk_no, w.pair from word w where w.pair is not null) d
     group by d.chunk_no)
  select array_agg(s.chunk_no), array_agg(coalesce(p.idf / p_greatest, 0)),
         array_agg(least(coalesce(s.idf / p_idf_total, 0), 1))
    into chunk_nos, phrases, sentences
    from sentence s
    left join phrase p on p.chunk_no = s.chunk_no;
end;
$$;

comment on function ragdb_data._phrases_and_sentences(
  int4, int8[], int4[], float8[], int8[], float8[], float8, float8) is
$$The features phrase and sentence of these chunks, in any order; null without chunks.

p_stems with p_idfs: the query's words; p_pairs with p_pair_idfs: as of _pairs(). p_greatest: the
greatest lexical score; p_idf_total: of the query's words. See 40_fusion.sql.$$;
