"""Stored messages to domain objects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from greenroom.lifecycle.v1 import alias_pb2, check_pb2, deployment_pb2, policy_pb2, stage_graph_pb2, transition_pb2
from greenroomd.lifecycle import convert
from greenroomd.lifecycle.convert_transition import transition_from_proto
from greenroomd.lifecycle.domain import Alias, Check, Deployment, Policy, StageGraph, Transition
from greenroomd.lifecycle.graph import default_graph


def to_graph(namespace: str, message: bytes | None) -> StageGraph:
    if message is None:
        return default_graph(namespace)
    return convert.graph_from_proto(stage_graph_pb2.StageGraph.FromString(message))


def to_policy(message: bytes) -> Policy:
    return convert.policy_from_proto(policy_pb2.Policy.FromString(message))


def to_transition(row: Row[Any]) -> Transition:
    return transition_from_proto(transition_pb2.Transition.FromString(row.message), row.creators)


def to_alias(message: bytes) -> Alias:
    return convert.alias_from_proto(alias_pb2.Alias.FromString(message))


def to_check(message: bytes) -> Check:
    return convert.check_from_proto(check_pb2.Check.FromString(message))


def to_deployment(message: bytes) -> Deployment:
    return convert.deployment_from_proto(deployment_pb2.Deployment.FromString(message))
