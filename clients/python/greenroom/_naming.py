"""What people write for a resource, as the resource's name.

Everything takes the short form (`demo`, `demo/digits`, `demo/digits/3`), the full resource name, a parsed name or the
resource itself. What cannot be read is an InvalidArgument that says what was expected, before any call is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.errors import FieldInvalid
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.names import InvalidName, ModelName, NamespaceName, TransitionName, VersionName

Name = TypeVar("Name")

AnyNamespace = str | NamespaceName | Namespace
AnyModel = str | ModelName | Model
AnyVersion = str | VersionName | Version
AnyTransition = str | TransitionName | Transition


def namespace_name(namespace: AnyNamespace) -> NamespaceName:
    """Read `demo` or `namespaces/demo`."""
    if isinstance(namespace, NamespaceName):
        return namespace
    text = namespace.name if isinstance(namespace, Namespace) else namespace
    return _read(NamespaceName.parse, text if text.startswith("namespaces/") else f"namespaces/{text}")


def model_name(model: AnyModel) -> ModelName:
    """Read `demo/digits` or `namespaces/demo/models/digits`."""
    if isinstance(model, ModelName):
        return model
    return _read(ModelName.parse_short, model.name if isinstance(model, Model) else model)


def version_name(version: AnyVersion) -> VersionName:
    """Read `demo/digits/3` or `namespaces/demo/models/digits/versions/3`."""
    if isinstance(version, VersionName):
        return version
    return _read(VersionName.parse_short, version.name if isinstance(version, Version) else version)


def transition_name(transition: AnyTransition) -> TransitionName:
    """Read `demo/ID` or `namespaces/demo/transitions/ID`."""
    if isinstance(transition, TransitionName):
        return transition
    text = transition.name if isinstance(transition, Transition) else transition
    if text.count("/") == 1:
        text = "namespaces/{}/transitions/{}".format(*text.split("/"))
    return _read(TransitionName.parse, text)


def resource_name(text: str) -> NamespaceName | ModelName | VersionName:
    """Read a namespace, model or version, whichever the text names."""
    short = text.removeprefix("namespaces/").replace("/models/", "/").replace("/versions/", "/")
    readers: list[Callable[[str], NamespaceName | ModelName | VersionName]] = [namespace_name, model_name, version_name]
    return readers[min(short.count("/"), 2)](text)


def _read(parse: Callable[[str], Name], text: str) -> Name:
    try:
        return parse(text)
    except InvalidName as error:
        raise FieldInvalid(str(error)) from error
