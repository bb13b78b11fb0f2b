-- In whose name a worker works. A worker proves no key: what opens a context is the lease it holds
-- on a job, and the context is that of whoever asked for the job, as far as the credential went
-- with which they asked, and as far as their role goes now.

create or replace function ragdb.begin_worker_context(p_org_no int4, p_job_no int8, p_token uuid)
  returns void
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_job ragdb_data.job;
  v_kind ragdb_data.job_kind;
  v_permissions text[];
begin
  -- Nobody else can claim the job while this transaction lasts; heartbeats go on beside it.
  select j.* into v_job
    from ragdb_data.job j
   where j.org_no = p_org_no and j.job_no = p_job_no and j.token = p_token
     for key share;
  if not found then
    raise exception 'The lease on job % is lost.', p_job_no
      using errcode = 'PT409',
            constraint = 'lease_lost',
            hint = 'Stop working on it: somebody else does.';
  end if;
  select k.* into v_kind from ragdb_data.job_kind k where k.kind = v_job.kind;
  select ragdb_private.limited(r.permissions, v_job.permissions) into v_permissions
    from ragdb_data.membership m
    join ragdb_data.app_user u on u.user_no = m.user_no and u.is_active
    join ragdb_data.role r on r.role = m.role
   where m.org_no = v_job.org_no and m.user_no = v_job.user_no;
  if v_permissions is null
     or not (v_kind.permission = any (v_permissions) or '*' = any (v_permissions))
     or v_kind.all_scopes and v_job.limited_to <> 0 then
    raise exception 'Whoever asked for this job may not do it any more.'
      using errcode = 'PT403',
            constraint = 'job_not_permitted',
            hint = 'Somebody who may can ask for it again.';
  end if;
  if v_kind.all_scopes then
    perform ragdb_private.set_context(
      v_job.org_no, v_job.user_no, null, null, array[v_kind.permission],
      array(select s.scope_no from ragdb_data.scope s where s.org_no = v_job.org_no order by 1));
  else
    perform ragdb_private.set_context(
      v_job.org_no, v_job.user_no, null, nullif(v_job.limited_to, 0), v_permissions);
  end if;
end;
$$;

comment on function ragdb.begin_worker_context(int4, int8, uuid) is
$$Act, in this transaction, as whoever asked for a job that this worker has claimed.

For ragdb_worker. The context never grants more than the credential did with which the job was
enqueued, nor more than that member may do now. A job of a kind for the whole organization has all
its scopes, and only the one permission of its kind. The lease cannot pass to another worker before
the transaction ends.
Definer: opens a context without a credential. Raises PT409 lease_lost, PT403 job_not_permitted.$$;
