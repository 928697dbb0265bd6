"""`celery -A tasks control revoke ID`: a removal that the ledger hears.

Celery's own revoke only makes live workers discard one message; here the event itself ends, whatever its state. ID is
an event's id, or the task id of any of its messages, which begins with it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery.worker.control import Panel, control_command
from kombu.utils.functional import maybe_list

from tasks.runtime import runtime

_discard_messages = Panel.data["revoke"]


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


def _remove(task_id: str) -> str | None:
    try:
        event_id = UUID(task_id.split(".", maxsplit=1)[0])
    except ValueError:
        return None
    state = runtime().services.dispatcher.remove(event_id, "revoked through celery control")
    return None if state is None else f"event {state}" if state == "removed" else "event stops at its next step"
