-- Public SQL API (docs/sql.md). Names only documented DBOS columns; JSON goes through to_jsonb_safe.

create view holdfast.steps as
select
    recorded.workflow_uuid as run_id,
    recorded.function_id as step,
    envelope.body ->> 'kind' as kind,
    recorded.function_name as name,
    coalesce(envelope.body -> 'request', envelope.body -> 'args') as input,
    coalesce(envelope.body -> 'response', envelope.body -> 'result', envelope.body -> 'return', kept.definitions) as output,
    envelope.body ->> 'outcome' as outcome,
    (envelope.body -> 'error') - '$type' as error,
    coalesce((envelope.body ->> 'attempt')::integer, 1) as attempt,
    greatest(1, (select count(*) from holdfast.attempts as tried
                 where tried.run_id = recorded.workflow_uuid and tried.step = recorded.function_id))::integer as attempts,
    envelope.body ->> 'tool_call_id' as tool_call_id,
    envelope.body ->> 'tool' as tool,
    envelope.body ->> 'toolset' as toolset,
    envelope.body #>> '{response,model_name}' as model,
    -- A call shows what its MCP server asked a model while it was open.
    coalesce(envelope.body #>> '{response,usage,input_tokens}',
             envelope.body #>> '{sampled,usage,input_tokens}',
             envelope.body #>> '{delegated,usage,input_tokens}')::bigint as input_tokens,
    coalesce(envelope.body #>> '{response,usage,output_tokens}',
             envelope.body #>> '{sampled,usage,output_tokens}',
             envelope.body #>> '{delegated,usage,output_tokens}')::bigint as output_tokens,
    (envelope.body ->> 'cost_usd')::numeric as cost_usd,
    holdfast.to_timestamp_ms(recorded.started_at_epoch_ms) as started_at,
    holdfast.to_timestamp_ms(recorded.completed_at_epoch_ms) as finished_at,
    recorded.completed_at_epoch_ms - recorded.started_at_epoch_ms as duration_ms
from dbos.operation_outputs as recorded
join dbos.workflow_status as run on run.workflow_uuid = recorded.workflow_uuid and holdfast.is_run(run.name)
cross join lateral (select holdfast.to_jsonb_safe(recorded.output) as body offset 0) as envelope
left join holdfast.tool_definitions as kept on kept.hash = envelope.body ->> 'definitions'
where recorded.serialization = 'holdfast_json_v1';

create view holdfast.tool_calls as
select step.run_id, step.step, step.tool_call_id, step.tool, step.toolset, step.input as args, step.output as result,
       step.outcome, step.error, step.attempt, step.attempts, step.started_at, step.finished_at, step.duration_ms
from holdfast.steps as step
where step.kind in ('tool', 'mcp') and step.tool is not null
union all
-- Begun and not recorded: still running here, or lost with its worker.
select tried.run_id, tried.step, tried.tool_call_id, substr(tried.name, strpos(tried.name, ':') + 1), null,
       tried.input, null,
       case when run.status = 'PENDING' and run.executor_id = tried.executor_id then 'running' else 'unknown' end,
       null, tried.attempt, tried.attempt, tried.started_at, null, null
from holdfast.attempts as tried
join dbos.workflow_status as run on run.workflow_uuid = tried.run_id
where tried.kind in ('tool', 'mcp') and tried.tool_call_id is not null
  and not exists (select 1 from dbos.operation_outputs as recorded
                  where recorded.workflow_uuid = tried.run_id and recorded.function_id = tried.step)
  and not exists (select 1 from holdfast.attempts as later
                  where later.run_id = tried.run_id and later.step = tried.step and later.attempt > tried.attempt);

create view holdfast.messages as
select said.run_id, row_number() over (partition by said.run_id order by said.step, said.part)::integer as position,
       said.step, said.message ->> 'kind' as kind, said.message
from (
    select step.run_id, step.step, 1 as part, step.input -> 'message' as message
    from holdfast.steps as step where step.kind in ('model', 'decision', 'messages')
    union all
    -- The last message that was sent to the run is the request that the next step shows once more, as it was prepared.
    select step.run_id, step.step, 1 + taken.number, taken.item -> 'message'
    from holdfast.steps as step
    cross join lateral (
        select item, number, count(*) over () as amount
        from jsonb_array_elements(case when jsonb_typeof(step.output) = 'array' then step.output else '[]' end)
            with ordinality as listed (item, number)
    ) as taken
    where step.kind = 'messages' and (taken.number < taken.amount or not exists (
        select 1 from holdfast.steps as later
        where later.run_id = step.run_id and later.step > step.step and later.kind in ('model', 'messages')
          and jsonb_typeof(later.input -> 'message') = 'object'))
    union all
    select step.run_id, step.step, 2, step.output
    from holdfast.steps as step where step.kind = 'model' and step.outcome = 'returned'
    union all
    select result.workflow_uuid, 2147483647, 3, holdfast.to_jsonb_safe(result.output) -> 'closing_request'
    from dbos.workflow_output as result
    join dbos.workflow_status as run on run.workflow_uuid = result.workflow_uuid and holdfast.is_run(run.name)
) as said
where jsonb_typeof(said.message) = 'object';

create view holdfast.runs as
select
    run.workflow_uuid as run_id,
    run.attributes ->> 'agent' as agent,
    run.attributes ->> 'agent_version' as agent_version,
    run.attributes ->> 'conversation_id' as conversation_id,
    holdfast.run_status(run.status, run.completed_at, run.workflow_deadline_epoch_ms) as status,
    holdfast.run_reason(run.status, run.completed_at, run.workflow_deadline_epoch_ms, result.error) as reason,
    input.body -> 'prompt' as prompt,
    result.output -> 'output' as output,
    result.output ->> 'output_type' as output_type,
    result.error,
    used.input_tokens,
    used.output_tokens,
    used.requests,
    used.tool_calls,
    used.cost_usd,
    used.unknown_cost_attempts,
    input.body -> 'metadata' as metadata,
    case when run.status = 'DELAYED' then holdfast.waiting_for(run.workflow_uuid, run.delay_until_epoch_ms) end
        as waiting_for,
    run.executor_id,
    run.recovery_attempts::integer as recovery_attempts,
    run.attributes ->> 'parent_run_id' as parent_run_id,
    holdfast.to_timestamp_ms(run.created_at) as created_at,
    (select min(event.created_at) from holdfast.run_events as event
     where event.run_id = run.workflow_uuid and event.type = 'run_running') as first_started_at,
    holdfast.to_timestamp_ms(run.completed_at) as finished_at,
    holdfast.to_timestamp_ms(run.updated_at) as updated_at,
    holdfast.to_timestamp_ms(run.workflow_deadline_epoch_ms) as deadline,
    run.forked_from,
    (run.attributes ->> 'forked_at_step')::integer as forked_at_step
from dbos.workflow_status as run
left join lateral (
    select holdfast.to_jsonb_safe(given.inputs) #> '{args,0}' as body
    from dbos.workflow_input as given where given.workflow_uuid = run.workflow_uuid offset 0
) as input on true
left join lateral (
    select holdfast.to_jsonb_safe(finished.output) as output, holdfast.to_jsonb_safe(finished.error) - '$type' as error
    from dbos.workflow_output as finished where finished.workflow_uuid = run.workflow_uuid offset 0
) as result on true
cross join lateral (
    select coalesce(sum(step.input_tokens), 0)::bigint as input_tokens,
           coalesce(sum(step.output_tokens), 0)::bigint as output_tokens,
           count(*) filter (where step.kind = 'model')::integer as requests,
           count(*) filter (where step.kind in ('tool', 'mcp') and step.tool is not null)::integer as tool_calls,
           sum(step.cost_usd) as cost_usd,
           (select count(*) from holdfast.attempts as lost
            where lost.run_id = run.workflow_uuid and lost.kind = 'model' and not lost.acknowledged
              and exists (select 1 from holdfast.attempts as later
                          where later.run_id = lost.run_id and later.step = lost.step and later.attempt > lost.attempt)
           )::integer as unknown_cost_attempts
    -- What a fork took over from its source was paid for there.
    from holdfast.steps as step
    where step.run_id = run.workflow_uuid and step.step >= coalesce((run.attributes ->> 'forked_at_step')::integer, 0)
) as used
where holdfast.is_run(run.name);
