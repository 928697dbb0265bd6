"""Who tells people: the threads in beat that route, send and watch; docs/notifications.md."""
