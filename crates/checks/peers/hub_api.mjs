// npm `cent.js` gives orders to the hub: prints what it saw, one line of JSON per fact.
//   node hub_api.mjs http://HOST:PORT/api KEY
import { CentClient } from "cent.js";
import { print } from "./messages.mjs";

const [url, apiKey] = process.argv.slice(2);
const client = new CentClient({ url, apiKey });

const channel = "orders";
const { offset } = await client.publish({ channel, data: { number: 1 } });
const { responses } = await client.broadcast({ channels: [channel, "unknown:a"], data: { number: 2 } });
const { publications } = await client.getHistory({ channel, limit: 10 });
print({ fact: "published", offset, refused: responses[1].error.code, history: publications.map(({ data }) => data.number) });
// By the older form, in lines.
const batch = await client.pipeline([0, 1].map((data) => ({ method: "publish", params: { channel, data } })));
print({ fact: "batch", offsets: batch.map((result) => result.offset) });
await client.removeHistory({ channel });
const user = "nobody";
await client.subscribe({ user, channel });
await client.unsubscribe({ user, channel });
await client.disconnect({ user });
await client.refresh({ user });
const { presence } = await client.getPresence({ channel });
const { num_clients: clients } = await client.getPresenceStats({ channel });
const { channels } = await client.getChannels();
const { nodes } = await client.getInfo();
print({ fact: "asked", presence, clients, channels, nodes: nodes.length });
// This client doesn't say which error it was.
const refused = await client.publish({ channel: "unknown:a", data: 1 }).then(() => false, () => true);
print({ fact: "refused", refused });
