"""The SDK centrifuge-python talks to the hub: prints what it saw, one line of JSON per fact.

python hub_client.py ws://HOST:PORT/connection/websocket TOKEN [--protobuf]
"""

import asyncio
import json
import sys

from centrifuge import Client, SubscriptionEventHandler

URL, TOKEN = sys.argv[1:3]
PROTOBUF = "--protobuf" in sys.argv
LIMIT = 20


def encode(value):
    return json.dumps(value).encode() if PROTOBUF else value


def decode(data):
    return json.loads(data) if PROTOBUF else data


class Events(SubscriptionEventHandler):
    def __init__(self):
        self.publications = asyncio.Queue()

    async def on_publication(self, context):
        await self.publications.put(decode(context.pub.data))


async def main():
    async def token():
        return TOKEN

    events = Events()
    client = Client(URL, get_token=token, use_protobuf=PROTOBUF)
    subscription = client.new_subscription("python", events=events)
    await client.connect()
    await subscription.subscribe()
    await asyncio.wait_for(subscription.ready(), LIMIT)
    for number in range(3):
        await subscription.publish(encode({"number": number}))
    got = [await asyncio.wait_for(events.publications.get(), LIMIT) for _ in range(3)]
    stats = await subscription.presence_stats()
    history = await subscription.history(limit=10)
    print(json.dumps({
        "fact": "talked", "got": got, "clients": stats.num_clients,
        "history": [decode(publication.data) for publication in history.publications],
    }))
    await client.disconnect()


asyncio.run(main())
