"""A process that stands still (a laptop asleep) is noticed by the connection itself, not only by its missing beats."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.rpc.channels import open_channel
from realign_proto.v1 import status_pb2
from realign_proto.v1.status_pb2_grpc import StatusStub

if TYPE_CHECKING:
    from pathlib import Path

# Measured with grpcio 1.85.1: 3.6 s with http2.ping_timeout_ms, never (30 s) with the keepalive options alone.
NOTICED_S = 6.0

SERVER = """
import asyncio, sys
from pathlib import Path
from realign_daemon.cluster.addresses import Address
from realign_daemon.rpc.server import Server
from realign_proto.v1 import status_pb2
from realign_proto.v1.status_pb2_grpc import StatusServicer, add_StatusServicer_to_server

class Endless(StatusServicer):
    async def GetStatus(self, request, context): ...
    async def Bench(self, request, context):
        yield status_pb2.BenchEvent(text="begun")
        await asyncio.Event().wait()

async def main():
    server = Server(data_dir=Path(sys.argv[1]), listen=Address(host="127.0.0.1", port=0))
    async with server.serve(lambda to: add_StatusServicer_to_server(Endless(), to)):
        print("serving", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_stream_from_a_frozen_process_breaks_within_6_s(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, tmp_path, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readuntil(b"serving\n"), 30)
        async with open_channel(Address.parse((tmp_path / "endpoint").read_text())) as channel:
            call = StatusStub(channel).Bench(status_pb2.BenchRequest())
            assert isinstance(await call.read(), status_pb2.BenchEvent)
            os.kill(process.pid, signal.SIGSTOP)

            with pytest.raises(grpc.aio.AioRpcError) as broken:
                await asyncio.wait_for(call.read(), NOTICED_S)

        assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        process.kill()
        await process.wait()
