"""Renaming demo/digits, short."""

from __future__ import annotations

from typing import Any

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from support.lifecycle import DEMO, DIGITS, Team

MNIST = f"{DEMO}/models/mnist"


def rename(team: Team, model: str = DIGITS, model_id: str = "mnist", **fields: Any) -> Any:
    """Rename a model; to be awaited."""
    return team.server.as_("admin").catalog.RenameModel(
        pb.RenameModelRequest(name=model, model_id=model_id, **fields), timeout=20
    )
