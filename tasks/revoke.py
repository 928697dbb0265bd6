"""`celery -A tasks control revoke ID`: a removal that the ledger hears. `control terminate` is the same.

Celery's own revoke only makes live workers discard one message; here the event itself ends, whatever its state. ID is
an event's id, or the task id of any of its messages, which begins with it. No control command kills a worker process:
it may be in the midst of orders, which then nobody watches.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery.worker.control import Panel, control_command
from kombu.utils.functional import maybe_list

from tasks.runtime import runtime

_discard_messages = Panel.data["revoke"]
_discard_stamped = Panel.data["revoke_by_stamped_headers"]


@control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: Any, **options: Any) -> dict[str, Any]:
    """Remove events for good, then let Celery discard the messages that it knows.

    ``terminate`` is ignored: a run ends between its steps, never in the middle of an order.
    """
    options.pop("terminate", None)
    ids = [str(one) for one in maybe_list(task_id) or []]
    removed = {one: _remove(one) for one in ids}
    _discard_messages(state, task_id=[one for one in ids if removed[one] is None or "." in one], **options)
    return {"ok": "; ".join(f"{one}: {text or 'no active event'}" for one, text in removed.items())}


@control_command(variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]")
def terminate(state: Any, signal: str, task_id: Any, **_: Any) -> dict[str, Any]:
    """Remove events for good, as `revoke` does; no process is sent a signal."""
    del signal
    answer: dict[str, Any] = revoke(state, task_id)
    return answer


@control_command(variadic="headers", signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]")
def revoke_by_stamped_headers(state: Any, headers: Any, **_: Any) -> Any:
    """Have messages with these stamps discarded; no process is sent a signal."""
    return _discard_stamped(state, headers)


@control_command(args=[("task_name", str), ("soft", float), ("hard", float)], signature="<task_name> <soft> [hard]")
def time_limit(_state: Any, **_: Any) -> dict[str, Any]:
    """Refused: the hard limit would kill a run in the midst of orders."""
    return {"error": "limits are a setting: TASK_SOFT_TIME_LIMIT_S, and a restart of the workers"}


def _remove(task_id: str) -> str | None:
    try:
        event_id = UUID(task_id.split(".", maxsplit=1)[0])
    except ValueError:
        return None
    state = runtime().services.dispatcher.remove(event_id, "revoked through celery control")
    return None if state is None else f"event {state}" if state == "removed" else "event stops at its next step"
