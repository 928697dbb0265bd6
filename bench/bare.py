"""A Celery application whose only task does nothing but say so: the floor of `bench.hot_path`."""

from __future__ import annotations

import os

import redis
from celery import Celery

from bench import BARE_TASK, DONE

app = Celery("bare", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True)
_client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


@app.task(name=BARE_TASK)
def bare() -> None:
    """Done."""
    _client.lpush(DONE, 1)
