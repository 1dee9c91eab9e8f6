"""Typed values of parameters and tags in plain Python. An int never becomes a float on its way."""

from __future__ import annotations

Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...]
