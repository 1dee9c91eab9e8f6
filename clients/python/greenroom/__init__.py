"""Greenroom: a model registry that speaks gRPC.

    import greenroom

    with greenroom.connect() as client:
        version = client.push("demo/digits", "model/", metrics={"accuracy": 0.97})
        client.promote(version, "staging")
        client.pull("demo/digits@staging", "serving/")

Resources are the messages of the contract (`greenroom.<service>.v1`); errors are the classes of `greenroom.errors`.
"""

from importlib.metadata import version as _version

from greenroom._async_client import AsyncClient, connect_async
from greenroom._catalog_calls import ListedVersion
from greenroom._client import ChangeIterator, Client, connect
from greenroom._pull import Pulled
from greenroom._watch import Change, ChangeStream
from greenroom.catalog.v1.facts_pb2 import (
    CodeReference,
    Dataset,
    Environment,
    Facts,
    Hardware,
    Metric,
    Port,
    Producer,
)
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.credentials import Credentials
from greenroom.errors import GreenroomError
from greenroom.lifecycle.v1.resolution_pb2 import Resolution
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.progress import Progress
from greenroom.roles import Role

__version__ = _version("greenroom")

__all__ = [
    "AsyncClient",
    "Change",
    "ChangeIterator",
    "ChangeStream",
    "Client",
    "CodeReference",
    "Credentials",
    "Dataset",
    "Environment",
    "Facts",
    "GreenroomError",
    "Hardware",
    "ListedVersion",
    "Metric",
    "Model",
    "Namespace",
    "Port",
    "Producer",
    "Progress",
    "Pulled",
    "Resolution",
    "Role",
    "Transition",
    "Version",
    "__version__",
    "connect",
    "connect_async",
]
