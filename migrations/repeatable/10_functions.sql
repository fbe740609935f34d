-- Functions the views, the trigger and the workers stand on. Recreated by every `holdfast migrate`.

-- Which DBOS workflows are runs of ours. Stored names are pinned in app/durable/names.py.
create or replace function holdfast.is_run(workflow_name text) returns boolean
language sql immutable parallel safe
return workflow_name = 'holdfast.run';

-- One row that is not JSON (a pickle, a NUL, a lone surrogate) must not break a whole select.
create or replace function holdfast.to_jsonb_safe(value text) returns jsonb
language plpgsql immutable parallel safe as $$
begin
    return value::jsonb;
exception when others then
    return null;
end $$;

create or replace function holdfast.to_timestamp_ms(epoch_ms bigint) returns timestamptz
language sql immutable parallel safe
return to_timestamp(epoch_ms / 1000.0);

create or replace function holdfast.now_ms() returns bigint
language sql volatile
return (extract(epoch from clock_timestamp()) * 1000)::bigint;

-- Number and store events in the order of the row lock, so that seq has no gaps whoever writes.
-- max(seq) + 1 and `where exists (owner)` were tried and fail (spec/design-review.md A3).
create or replace function holdfast.number_events(p_run_id text, p_events jsonb) returns bigint
language plpgsql as $$
declare
    amount constant integer := jsonb_array_length(p_events);
    last bigint;
begin
    insert into holdfast.run_cursors as cursor (run_id, last_seq) values (p_run_id, amount)
    on conflict (run_id) do update set last_seq = cursor.last_seq + amount
    returning last_seq into last;
    insert into holdfast.run_events (run_id, seq, attempt, step, batch, type, data)
    select p_run_id, last - amount + position, (event ->> 'attempt')::integer, (event ->> 'step')::integer,
           (event ->> 'batch')::integer, event ->> 'type', coalesce(event -> 'data', '{}'::jsonb)
    from jsonb_array_elements(p_events) with ordinality as listed (event, position);
    return last;
end $$;

-- A worker's append: null when the run is no longer this execution's (taken over, cancelled, deleted).
-- p_again: the commit of an earlier try may have been lost on its way back, so a batch that is there is not repeated.
create or replace function holdfast.append_events(p_run_id text, p_owner text, p_events jsonb, p_again boolean)
returns bigint
language plpgsql as $$
declare
    head constant jsonb := p_events -> 0;
    stored bigint;
begin
    perform 1 from dbos.workflow_status
    where workflow_uuid = p_run_id and owner_xid = p_owner and status = 'PENDING'
    for no key update;
    if not found then
        return null;
    end if;
    if p_again then
        select max(seq) into stored from holdfast.run_events
        where run_id = p_run_id and step = (head ->> 'step')::integer
          and attempt = (head ->> 'attempt')::integer and batch = (head ->> 'batch')::integer;
        if stored is not null then
            return stored;
        end if;
    end if;
    return holdfast.number_events(p_run_id, p_events);
end $$;

-- Commit that a step's body is about to start, before it starts. Returns the attempt's number (1 = first try),
-- null when fenced, or 0 when an earlier attempt was lost and p_repeatable is false: its outcome is unknown. Attempts
-- whose failure was recorded, and that a person let run again (resume), are acknowledged: they are not lost.
-- A second call by the same owner is the retry of a lost commit: one execution begins a step once.
create or replace function holdfast.begin_attempt(
    p_run_id text, p_owner text, p_executor_id text, p_step integer, p_kind text, p_name text,
    p_tool_call_id text, p_input jsonb, p_repeatable boolean, p_events jsonb
) returns integer
language plpgsql as $$
declare
    earlier integer;
    lost integer;
    mine integer;
begin
    perform 1 from dbos.workflow_status
    where workflow_uuid = p_run_id and owner_xid = p_owner and status = 'PENDING'
    for no key update;
    if not found then
        return null;
    end if;
    select count(*), count(*) filter (where not acknowledged), max(attempt) filter (where owner = p_owner)
    into earlier, lost, mine
    from holdfast.attempts where run_id = p_run_id and step = p_step;
    if mine is not null then
        return mine;
    end if;
    if lost > 0 and not p_repeatable then
        return 0;
    end if;
    insert into holdfast.attempts (run_id, step, attempt, kind, name, executor_id, owner, tool_call_id, input)
    values (p_run_id, p_step, earlier + 1, p_kind, p_name, p_executor_id, p_owner, p_tool_call_id, p_input);
    perform holdfast.number_events(p_run_id, (
        select jsonb_agg(event || jsonb_build_object('attempt', earlier + 1, 'step', p_step))
        from jsonb_array_elements(p_events) as event
    ));
    return earlier + 1;
end $$;

-- How a run's state is called outside: the words of DESIGN §1 over DBOS's status.
create or replace function holdfast.run_status(p_status text, p_completed_at bigint, p_deadline bigint) returns text
language sql immutable parallel safe
return case p_status
    when 'ENQUEUED' then 'queued'
    when 'PENDING' then 'running'
    when 'DELAYED' then 'waiting'
    when 'SUCCESS' then 'succeeded'
    when 'CANCELLED' then case when p_completed_at >= p_deadline then 'failed' else 'cancelled' end
    else 'failed'
end;

create or replace function holdfast.run_reason(
    p_status text, p_completed_at bigint, p_deadline bigint, p_error jsonb
) returns text
language sql immutable parallel safe
return case
    when p_status = 'CANCELLED' and p_completed_at >= p_deadline then 'timeout'
    when p_status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED' then 'too_many_recoveries'
    when p_status = 'ERROR' then coalesce(p_error ->> 'reason', 'error')
end;

-- What a waiting run waits for: its open questions; without any, the moment when a provider wants to be asked again.
create or replace function holdfast.waiting_for(p_run_id text, p_delay_until bigint) returns jsonb
language sql stable
return coalesce(
    (select jsonb_agg(jsonb_build_object(
                'tool_call_id', wait.tool_call_id, 'kind', wait.kind, 'tool', wait.tool, 'args', wait.args,
                'metadata', wait.metadata, 'requested_at', wait.requested_at, 'deadline', wait.deadline
            ) order by wait.requested_at)
     from holdfast.approvals as wait where wait.run_id = p_run_id and wait.decided_at is null),
    (select jsonb_build_array(jsonb_build_object(
                'kind', 'retry_at', 'metadata', (refused.error) - '$type', 'requested_at', refused.started_at,
                'deadline', holdfast.to_timestamp_ms(p_delay_until)))
     from holdfast.attempts as refused where refused.run_id = p_run_id and refused.error is not null
     order by refused.started_at desc limit 1),
    '[]'::jsonb
);
