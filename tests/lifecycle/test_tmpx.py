import asyncio, time, sys
sys.path.insert(0,'/work/main/tests')
from greenroomd.lifecycle.stores.writing import PostgresLifecycleWriter
from support.server import refusal
import grpc
from collections import Counter
import pytest
from support.lifecycle import Team
async def test_x(server, monkeypatch):
    team = await Team.start(server)
    versions = await team.versions(21)
    for v in versions: await team.move(v,'staging')
    await team.move(versions[0],'production')
    async def no_lock(self, namespace, names): ...
    monkeypatch.setattr(PostgresLifecycleWriter,'lock',no_lock)
    t0=time.time()
    async def one(v):
        try:
            await team.request(v,'production')
            r='OK'
        except grpc.aio.AioRpcError as e: r=refusal(e).reason+' '+refusal(e).message[:100]
        print(f'{time.time()-t0:.2f}', r)
    await asyncio.gather(*(one(v) for v in versions[1:]))
    print('done', time.time()-t0)
