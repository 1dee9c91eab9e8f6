"""Unary gRPC calls from a client that costs little, so that the server is what is measured.

A grpc.aio client needs as much CPU for a call as an empty server does: it would hide half of the difference between
two servers. This one sends prepared HTTP/2 frames and looks no further than the frame headers of the answers.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

CONNECTIONS = 4

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
LARGEST_WINDOW = 2**31 - 1
INITIAL_WINDOW = 65535

Body = Callable[[int], bytes]
"""Gives the serialised request of the next call in a slot. A slot has one call in flight at a time."""


class LoadError(Exception):
    """Calls failed, so what was measured means nothing."""


@dataclass
class Progress:
    """What all connections of one measurement share."""

    body: Body
    until: float
    done_in_time: int = 0
    failures: int = 0
    problem: str = ""
    last: float = field(default_factory=time.perf_counter)

    def finished(self, answered: bool) -> None:
        now = time.perf_counter()
        self.failures += not answered
        if now <= self.until:
            self.done_in_time += 1
            self.last = now


class Caller(asyncio.Protocol):
    """One HTTP/2 connection with a number of calls in flight."""

    def __init__(self, path: str, token: str, slots: range, progress: Progress) -> None:
        self._headers = request_headers(path, token)
        self._progress = progress
        self._waiting = deque(slots)
        """Slots whose next call is still to be sent."""
        self._slots: dict[int, int] = {}
        """Slot by stream in flight."""
        self._answered: set[int] = set()
        self._next_stream = 1
        self._window = INITIAL_WINDOW
        self._buffer = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = struct.pack(">HIHI", 4, LARGEST_WINDOW, 5, 2**24 - 1)  # initial window, largest frame
        widened = struct.pack(">I", LARGEST_WINDOW - INITIAL_WINDOW)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        transport.write(preface + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, widened))
        self._send()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        position, end = 0, len(buffer)
        while end - position >= 9:
            length = int.from_bytes(buffer[position : position + 3])
            if end - position - 9 < length:
                break
            kind, flags = buffer[position + 3], buffer[position + 4]
            stream = int.from_bytes(buffer[position + 5 : position + 9])
            payload = memoryview(buffer)[position + 9 : position + 9 + length]
            self._received(kind, flags, stream, payload)
            payload.release()
            position += 9 + length
        del buffer[:position]
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(LoadError(self._progress.problem or f"the server closed the connection: {exc}"))

    def _received(self, kind: int, flags: int, stream: int, payload: memoryview) -> None:
        if kind == DATA:
            self._answered.add(stream)
        elif kind == SETTINGS and not flags & ACK:
            self._transport.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, bytes(payload)))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)
        elif kind == GOAWAY:
            self._progress.problem = bytes(payload).decode(errors="replace")
        if (kind in (DATA, HEADERS) and flags & END_STREAM) or kind == RST_STREAM:
            self._waiting.append(self._slots.pop(stream))
            # A call that failed has trailers alone.
            self._progress.finished(stream in self._answered and kind != RST_STREAM)
            self._answered.discard(stream)

    def _send(self) -> None:
        frames = []
        if time.perf_counter() < self._progress.until:
            while self._waiting and self._window > 4096:
                slot, stream = self._waiting.popleft(), self._next_stream
                self._next_stream += 2
                self._slots[stream] = slot
                body = self._progress.body(slot)
                message = struct.pack(">BI", 0, len(body)) + body
                self._window -= len(message)
                frames += [
                    frame(HEADERS, END_HEADERS, stream, self._headers),
                    frame(DATA, END_STREAM, stream, message),
                ]
        elif not self._slots and not self.ended.done():
            self.ended.set_result(None)
        if frames:
            self._transport.write(b"".join(frames))

    def close(self) -> None:
        self._transport.abort()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request_headers(path: str, token: str) -> bytes:
    """Return a HPACK block of literals without indexing, the same for every call."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "authorization": f"Bearer {token}",
    }
    block = b""
    for name, value in fields.items():
        assert max(len(name), len(value)) < 127, "longer ones would need another length encoding"
        block += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


async def calls_per_second(
    address: str, path: str, token: str, body: Body, *, in_flight: int, seconds: float
) -> tuple[float, int]:
    """Call for a while, and return how many calls a second ended within it, and how many ended in all.

    Returns when the last call has ended. Raises LoadError when one failed.
    """
    host, port = address.rsplit(":", 1)
    started = time.perf_counter()
    progress = Progress(body, started + seconds)
    connections = min(CONNECTIONS, in_flight)
    share = in_flight // connections
    loop = asyncio.get_running_loop()
    callers = []
    total = 0

    def counted(slot: int) -> bytes:
        nonlocal total
        total += 1
        return body(slot)

    progress.body = counted
    try:
        for number in range(connections):
            slots = range(number * share, (number + 1) * share)

            def make(slots: range = slots) -> Caller:
                return Caller(path, token, slots, progress)

            _, caller = await loop.create_connection(make, host, int(port))
            callers.append(caller)
        async with asyncio.timeout(seconds + 30):
            await asyncio.gather(*(caller.ended for caller in callers))
    finally:
        for caller in callers:
            caller.close()
    if progress.failures:
        raise LoadError(f"{progress.failures} of {total} calls of {path} failed")
    return progress.done_in_time / (progress.last - started), total
