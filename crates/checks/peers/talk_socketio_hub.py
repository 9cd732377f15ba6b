"""PyPI python-socketio at the hub: prints what it saw, one line of JSON per fact.
  python talk_socketio_hub.py URL sync|asyncio polling|websocket|upgrade
"""

import asyncio
import json
import queue
import sys

import socketio

url, kind, mode = sys.argv[1:]
transports = ["polling", "websocket"] if mode == "upgrade" else [mode]
data = {"text": "Grüße", "list": [1, None]}
raw = bytes([0, 1, 254, 255])


def show(**fact):
    print(json.dumps(fact), flush=True)


def talk():
    client = socketio.Client(reconnection=False)
    received = queue.Queue()
    client.on("publication", lambda *args: received.put(args))
    client.connect(url, transports=transports, auth={"name": "python"}, wait_timeout=20)
    subscribed = client.call("subscribe", "python", timeout=60)
    show(fact="subscribed", offset=subscribed["offset"])
    client.emit("publish", ("python", data))
    show(fact="data", same=list(received.get(timeout=60)[:2]) == ["python", data])
    show(fact="published", answer=client.call("publish", ("python", raw), timeout=60))
    show(fact="bytes", same=received.get(timeout=60)[1] == raw)
    show(fact="history", offset=client.call("history", ("python", {"limit": 1}), timeout=60)["offset"])
    show(fact="refused", answer=client.call("subscribe", "nowhere:news", timeout=60))
    show(fact="carried", transport=client.transport())
    client.disconnect()


async def talk_async():
    client = socketio.AsyncClient(reconnection=False)
    received = asyncio.Queue()
    client.on("publication", lambda *args: received.put_nowait(args))
    await client.connect(url, transports=transports, auth={"name": "python"}, wait_timeout=20)
    subscribed = await client.call("subscribe", "python", timeout=60)
    show(fact="subscribed", offset=subscribed["offset"])
    await client.emit("publish", ("python", data))
    show(fact="data", same=list((await received.get())[:2]) == ["python", data])
    show(fact="published", answer=await client.call("publish", ("python", raw), timeout=60))
    show(fact="bytes", same=(await received.get())[1] == raw)
    show(fact="history", offset=(await client.call("history", ("python", {"limit": 1}), timeout=60))["offset"])
    show(fact="refused", answer=await client.call("subscribe", "nowhere:news", timeout=60))
    show(fact="carried", transport=client.transport())
    await client.disconnect()


if kind == "sync":
    talk()
else:
    asyncio.run(talk_async())
