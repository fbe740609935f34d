-- State events: written in the transaction that changes the state, whoever changes it (worker, sweep, API, psql).
-- No column list and no WHEN clause: both would make DBOS's own DDL on the table fail.
create or replace function holdfast.on_run_state() returns trigger
language plpgsql as $$
declare
    error jsonb;
    event_type text;
    details jsonb := '{}'::jsonb;
begin
    if not holdfast.is_run(new.name) then
        return null;
    end if;
    if tg_op = 'UPDATE' and new.status = old.status and new.executor_id is not distinct from old.executor_id then
        return null;
    end if;
    if new.status = 'ERROR' then
        select holdfast.to_jsonb_safe(result.error) - '$type' into error
        from dbos.workflow_output as result where result.workflow_uuid = new.workflow_uuid;
    end if;
    event_type := 'run_' || holdfast.run_status(new.status, new.completed_at, new.workflow_deadline_epoch_ms);
    if event_type = 'run_running' then
        details := jsonb_build_object('worker', new.executor_id);
    elsif tg_op = 'UPDATE' and old.status = 'PENDING' and new.status = 'ENQUEUED' then
        event_type := 'run_taken_over';
        details := jsonb_build_object('from_worker', old.executor_id);
    elsif event_type = 'run_waiting' then
        select jsonb_build_object('waiting_for', jsonb_agg(wait - array['args', 'metadata', 'requested_at'])) into details
        from jsonb_array_elements(holdfast.waiting_for(new.workflow_uuid, new.delay_until_epoch_ms)) as wait;
    elsif event_type in ('run_failed', 'run_cancelled') then
        details := jsonb_strip_nulls(jsonb_build_object(
            'reason', holdfast.run_reason(new.status, new.completed_at, new.workflow_deadline_epoch_ms, error),
            'error', error));
    end if;
    perform holdfast.number_events(new.workflow_uuid, jsonb_build_array(
        jsonb_build_object('type', event_type, 'data', details)));
    -- Idle tailers sleep on this; the state of a run changes a few times in its life, so the lock is no cost here.
    perform pg_notify('holdfast_events', new.workflow_uuid);
    return null;
exception when others then
    -- Raising here would undo the outcome itself and leave the run PENDING for ever.
    raise warning 'holdfast.on_run_state: %', sqlerrm;
    return null;
end $$;

create constraint trigger holdfast_run_state after insert or update on dbos.workflow_status
deferrable initially deferred for each row execute function holdfast.on_run_state();

-- Whoever deletes a run deletes what we keep of it. Its idempotency key stays for its time: it must not start the run anew.
create or replace function holdfast.on_run_deleted() returns trigger
language plpgsql as $$
begin
    delete from holdfast.run_events where run_id = old.workflow_uuid;
    delete from holdfast.run_cursors where run_id = old.workflow_uuid;
    delete from holdfast.attempts where run_id = old.workflow_uuid;
    delete from holdfast.approvals where run_id = old.workflow_uuid;
    delete from holdfast.sent_messages where run_id = old.workflow_uuid;
    return null;
end $$;

create trigger holdfast_run_deleted after delete on dbos.workflow_status
for each row execute function holdfast.on_run_deleted();
