"""What every call passes through, in one named order; see `chain.py`."""
