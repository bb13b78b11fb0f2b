-- What a source's configuration may be. Each type describes its keys as data, so that a wrong one
-- is refused in words when it is put, and not by a driver in the night.

create or replace function ragdb_data._check_config(
  p_keys jsonb, p_value jsonb, p_path text default '')
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text;
  v_rule jsonb;
  v_value jsonb;
  v_element jsonb;
  v_message text;
begin
  select min(k) into v_key from jsonb_object_keys(p_value) k where not p_keys ? k;
  if v_key is not null then
    v_message := format('There is no key %s.', p_path || v_key);
  end if;
  for v_key, v_rule in select * from jsonb_each(p_keys) order by 1 loop
    exit when v_message is not null;
    v_value := p_value -> v_key;
    if coalesce(jsonb_typeof(v_value), 'null') = 'null' then
      if v_rule -> 'required' = 'true' then
        v_message := format('%s is missing.', p_path || v_key);
      end if;
      continue;
    end if;
    v_message := case v_rule ->> 'is'
      when 'text' then
        case
          when jsonb_typeof(v_value) <> 'string' or v_value = '""' then '%s must be a text.'
          when v_value #>> '{}' !~ coalesce(v_rule ->> 'pattern', '') then '%s cannot be so.'
          when not v_rule -> 'one_of' @> v_value
            then '%s must be one of: ' || (select string_agg(o, ', ')
                                             from jsonb_array_elements_text(v_rule -> 'one_of') o)
        end
      when 'boolean' then
        case when jsonb_typeof(v_value) <> 'boolean' then '%s must be true or false.' end
      when 'texts' then
        case
          when jsonb_path_exists(v_value, 'strict $.type() ? (@ != "array")')
               or jsonb_path_exists(v_value, '$[*] ? (@.type() != "string" || @ == "")')
            then '%s must be a list of texts.'
        end
      when 'map' then
        case
          when jsonb_typeof(v_value) <> 'object'
               or jsonb_path_exists(v_value, '$.* ? (@.type() != "string")')
            then '%s must be an object of texts.'
        end
      when 'object' then
        case when jsonb_typeof(v_value) <> 'object' then '%s must be an object.' end
      when 'objects' then
        case
          when jsonb_path_exists(v_value, 'strict $.type() ? (@ != "array")')
               or jsonb_path_exists(v_value, '$[*] ? (@.type() != "object")')
            then '%s must be a list of objects.'
        end
      when 'any' then null
      else
        case
          when jsonb_typeof(v_value) <> 'number' then '%s must be a number.'
          when v_rule ->> 'is' = 'integer' and v_value::numeric % 1 <> 0
            then '%s must be a whole number.'
          when v_value::numeric < (v_rule -> 'min')::numeric
               or v_value::numeric > (v_rule -> 'max')::numeric
            then '%s is too small or too large.'
        end
    end;
    v_message := format(v_message, p_path || v_key);
    if v_message is null and v_rule ? 'keys' then
      for v_element in
        select e from jsonb_path_query(v_value, 'lax $[*]') e
      loop
        perform ragdb_data._check_config(v_rule -> 'keys', v_element, p_path || v_key || '.');
      end loop;
    end if;
  end loop;
  if v_message is not null then
    raise exception '%', v_message
      using errcode = 'PT422',
            constraint = 'invalid_source_config',
            hint = 'Keys: ' || coalesce((select string_agg(p_path || k, ', ' order by k)
                                           from jsonb_object_keys(p_keys) k), 'none');
  end if;
end;
$$;

comment on function ragdb_data._check_config(jsonb, jsonb, text) is
$$Refuse a configuration that does not have the described keys.

p_keys: {key: {is, required, pattern, one_of, min, max, keys}}, where `is` is text, integer, number,
boolean, texts, map (of texts), object, objects or any; keys describes the keys of an object or of
each of several. p_path: where in the whole configuration p_value is.
Raises PT422 invalid_source_config.$$;
