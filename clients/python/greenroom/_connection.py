"""One channel to a server and what every call over it has in common.

Every unary call has a deadline and is repeated by gRPC itself while the server is UNAVAILABLE; that is safe because
each mutation carries a request id that is made once per call here. Streams are not repeated by gRPC: uploads,
downloads and watches know where they were and resume there.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from greenroom._failures import from_rpc_error
from greenroom._telemetry import Metadata, call_span
from greenroom.artifact.v1 import artifact_service_pb2
from greenroom.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from greenroom.catalog.v1 import catalog_service_pb2
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroom.credentials import Credentials
from greenroom.errors import Cancelled, InvalidArgument, Unavailable
from greenroom.lifecycle.v1 import lifecycle_service_pb2
from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import LifecycleServiceStub
from greenroom.search.v1 import search_service_pb2
from greenroom.search.v1.search_service_pb2_grpc import SearchServiceStub

DEFAULT_TIMEOUT = 30.0
"""Seconds that a unary call may take, its retries included."""

LARGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes of the largest message accepted; a server sends at most 4 MiB."""

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

_SERVICES = [
    artifact_service_pb2.DESCRIPTOR.services_by_name["ArtifactService"],
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    lifecycle_service_pb2.DESCRIPTOR.services_by_name["LifecycleService"],
    search_service_pb2.DESCRIPTOR.services_by_name["SearchService"],
]


def service_config() -> str:
    """Return the gRPC service config: which methods are repeated, how often and after how long.

    Every unary method that its contract marks as idempotent, up to 5 attempts, after 0.1 s, then doubling to 2 s.
    """
    methods: list[MethodDescriptor] = [method for service in _SERVICES for method in service.methods]
    names = [
        {"service": method.containing_service.full_name, "method": method.name}
        for method in methods
        if not method.client_streaming and not method.server_streaming and method.GetOptions().idempotency_level
    ]
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        # CANCELLED is what gRPC answers to a call that met a server just as it stopped; nobody has begun it.
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": retry}]})


def channel_options() -> list[tuple[str, Any]]:
    """Return the options of the channel: a dead peer is noticed within 30 s while a call is open."""
    return [
        ("grpc.service_config", service_config()),
        ("grpc.enable_retries", 1),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ("grpc.primary_user_agent", f"greenroom-python/{importlib.metadata.version('greenroom')}"),
    ]


class Connection:
    """A channel with the stubs of all services on it. Belongs to the event loop that made it.

    Args:
        credentials: where to call and with which token. `https://` in front of the server means TLS.
        timeout: seconds that a unary call may take.
        ca_certificates: PEM file of the authorities to trust with TLS; unset means those that gRPC ships.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        ca_certificates: Path | None = None,
    ) -> None:
        self.server = credentials.server
        self.timeout = timeout
        self.revisions: dict[str, int] = {}
        """By service, the newest revision that a call over this connection made."""
        if not credentials.token.isascii() or not credentials.token.isprintable():
            raise InvalidArgument("the token has characters that no token has; was it cut or quoted by mistake?")
        self._authorization = (("authorization", f"Bearer {credentials.token}"),)
        scheme, separator, address = credentials.server.partition("://")
        if separator and scheme not in {"http", "https"}:
            raise InvalidArgument(f"{credentials.server} is not host:port, http://host:port or https://host:port")
        address = (address if separator else credentials.server).rstrip("/")
        if scheme == "https" and separator:
            roots = ca_certificates.read_bytes() if ca_certificates else None
            self._channel = grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots), channel_options())
        else:
            self._channel = grpc.aio.insecure_channel(address, channel_options())
        self.artifact = ArtifactServiceStub(self._channel)
        self.catalog = CatalogServiceStub(self._channel)
        self.lifecycle = LifecycleServiceStub(self._channel)
        self.search = SearchServiceStub(self._channel)

    async def unary(self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request) -> Response:
        """Make a unary call. Fills in the request id where the request has one.

        Raises:
            GreenroomError: of the class of the failure's reason.
        """
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            mutation = cast(Any, request)
            mutation.request_id = mutation.request_id or str(uuid.uuid4())
        with self.calling(method_name(request)) as metadata:
            response = await method(request, timeout=self.timeout, metadata=metadata)
        if "request_id" in request.DESCRIPTOR.fields_by_name and "revision" in response.DESCRIPTOR.fields_by_name:
            service = service_of(request)
            self.revisions[service] = max(self.revisions.get(service, 0), cast(Any, response).revision)
        return response

    @contextmanager
    def calling(self, method: str) -> Iterator[Metadata]:
        """Trace a call and turn its failure into an exception of ours; yields the metadata to send."""
        with call_span(method) as trace_context:
            try:
                yield self._authorization + trace_context
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error, self.server) from error
            except grpc.aio.UsageError as error:
                raise Cancelled("the client is closed; make a new one with greenroom.connect()") from error

    async def ready(self, seconds: float) -> None:
        """Wait until the channel is connected.

        Raises:
            Unavailable: after `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._channel.channel_ready()
        except TimeoutError:
            raise Unavailable(
                f"cannot reach Greenroom at {self.server}: is it running? `greenroom up` starts one here"
            ) from None

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        await self._channel.close()


def service_of(message: Message) -> str:
    """Return the service whose contract a message belongs to, such as `catalog`."""
    return message.DESCRIPTOR.file.package.split(".")[1]


def method_name(request: Message) -> str:
    """Return the full name of the method that a request message belongs to.

    Every RPC has a request message of its own name, which the protos' lint holds.
    """
    service = f"{request.DESCRIPTOR.file.package}.{service_of(request).capitalize()}Service"
    return f"/{service}/{request.DESCRIPTOR.name.removesuffix('Request')}"
