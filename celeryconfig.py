"""Celery's settings, shared by worker, beat, Flower and every publisher.

Reasons: docs/decisions/0003-celery-message-is-a-hint.md. In short: the ledger decides what runs, a message only says
that there may be something to claim, so a message may be lost or delivered twice and nothing waits inside a worker.
"""

from kombu import Queue

from rebalancer.config.redis_tls import celery_options
from rebalancer.config.settings import load_settings
from rebalancer.queueing.celery_queues import queues_of

_settings = load_settings()

broker_url = _settings.stores.redis_url
broker_use_ssl = celery_options(_settings.stores.redis_url)
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    "visibility_timeout": 7200,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,
}

# Results live in the ledger.
task_ignore_result = True
result_backend = None

# Acknowledge before running: recovery is the ledger's lease. A late ack re-delivers a running task on a connection
# reset, and makes Celery 5.7's worker exit when Redis goes away.
task_acks_late = False
task_reject_on_worker_lost = False
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
worker_cancel_long_running_tasks_on_connection_loss = False

task_publish_retry = False
task_serializer = "json"
accept_content = ["json"]
task_create_missing_queues = False
task_queues = tuple(map(Queue, queues_of(_settings.events.worker_gateway)))
task_default_queue = task_queues[-1].name

task_soft_time_limit = _settings.events.task_soft_time_limit_s
task_time_limit = _settings.events.task_soft_time_limit_s + 300

worker_consumer = "tasks.consumer:Consumer"
worker_concurrency = _settings.events.worker_concurrency
worker_proc_alive_timeout = 60
worker_hijack_root_logger = False
worker_enable_remote_control = True

# For Flower and `celery events`.
worker_send_task_events = True
task_send_sent_event = True

beat_max_loop_interval = 5
