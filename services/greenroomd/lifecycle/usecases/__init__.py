"""What the lifecycle does: one function for each RPC that needs a decision, one file for each topic.

All raise the errors of `lifecycle/errors.py`, which carry what the proto comments promise.
"""
