"""From the ledger to Celery: which events become messages, on which queue, and who answers."""
