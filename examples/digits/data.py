"""The digits that scikit-learn ships, always split the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Digits:
    train_x: Any
    test_x: Any
    train_y: Any
    test_y: Any
    bytes: bytes
    """All of it, for a digest."""


def load() -> Digits:
    """Return the digits: 70 % to train on, 30 % to test."""
    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.3, random_state=0, stratify=data.target
    )
    return Digits(train_x, test_x, train_y, test_y, data.data.tobytes() + data.target.tobytes())
