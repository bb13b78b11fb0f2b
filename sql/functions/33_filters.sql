-- Filters: which documents a search may return. A filter is JSON, resolved by set operations over
-- document_fact, so that nothing of it ever becomes SQL text.
--
--   {"lang": "en"}                                  equality
--   {"label": ["hr", "legal"]}                      one of
--   {"date": {"gte": "2025-01-01", "lt": "2026-01-01"}, "metadata.year": {"ne": 2024}}
--                                                   several conditions: all of them
--   {"or": [{...}, {...}]}, {"and": [...]}, {"not": {...}}

create or replace function ragdb_data._documents_where(
  p_org_no int4, p_scopes int4[], p_key text, p_operator text, p_operand jsonb,
  p_among int8[] default null)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set timezone = 'UTC'
as $$
declare
  v_type text := jsonb_typeof(p_operand);
  v_text text := p_operand #>> '{}';
  v_number float8;
  v_value text;
  v_values text[];
  v_found int8[];
begin
  if p_operator = 'ne' then
    return ragdb_data._documents_except(p_org_no, p_scopes,
      ragdb_data._documents_where(p_org_no, p_scopes, p_key, 'eq', p_operand, p_among), p_among);
  elsif p_operator = 'exists' or v_type = 'null' then
    if v_type not in ('boolean', 'null') then
      perform ragdb_data._refuse_filter(format('exists takes true or false, not %s.', p_operand));
    end if;
    v_found := ragdb_data._documents_with(
      p_org_no, p_scopes, p_key, 'exists', null, null, null, p_among);
    return case when p_operator = 'exists' and v_text = 'true' then v_found
             else ragdb_data._documents_except(p_org_no, p_scopes, v_found, p_among) end;
  elsif p_operator = 'in' then
    if v_type <> 'array' then
      perform ragdb_data._refuse_filter(format('in takes an array, not %s.', p_operand));
    end if;
    -- Texts are looked up together, as the operator any, which callers have not; the rest singly.
    return array(
      select unnest(ragdb_data._documents_where(
               p_org_no, p_scopes, p_key, 'any',
               coalesce(jsonb_agg(e.value) filter (where e.is_text), '[]'), p_among))
        from (select v as value,
                     jsonb_typeof(v) = 'string' and p_key not in ('date', 'lang') as is_text
                from jsonb_array_elements(p_operand) v) e
      union
      select unnest(ragdb_data._documents_where(p_org_no, p_scopes, p_key, 'eq', v, p_among))
        from jsonb_array_elements(p_operand) v
       where jsonb_typeof(v) <> 'string' or p_key in ('date', 'lang'));
  elsif v_type in ('array', 'object') and p_operator <> 'any' then
    perform ragdb_data._refuse_filter(
              format('%s takes a text, a number or true/false, not %s.', p_operator, p_operand));
  end if;

  if p_operator = 'any' then
    v_values := array(select ragdb_data._fact_value(t) from jsonb_array_elements_text(p_operand) t);
  elsif p_key = 'date' then
    if not pg_input_is_valid(v_text, 'timestamptz') then
      perform ragdb_data._refuse_filter(
                format('%L is not a date; write 2025-01-31 or 2025-01-31T12:00:00Z.', v_text));
    end if;
    v_number := extract(epoch from v_text::timestamptz);
  elsif v_type = 'number' then
    v_number := v_text::float8;
  end if;
  v_value := case p_key when 'lang' then ragdb_data._find_language(v_text)
               else ragdb_data._fact_value(v_text) end;

  return ragdb_data._documents_with(
    p_org_no, p_scopes, p_key, p_operator, coalesce(v_values, array[v_value]),
    case when p_operator <> 'contains' then v_number end,
    case when p_operator = 'contains' then lower(v_text) end, p_among);
end;
$$;

comment on function ragdb_data._documents_where(int4, int4[], text, text, jsonb, int8[]) is
$$Documents of the scopes, or of those in p_among, for which one condition holds. A text compares by
code point, a date and a number by value.

A document without the key fulfils only ne, and eq null. contains: the text is part of a value,
whatever the case.
Raises PT422 invalid_filter.$$;

create or replace function ragdb_data._documents_with(
  p_org_no int4, p_scopes int4[], p_key text, p_operator text, p_values text[], p_number float8,
  p_part text, p_among int8[])
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_key text := ragdb_data._fact_value(p_key);
  v_path text[] := (string_to_array(p_key, '.'))[2:];
  v_least float8 := case when p_operator in ('eq', 'gt', 'gte') then p_number
                      else '-infinity' end;
  v_greatest float8 := case when p_operator in ('eq', 'lt', 'lte') then p_number
                         else 'infinity' end;
begin
  if p_among is null and p_operator in ('eq', 'any') and p_number is null then
    return array(select distinct f.document_no
                   from ragdb_data.document_fact f
                  where f.org_no = p_org_no
                    and f.key = v_key
                    and f.value = any (p_values)
                    and f.scope_no = any (p_scopes));
  end if;
  -- One of the first two finds the facts; the key alone would do, and reads what it need not.
  return array(
    select distinct f.document_no
      from (select n.document_no, null as value, n.number
              from ragdb_data.document_fact n
             where p_among is null
               and p_number is not null
               and n.org_no = p_org_no
               and n.key = v_key
               and n.number between v_least and v_greatest
               and n.scope_no = any (p_scopes)
            union all
            select k.document_no, k.value, k.number
              from ragdb_data.document_fact k
             where p_among is null
               and p_number is null
               and k.org_no = p_org_no
               and k.key = v_key
               and k.scope_no = any (p_scopes)
            union all
            select o.document_no, o.value, o.number
              from unnest(p_among) a(document_no)
             cross join lateral (
               select d.document_no, d.value, d.number
                 from ragdb_data.document_fact d
                where d.org_no = p_org_no
                  and d.document_no = a.document_no
                  and d.key = v_key
                  and d.scope_no = any (p_scopes)
               offset 0) o) f
     where case
             when p_operator = 'exists' then true
             when p_part is not null then
               position(p_part in lower(f.value)) > 0
               or length(f.value) > 200
                  and exists (
                    select from ragdb_data.document d
                     where d.org_no = p_org_no
                       and d.document_no = f.document_no
                       and position(p_part in lower(
                             case p_key when 'title' then d.title
                               else d.metadata #>> v_path end)) > 0)
             when p_number is not null then
               case p_operator
                 when 'eq' then f.number = p_number
                 when 'gt' then f.number > p_number
                 when 'gte' then f.number >= p_number
                 when 'lt' then f.number < p_number
                 when 'lte' then f.number <= p_number
               end
             else
               case p_operator
                 when 'gt' then f.value > p_values[1]
                 when 'gte' then f.value >= p_values[1]
                 when 'lt' then f.value < p_values[1]
                 when 'lte' then f.value <= p_values[1]
                 else f.value = any (p_values)
               end
           end);
end;
$$;

comment on function ragdb_data._documents_with(
  int4, int4[], text, text, text[], float8, text, int8[]) is
$$Documents of the scopes, or of those in p_among, with a fact of a key that fulfils a condition.

p_operator: exists, eq, any, gt, gte, lt, lte or contains. p_number: compared as a number, else
p_values as texts. p_part: what a value contains, in lower case.$$;

create or replace function ragdb_data._documents_except(
  p_org_no int4, p_scopes int4[], p_documents int8[], p_among int8[] default null)
  returns int8[]
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select case when p_among is null
    then array(select d.document_no
                 from ragdb_data.document d
                where d.org_no = p_org_no and d.scope_no = any (p_scopes)
               except
               select unnest(p_documents))
    else array(select unnest(p_among) except select unnest(p_documents)) end
$$;

comment on function ragdb_data._documents_except(int4, int4[], int8[], int8[]) is
$$The documents of the scopes, or of p_among, that are not in the list.$$;

create or replace function ragdb_data._refuse_filter(p_message text)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '%', p_message
    using errcode = 'PT422',
          constraint = 'invalid_filter',
          hint = 'For example {"lang": "en", "date": {"gte": "2025-01-01"},'
                 ' "or": [{"label": "hr"}, {"metadata.year": 2025}]}';
end;
$$;

comment on function ragdb_data._refuse_filter(text) is
$$Raise PT422 invalid_filter.$$;

create or replace function ragdb_data._matching_documents(
  p_org_no int4, p_scopes int4[], p_filter jsonb, p_among int8[] default null,
  p_depth int4 default 1)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text;
  v_condition jsonb;
  v_operator text;
  v_operand jsonb;
  v_one int8[];
  v_some int8[];
  v_found int8[];
begin
  if p_depth > 50 then
    perform ragdb_data._refuse_filter('A filter is nested at most 50 deep.');
  end if;
  if jsonb_typeof(p_filter) is distinct from 'object' then
    perform ragdb_data._refuse_filter(
              format('A filter is a JSON object, not %s.', left(p_filter::text, 80)));
  end if;
  for v_key, v_condition in select * from jsonb_each(p_filter) loop
    if v_key in ('and', 'or') then
      if jsonb_typeof(v_condition) <> 'array' then
        perform ragdb_data._refuse_filter(format('%s takes an array of filters.', v_key));
      end if;
      v_some := case v_key
        when 'and' then ragdb_data._documents_except(p_org_no, p_scopes, '{}', p_among)
        else '{}' end;
      for v_operand in select * from jsonb_array_elements(v_condition) loop
        v_one := ragdb_data._matching_documents(
          p_org_no, p_scopes, v_operand, p_among, p_depth + 1);
        v_some := case v_key
          when 'and' then array(select unnest(v_some) intersect select unnest(v_one))
          else array(select unnest(v_some) union select unnest(v_one)) end;
      end loop;
      v_found := case when v_found is null then v_some
                   else array(select unnest(v_found) intersect select unnest(v_some)) end;
    elsif v_key = 'not' then
      v_some := ragdb_data._documents_except(
        p_org_no, p_scopes, ragdb_data._matching_documents(
          p_org_no, p_scopes, v_condition, p_among, p_depth + 1), p_among);
      v_found := case when v_found is null then v_some
                   else array(select unnest(v_found) intersect select unnest(v_some)) end;
    else
      if v_key not in ('document', 'source', 'label', 'lang', 'date', 'title')
         and v_key !~ '^metadata\..' then
        raise exception 'Unknown filter key %.', v_key
          using errcode = 'PT422',
                constraint = 'unknown_filter_key',
                hint = 'Keys: document, source, label, lang, date, title, metadata.<path>,'
                       ' and, or, not';
      end if;
      v_condition := case jsonb_typeof(v_condition)
        when 'object' then v_condition
        when 'array' then jsonb_build_object('in', v_condition)
        else jsonb_build_object('eq', v_condition) end;
      for v_operator, v_operand in select * from jsonb_each(v_condition) loop
        if v_operator not in ('eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'exists') then
          raise exception 'Unknown filter operator %.', v_operator
            using errcode = 'PT422',
                  constraint = 'unknown_filter_operator',
                  hint = 'Operators: eq, ne, gt, gte, lt, lte, in, contains, exists';
        end if;
        v_some := ragdb_data._documents_where(
          p_org_no, p_scopes, v_key, v_operator, v_operand, p_among);
        v_found := case when v_found is null then v_some
                     else array(select unnest(v_found) intersect select unnest(v_some)) end;
      end loop;
    end if;
  end loop;
  return coalesce(v_found, ragdb_data._documents_except(p_org_no, p_scopes, '{}', p_among));
end;
$$;

comment on function ragdb_data._matching_documents(int4, int4[], jsonb, int8[], int4) is
$$Documents of the scopes, or of those in p_among, that a filter lets through; {} lets all through.

Raises PT422 invalid_filter, unknown_filter_key or unknown_filter_operator. A metadata path that
nobody uses matches nothing.$$;
