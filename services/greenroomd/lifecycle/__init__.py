"""The lifecycle: which version of a model may be where, and who let it.

What always holds:
- A version is in exactly one stage; at most `capacity` versions of a model are in a stage at any revision.
- All moves of a transition, displaced versions included, are one change: no revision shows some of them.
- A transition completes only when its gates are met and the move is allowed at that moment, judged in the
  transaction that makes the move.
- Nobody approves what they requested or made.
- A version that is being deleted does not move, and one that moves is not deleted: both sides of that race go
  through the lock of the model (`ports.LifecycleWriter.lock`, `ports.LifecycleStore.settle`).
"""
