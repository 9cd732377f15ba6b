"""PyPI python-socketio: talks to a namespace that echoes, and prints what it saw, one line of JSON per fact.
  python talk_socketio.py URL sync|asyncio polling|websocket|upgrade
"""

import asyncio
import json
import queue
import sys

import socketio

url, kind, mode = sys.argv[1:]
transports = ["polling", "websocket"] if mode == "upgrade" else [mode]
deep = {"text": "Grüße, 你好, 🐟", "list": [1, None, {"deep": True}]}
data = bytes([0, 1, 254, 255])


def show(**fact):
    print(json.dumps(fact), flush=True)


def talk():
    client = socketio.Client(reconnection=False)
    received = queue.Queue()
    client.on("back", lambda *args: received.put(args))
    client.on("question", lambda number: number + 1)
    client.connect(url, transports=transports, auth={"token": "good"}, wait_timeout=20)
    for number in range(300):
        client.emit("echo", number)
    show(fact="order", same=[received.get(timeout=60)[0] for _ in range(300)] == list(range(300)))
    show(fact="ack", same=list(client.call("ack", (deep, data), timeout=60)) == [deep, data])
    client.emit("echo", (deep, data))
    show(fact="binary", same=received.get(timeout=60) == (deep, data))
    show(fact="call", answer=client.call("ask", 41, timeout=60))
    show(fact="carried", transport=client.transport())
    client.disconnect()


async def talk_async():
    client = socketio.AsyncClient(reconnection=False)
    received = asyncio.Queue()
    client.on("back", lambda *args: received.put_nowait(args))
    client.on("question", lambda number: number + 1)
    await client.connect(url, transports=transports, auth={"token": "good"}, wait_timeout=20)
    for number in range(300):
        await client.emit("echo", number)
    show(fact="order", same=[(await received.get())[0] for _ in range(300)] == list(range(300)))
    show(fact="ack", same=list(await client.call("ack", (deep, data), timeout=60)) == [deep, data])
    await client.emit("echo", (deep, data))
    show(fact="binary", same=await received.get() == (deep, data))
    show(fact="call", answer=await client.call("ask", 41, timeout=60))
    show(fact="carried", transport=client.transport())
    await client.disconnect()


if kind == "sync":
    talk()
else:
    asyncio.run(talk_async())
