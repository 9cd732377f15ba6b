"""The SDK centrifuge-python: takes orders on standard input (sdk_orders.mjs has them), prints one line of JSON per fact.

python sdk.py http://HOST:PORT TOKENS [--protobuf]
"""

import asyncio
import json
import sys
import urllib.request

from centrifuge import CentrifugeError, Client, ClientEventHandler, ReplyError, SubscriptionEventHandler

BASE, TOKENS = sys.argv[1:3]
PROTOBUF = "--protobuf" in sys.argv


def encode(text):
    return text.encode() if PROTOBUF else json.loads(text)


def decode(data):
    return json.loads(data) if PROTOBUF else data


def tell(fact, **values):
    print(json.dumps({"fact": fact, **values}))


def publication(channel, pub):
    user = pub.info.user if pub.info else ""
    return {"channel": channel, "offset": pub.offset, "data": decode(pub.data), "by": user}


class Connection(ClientEventHandler):
    async def on_connecting(self, ctx):
        tell("connecting", code=ctx.code)

    async def on_connected(self, ctx):
        tell("connected")

    async def on_disconnected(self, ctx):
        tell("disconnected", code=ctx.code)

    async def on_subscribed(self, ctx):
        tell("server_subscribed", channel=ctx.channel, wasRecovering=ctx.was_recovering, recovered=ctx.recovered)

    async def on_unsubscribed(self, ctx):
        tell("server_unsubscribed", channel=ctx.channel)

    async def on_publication(self, ctx):
        tell("server_publication", **publication(ctx.channel, ctx.pub))


class Subscribed(SubscriptionEventHandler):
    def __init__(self, channel):
        self.channel = channel

    async def on_subscribed(self, ctx):
        tell("subscribed", channel=self.channel, wasRecovering=ctx.was_recovering, recovered=ctx.recovered)

    async def on_unsubscribed(self, ctx):
        tell("unsubscribed", channel=self.channel, code=ctx.code)

    async def on_publication(self, ctx):
        tell("publication", **publication(self.channel, ctx.pub))

    async def on_join(self, ctx):
        tell("join", channel=self.channel, user=ctx.info.user)

    async def on_leave(self, ctx):
        tell("leave", channel=self.channel, user=ctx.info.user)


def fetch_token():
    with urllib.request.urlopen(TOKENS) as response:
        return response.read().decode()


async def token():
    tell("token")
    return await asyncio.to_thread(fetch_token)


async def answer(client, name, first, rest):
    if name == "publish":
        await client.publish(first, encode(rest))
        return {}
    if name == "history":
        result = await client.history(first, limit=100)
        return {"publications": [decode(pub.data) for pub in result.publications], "offset": result.offset}
    if name == "presence":
        return {"users": [info.user for info in (await client.presence(first)).clients.values()]}
    if name == "stats":
        result = await client.presence_stats(first)
        return {"clients": result.num_clients, "users": result.num_users}
    if name == "rpc":
        return {"data": decode((await client.rpc(first, encode(rest))).data)}
    raise ValueError(name)


async def obey(client, line):
    name, first, rest = [*line.split(" ", 2), "", ""][:3]
    if name == "connect":
        await client.connect()
    elif name == "disconnect":
        await client.disconnect()
    elif name == "subscribe":
        await client.new_subscription(first, events=Subscribed(first)).subscribe()
    elif name == "unsubscribe":
        await client.get_subscription(first).unsubscribe()
    else:
        try:
            tell("answer", to=name, code=0, **await answer(client, name, first, rest))
        except ReplyError as error:
            tell("answer", to=name, code=error.code)
        except CentrifugeError as error:
            tell("answer", to=name, code=-1, error=str(error))


async def main():
    url = BASE.replace("http", "ws", 1) + "/connection/websocket"
    client = Client(
        url, get_token=token, use_protobuf=PROTOBUF, events=Connection(), min_reconnect_delay=0.05, max_reconnect_delay=0.5,
    )
    while line := await asyncio.to_thread(sys.stdin.readline):
        await obey(client, line.strip())


asyncio.run(main())
