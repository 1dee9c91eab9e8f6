"""The change log: one mechanism for audit, outbox, watch and indexing.

    usecase ── records ──> log.py ── same transaction ──> PostgreSQL
                              │ after commit
               ┌──────────────┴───────────────┐
          feed.py (wakes watchers)      publisher.py ──> Redis, as CloudEvents
               │                              │
          watch.py (streams)   <── wakes ── subscription.py (other processes' commits)

PostgreSQL is the truth. Redis only makes it fast: a message that is lost, late or doubled changes nothing but latency.
"""
