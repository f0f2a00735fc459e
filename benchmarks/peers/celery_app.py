"""The batch job under Celery. Run as `celery -A benchmarks.peers.celery_app worker`.

Its broker is in CELERY_BROKER_URL, its campaign in BENCHMARK_CAMPAIGN. Each worker process makes
its connections once and keeps them; results are in MySQL, so Celery keeps none.
"""

from __future__ import annotations

import os
from typing import Final

import celery
import msgspec
from celery.signals import worker_process_init, worker_ready

from benchmarks.peers.batch_job import BatchJob, Campaign

app = celery.Celery("benchmark", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_acks_late=False,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
)

READY: Final = "waiting for tasks"

_jobs: list[BatchJob] = []


@worker_process_init.connect  # type: ignore[untyped-decorator]
def connect(**_: object) -> None:
    """Once in each process, after the fork."""
    campaign = msgspec.json.decode(os.environ["BENCHMARK_CAMPAIGN"], type=Campaign)
    _jobs[:] = [BatchJob(campaign)]


@worker_ready.connect  # type: ignore[untyped-decorator]
def announce(**_: object) -> None:
    """For whoever started it."""
    print(READY, flush=True)


@app.task(name="send_batch")  # type: ignore[untyped-decorator]
def send_batch(first: int, last: int) -> None:
    """One task."""
    _jobs[0].run(first, last)
