"""Tells people what happens, and makes sure that silence is noticed; docs/notifications.md.

Facts are put in the ledger's outbox by the transaction that makes them true. Beat's process sends them on: `routing`
says to whom, `letters` and `wording` what, `sending` how; `watch` adds what no transaction can tell, such as silence.
"""
