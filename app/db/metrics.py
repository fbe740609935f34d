"""Numbers about all runs, for monitoring. Each comes from an index: asking costs little however many runs there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SAMPLES: Final = text(
    """
    with unfinished as (
        select holdfast.run_status(status, null, null) as status, updated_at, recovery_attempts
        from dbos.workflow_status where status in ('ENQUEUED', 'PENDING', 'DELAYED') and holdfast.is_run(name)
    ), steps as (
        select split_part(function_name, ':', 1) as kind,
               case when function_name = 'model' then holdfast.to_jsonb_safe(output) #> '{response,usage}' end as usage
        from dbos.operation_outputs
        where completed_at_epoch_ms > holdfast.now_ms() - 60000 and serialization = 'holdfast_json_v1'
    )
    select 'runs' as name, status as label, count(*)::double precision as value from unfinished group by status
    union all
    select 'queue_age_seconds', null, greatest(0, coalesce((holdfast.now_ms() - min(updated_at)) / 1000.0, 0))
    from unfinished where status = 'queued'
    union all
    select 'runs_taken_over', null, count(*) from unfinished where status = 'running' and recovery_attempts > 1
    union all
    select 'takeovers_last_minute', null, count(*) from holdfast.run_events
    where type = 'run_taken_over' and created_at > clock_timestamp() - interval '1 minute'
    union all
    select 'runs_finished_last_minute', holdfast.run_status(status, completed_at, workflow_deadline_epoch_ms), count(*)
    from dbos.workflow_status where completed_at > holdfast.now_ms() - 60000 and holdfast.is_run(name) group by 2
    union all
    select 'steps_finished_last_minute', kind, count(*) from steps group by kind
    union all
    select 'tokens_last_minute', direction, coalesce(sum((usage ->> (direction || '_tokens'))::double precision), 0)
    from steps, unnest(array['input', 'output']) as direction group by direction
    union all
    select 'questions_open', wait.kind, count(*) from holdfast.approvals as wait
    join dbos.workflow_status as run on run.workflow_uuid = wait.run_id and run.status = 'DELAYED'
    where wait.decided_at is null group by wait.kind
    union all
    select 'workers', null, count(*) from holdfast.workers
    where heartbeat_at > clock_timestamp() - interval '10 seconds'
    """
)


@dataclass(frozen=True)
class Sample:
    """A number, of one `label` if there are several of its name."""

    name: str
    label: str | None
    value: float


async def read_samples(connection: AsyncConnection) -> Sequence[Sample]:
    """What is true now. Labels without a sample count zero."""
    return [Sample(*row) for row in await connection.execute(_SAMPLES)]
