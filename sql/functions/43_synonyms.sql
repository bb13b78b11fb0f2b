-- Synonyms that an organization or a workspace agreed on: their stems join the query's in the
-- keyword leg and count less.

create or replace function ragdb_data._synonyms(
  p_org_no int4, p_scopes int4[], p_language text, p_terms int4[],
  out terms int4[], out weights float8[], out applied jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_synonym record;
begin
  terms := p_terms;
  for v_synonym in
    select s.word, s.synonym, s.other_terms, max(s.weight) as weight
      from ragdb_data.synonym s
     where s.org_no = p_org_no
       and s.scope_no = any (p_scopes)
       and s.language = p_language
       and exists (
             select from unnest(array_positions(p_terms, s.terms[1])) p(position)
              where p_terms[p.position : p.position + cardinality(s.terms) - 1] = s.terms)
     group by s.word, s.synonym, s.other_terms
     order by s.word, s.synonym
     limit 100
  loop
    terms := terms || 0 || v_synonym.other_terms;
    weights := coalesce(weights, array_fill(1::float8, array[cardinality(p_terms)])) || 1::float8
               || array_fill(v_synonym.weight, array[cardinality(v_synonym.other_terms)]);
    applied := coalesce(applied, '[]') || jsonb_build_object(
      'word', v_synonym.word, 'synonym', v_synonym.synonym, 'weight', v_synonym.weight);
  end loop;
end;
$$;

comment on function ragdb_data._synonyms(int4, int4[], text, int4[]) is
$$A query's stems with their synonyms' appended, each after a 0, what each of them counts, and which
synonyms these are; weights and applied are null without any.$$;

create or replace function ragdb.put_synonyms(
  p_word text,
  p_synonyms text[],
  p_weight float8 default 0.7,
  p_workspace text default null,
  p_language text default null,
  p_both_ways boolean default true)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_language text := ragdb_data._query_language(p_language, p_workspace);
  v_scope_no int4 := 0;
  v_word text := lower(btrim(p_word));
  v_synonyms text[] := array(select distinct lower(btrim(s)) from unnest(p_synonyms) s
                              where lower(btrim(s)) <> lower(btrim(p_word)));
  v_put int4;
begin
  if p_weight is null or not (p_weight > 0 and p_weight < 1) then
    raise exception 'The weight of a synonym must be above 0 and below 1.'
      using errcode = 'PT422',
            constraint = 'invalid_weight',
            hint = 'The word itself counts 1; the default for a synonym is 0.7.';
  end if;
  if p_both_ways is null or cardinality(v_synonyms) = 0 or exists (
       select from unnest(v_synonyms || v_word) w(word)
        where w.word is null
           or length(w.word) > 200
           or ragdb_data._phrase_terms(v_language, w.word) is null) then
    raise exception 'A synonym needs two different words, of at most 200 characters.'
      using errcode = 'PT422',
            constraint = 'invalid_synonym',
            hint = 'put_synonyms(''k8s'', ''{kubernetes}''); nobody searches for words like "the".';
  end if;
  if p_workspace is not null then
    v_scope_no := ragdb_data._open_scope((ragdb_data._workspace(p_workspace)).id, 'workspace');
  end if;
  delete from ragdb_data.synonym s
   where s.org_no = v_org
     and s.scope_no = v_scope_no
     and s.language = v_language
     and (s.word = v_word and s.synonym = any (v_synonyms)
          or p_both_ways and s.word = any (v_synonyms) and s.synonym = v_word);
  insert into ragdb_data.synonym (
    org_no, scope_no, language, word, synonym, terms, other_terms, weight)
  select v_org, v_scope_no, v_language, p.word, p.synonym,
         ragdb_data._phrase_terms(v_language, p.word),
         ragdb_data._phrase_terms(v_language, p.synonym), p_weight
    from (select v_word as word, s as synonym from unnest(v_synonyms) s
          union all
          select s, v_word from unnest(v_synonyms) s where p_both_ways) p;
  get diagnostics v_put = row_count;
  return v_put;
end;
$$;

comment on function ragdb.put_synonyms(text, text[], float8, text, text, boolean) is
$$Let a search for a word find its synonyms as well; returns how many pairs were stored.

Words or phrases. p_weight: what a synonym counts in the keyword leg, where the word counts 1.
p_workspace: only there; null for the whole organization. p_language: of the words, default the
workspace's; they apply to queries read in it. p_both_ways: the synonyms find the word, too.
A pair that is there gets the new weight.
Example: select ragdb.put_synonyms('k8s', '{kubernetes}');
Needs rag:config. Raises PT422 invalid_synonym, invalid_weight or unknown_language, PT404
workspace_not_found.$$;

create or replace function ragdb.delete_synonyms(
  p_word text,
  p_synonyms text[] default null,
  p_workspace text default null,
  p_language text default null)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_language text := ragdb_data._query_language(p_language, p_workspace);
  v_scope_no int4 := 0;
  v_synonyms text[] := array(select lower(btrim(s)) from unnest(p_synonyms) s);
  v_deleted int4;
begin
  if p_workspace is not null then
    v_scope_no := ragdb_data._open_scope((ragdb_data._workspace(p_workspace)).id, 'workspace');
  end if;
  delete from ragdb_data.synonym s
   where s.org_no = v_org
     and s.scope_no = v_scope_no
     and s.language = v_language
     and (s.word = lower(btrim(p_word))
          and (p_synonyms is null or s.synonym = any (v_synonyms))
          or s.synonym = lower(btrim(p_word))
          and (p_synonyms is null or s.word = any (v_synonyms)));
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

comment on function ragdb.delete_synonyms(text, text[], text, text) is
$$Forget a word's synonyms, or those named, in both directions; returns how many pairs there were.

Needs rag:config. Raises PT422 unknown_language, PT404 workspace_not_found.$$;
