"""PyPI `cent` gives orders to the hub: prints what it saw, one line of JSON per fact.

python hub_api.py http://HOST:PORT/api KEY
"""

import json
import sys

from cent import (
    BatchRequest, BroadcastRequest, CentApiResponseError, ChannelsRequest, Client, DisconnectRequest, HistoryRemoveRequest,
    HistoryRequest, InfoRequest, PresenceRequest, PresenceStatsRequest, PublishRequest, RefreshRequest, SubscribeRequest,
    UnsubscribeRequest,
)

client = Client(*sys.argv[1:3])
published = client.publish(PublishRequest(channel="orders", data={"number": 1}))
broadcast = client.broadcast(BroadcastRequest(channels=["orders", "unknown:a"], data={"number": 2}))
history = client.history(HistoryRequest(channel="orders", limit=10))
print(json.dumps({
    "fact": "published", "offset": published.offset, "refused": broadcast.responses[1].error.code,
    "history": [publication.data["number"] for publication in history.publications],
}))
batch = client.batch(BatchRequest(requests=[PublishRequest(channel="orders", data=number) for number in range(2)]))
print(json.dumps({"fact": "batch", "offsets": [reply.offset for reply in batch.replies]}))
client.history_remove(HistoryRemoveRequest(channel="orders"))
for request in [SubscribeRequest, UnsubscribeRequest]:
    getattr(client, request.__name__.removesuffix("Request").lower())(request(user="nobody", channel="orders"))
client.disconnect(DisconnectRequest(user="nobody"))
client.refresh(RefreshRequest(user="nobody"))
presence = client.presence(PresenceRequest(channel="orders")).presence
stats = client.presence_stats(PresenceStatsRequest(channel="orders"))
print(json.dumps({
    "fact": "asked", "presence": presence, "clients": stats.num_clients, "channels": client.channels(ChannelsRequest()).channels,
    "nodes": len(client.info(InfoRequest()).nodes),
}))
try:
    client.publish(PublishRequest(channel="unknown:a", data=1))
except CentApiResponseError as error:
    print(json.dumps({"fact": "refused", "refused": error.code == 102}))
