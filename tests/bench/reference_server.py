"""What a server can do that does nothing: grpc.aio with our settings and prepared answers.

Unary methods are those of the real services, each answering with the message in the file of its name. Beside them are
streams of bytes, without protobuf and without a hash.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message_factory

# Imported for their descriptors.
import greenroom.catalog.v1.catalog_service_pb2
import greenroom.lifecycle.v1.lifecycle_service_pb2  # noqa: F401
from greenroomd.platform.server import ServerSettings, _options  # the same settings, whatever they are

CHUNK = bytes(1 << 20)
"""As large as the chunks of ReadBlob and WriteUpload."""

DOWNLOAD, UPLOAD, UPLOAD_TO_FILE = "/bench.Bytes/Download", "/bench.Bytes/Upload", "/bench.Bytes/UploadToFile"


def prepared(path: str, answer: bytes) -> grpc.RpcMethodHandler[Any, Any]:
    """Return a handler of a real method that reads the request and gives a prepared answer."""
    service, method = path.strip("/").split("/")
    descriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
    request_type = message_factory.GetMessageClass(descriptor.input_type)
    response_type: Any = message_factory.GetMessageClass(descriptor.output_type)
    message = response_type.FromString(answer)

    async def respond(request: Any, context: Any) -> Any:
        return message

    return grpc.unary_unary_rpc_method_handler(
        respond, request_deserializer=request_type.FromString, response_serializer=response_type.SerializeToString
    )


async def download(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for _ in range(int(request)):
        yield CHUNK


async def upload(chunks: AsyncIterator[bytes], context: Any) -> bytes:
    count = 0
    async for chunk in chunks:
        count += len(chunk)
    return str(count).encode()


def upload_to_file(folder: Path) -> Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]:
    async def receive(chunks: AsyncIterator[bytes], context: Any) -> bytes:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(os.fsync, file.fileno())
            return str(file.tell()).encode()

    return receive


class Handlers(grpc.GenericRpcHandler):
    def __init__(self, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(handler_call_details.method)


def read_answers(folder: Path) -> dict[str, bytes]:
    """Return what `Installation.start_reference` wrote: serialised answers by path."""
    return {"/" + file.name.replace("~", "/"): file.read_bytes() for file in folder.iterdir()}


async def serve(port: int, answers: Path) -> None:
    handlers = {path: prepared(path, answer) for path, answer in read_answers(answers).items()}
    handlers[DOWNLOAD] = grpc.unary_stream_rpc_method_handler(download)
    handlers[UPLOAD] = grpc.stream_unary_rpc_method_handler(upload)
    handlers[UPLOAD_TO_FILE] = grpc.stream_unary_rpc_method_handler(upload_to_file(answers.parent))
    server = grpc.aio.server(options=_options(ServerSettings()))
    server.add_generic_rpc_handlers((Handlers(handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
