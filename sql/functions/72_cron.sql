-- When something is due that happens again and again: the five fields of cron, in a time zone.
--
-- Fields say what the clock on the wall shows. A time that the clock skips in spring comes an hour
-- later, as that clock shows it; an hour that it shows twice in autumn counts once. Where the hour
-- is *, every minute that passes counts, in whichever hour.

create or replace function ragdb_data._cron_field(
  p_field text, p_name text, p_min int4, p_max int4, p_words text[] default '{}')
  returns int4[]
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_part text;
  v_match text[];
  v_from int4;
  v_to int4;
  v_step int4;
  v_values int4[] := '{}';
begin
  foreach v_part in array string_to_array(p_field, ',') loop
    v_match := regexp_match(
      v_part, '^(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?$');
    v_step := coalesce(v_match[4]::int4, 1);
    if v_match[1] = '*' then
      v_from := p_min;
      v_to := p_max;
    else
      v_from := case when v_match[2] ~ '^[0-9]' then v_match[2]::int4
                  else array_position(p_words, v_match[2]) - 1 + p_min end;
      v_to := case
                when v_match[3] ~ '^[0-9]' then v_match[3]::int4
                when v_match[3] is not null then array_position(p_words, v_match[3]) - 1 + p_min
                when v_match[4] is not null then p_max
                else v_from
              end;
    end if;
    if v_match is null or v_from is null or v_to is null or v_step = 0
       or v_from < p_min or v_to > p_max or v_from > v_to then
      raise exception 'The field % of a schedule cannot be "%".', p_name, v_part
        using errcode = 'PT422',
              constraint = 'invalid_cron',
              hint = format('Numbers from %s to %s like 5, 1-5, */10 or 1,15', p_min, p_max);
    end if;
    v_values := v_values || array(select generate_series(v_from, v_to, v_step));
  end loop;
  return array(select distinct v from unnest(v_values) v order by v);
end;
$$;

comment on function ragdb_data._cron_field(text, text, int4, int4, text[]) is
$$The numbers that one field of a cron expression stands for. Raises PT422 invalid_cron.$$;

create or replace function ragdb_data._cron(
  p_cron text,
  out minutes int4[], out hours int4[], out days int4[], out months int4[], out weekdays int4[],
  out either_day boolean)
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_cron text := lower(btrim(p_cron));
  v_fields text[];
begin
  v_fields := regexp_split_to_array(
    case v_cron
      when '@hourly' then '0 * * * *'
      when '@daily' then '0 0 * * *'
      when '@weekly' then '0 0 * * 0'
      when '@monthly' then '0 0 1 * *'
      when '@yearly' then '0 0 1 1 *'
      else v_cron
    end, '\s+');
  if p_cron is null or length(p_cron) > 200 or cardinality(v_fields) <> 5 then
    raise exception 'A schedule has five fields: minute, hour, day, month, weekday.'
      using errcode = 'PT422',
            constraint = 'invalid_cron',
            hint = 'For example "30 2 * * mon-fri", or @hourly, @daily, @weekly, @monthly, @yearly';
  end if;
  minutes := ragdb_data._cron_field(v_fields[1], 'minute', 0, 59);
  hours := ragdb_data._cron_field(v_fields[2], 'hour', 0, 23);
  days := ragdb_data._cron_field(v_fields[3], 'day', 1, 31);
  months := ragdb_data._cron_field(
    v_fields[4], 'month', 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}');
  weekdays := array(
    select distinct d % 7
      from unnest(ragdb_data._cron_field(
             v_fields[5], 'weekday', 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) d
     order by 1);
  either_day := v_fields[3] !~ '^\*' and v_fields[5] !~ '^\*';
end;
$$;

comment on function ragdb_data._cron(text) is
$$The parts of a cron expression.

Lists, ranges, steps and English names of three letters; 0 and 7 are Sunday. either_day: where both
day and weekday are limited, a day that fits one of them will do, as in every cron.
Raises PT422 invalid_cron.$$;

create or replace function ragdb_data._next_run(
  p_cron text, p_time_zone text, p_after timestamptz)
  returns timestamptz
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_cron record;
  v_after timestamp := p_after at time zone p_time_zone;
  v_day date := v_after::date;
  v_next timestamptz;
begin
  select * into v_cron from ragdb_data._cron(p_cron);
  if cardinality(v_cron.hours) = 24 then
    -- Minute after minute, past whatever the clock does meanwhile.
    select min(t.at) into v_next
      from (select s.at, s.at at time zone p_time_zone as shown
              from generate_series(date_trunc('minute', p_after) + interval '1 minute',
                                   date_trunc('minute', p_after) + interval '3 hours',
                                   interval '1 minute') s(at)) t
     where extract(minute from t.shown)::int4 = any (v_cron.minutes)
       and ragdb_data._is_cron_day(t.shown::date, v_cron.days, v_cron.months, v_cron.weekdays,
                                   v_cron.either_day);
  end if;
  while v_next is null and v_day < v_after::date + 366 * 9 loop
    if not extract(month from v_day)::int4 = any (v_cron.months) then
      v_day := (date_trunc('month', v_day::timestamp) + interval '1 month')::date;
      continue;
    end if;
    if ragdb_data._is_cron_day(v_day, v_cron.days, v_cron.months, v_cron.weekdays,
                               v_cron.either_day) then
      select min(t.at) into v_next
        from (select (v_day + make_time(h, m, 0.0::float8)) at time zone p_time_zone as at
                from unnest(v_cron.hours) h, unnest(v_cron.minutes) m) t
       where t.at > p_after;
    end if;
    v_day := v_day + 1;
  end loop;
  if v_next is null then
    raise exception 'The schedule "%" is never due.', p_cron
      using errcode = 'PT422', constraint = 'invalid_cron', hint = 'Is there such a day?';
  end if;
  return v_next;
end;
$$;

comment on function ragdb_data._next_run(text, text, timestamptz) is
$$The first time after p_after at which a cron expression is due. Raises PT422 invalid_cron.$$;

create or replace function ragdb_data._is_cron_day(
  p_day date, p_days int4[], p_months int4[], p_weekdays int4[], p_either_day boolean)
  returns boolean
  language sql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select extract(month from p_day)::int4 = any (p_months)
         and case
               when p_either_day then extract(day from p_day)::int4 = any (p_days)
                                      or extract(dow from p_day)::int4 = any (p_weekdays)
               else extract(day from p_day)::int4 = any (p_days)
                    and extract(dow from p_day)::int4 = any (p_weekdays)
             end
$$;

comment on function ragdb_data._is_cron_day(date, int4[], int4[], int4[], boolean) is
$$Whether a cron expression means this day.$$;
