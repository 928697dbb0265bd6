-- A restored ledger knows nothing of what happened since its backup. Until a person resumes, nothing trades, and nothing
-- that is continued then can be taken for something from before. Run in the transaction of the restore.

-- No worker survived the loss.
UPDATE public.attempts SET outcome = 'lost', error = 'the ledger was lost and restored', finished_at = now()
WHERE finished_at IS NULL;

UPDATE public.events SET state = 'retrying', reason = 'worker lost', lease_until = NULL, worker = NULL, due_at = now(),
  times_queued = times_queued + 1
WHERE state = 'running';

-- Numbers that were used after the backup are never used again: order refs and task ids are made of them.
UPDATE public.events SET attempt = attempt + 1000, dispatch_no = dispatch_no + 1000, dispatched_at = NULL
WHERE state IN ('queued', 'retrying', 'held');

-- The reason of a halt that was in force goes on beside the new one.
WITH earlier AS (
  UPDATE public.halts SET lifted_at = now(), lifted_by = 'restore' WHERE scope = 'all' AND lifted_at IS NULL
  RETURNING reason
)
INSERT INTO public.halts (scope, reason, by)
SELECT 'all', :why || coalesce((SELECT '; before that: ' || reason FROM earlier), ''), 'restore';

UPDATE public.events SET state = 'held', reason = 'halted: everything by restore: ' || :why, rule = 'halt',
  halt_id = (SELECT id FROM public.halts WHERE scope = 'all' AND lifted_at IS NULL), due_at = CAST(:forever AS timestamptz)
WHERE state IN ('queued', 'retrying', 'held') AND command = 'rebalance' AND NOT remove_requested;

-- Whatever was approved may have been traded since; whatever waits for an answer may have had one.
UPDATE public.approvals SET state = 'replaced'
WHERE state IN ('pending', 'approved', 'used')
  AND event_id IN (SELECT id FROM public.events WHERE state = 'held');

-- A key or session that was revoked since the backup would open again: all end, and are made anew (`rebalancer keys`).
DO $$ BEGIN
  IF to_regclass('public.credentials') IS NOT NULL THEN
    UPDATE public.credentials SET ended_at = now(), ended_by = 'restore' WHERE ended_at IS NULL;
  END IF;
END $$;
