// Maps with the SDK npm `centrifuge`: pages, changes, differences, a connection that is cut, another epoch.
//   node maps.mjs http://HOST:PORT --api-key KEY [--protobuf] [--transport websocket|http_stream|sse]
import { parseArgs } from "node:util";
import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";

const { values, positionals: [base] } = parseArgs({
  allowPositionals: true,
  options: {
    "api-key": { type: "string" },
    protobuf: { type: "boolean" },
    transport: { type: "string", default: "websocket" },
  },
});
const Centrifuge = values.protobuf ? Protobuf : Json;

const order = async (name, parameters) => {
  const response = await fetch(`${base}/api/${name}`, {
    method: "POST",
    headers: { "X-API-Key": values["api-key"] },
    body: JSON.stringify(parameters),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${name}: ${JSON.stringify(error)}`);
  return result;
};

const connect = () => {
  const scheme = values.transport === "websocket" ? base.replace("http", "ws") : base;
  const client = new Centrifuge(
    [{ transport: values.transport, endpoint: `${scheme}/connection/${values.transport}` }],
    {
      websocket: WebSocket, eventsource: EventSource, fetch, readableStream: ReadableStream,
      emulationEndpoint: `${base}/emulation`, minReconnectDelay: 10, maxReconnectDelay: 50,
    },
  );
  client.connect();
  return client;
};

// The binary encoding leaves payloads to the application.
const decode = (data) => values.protobuf && data?.length ? JSON.parse(new TextDecoder().decode(data)) : data;
const encode = (data) => values.protobuf ? new TextEncoder().encode(JSON.stringify(data)) : data;

/** What a page would show of a map, and how it came to it. */
class View {
  entries = new Map();
  syncs = 0;
  updates = 0;
  #wake = () => {};

  constructor(subscription) {
    this.subscription = subscription;
    subscription.on("sync", ({ entries }) => {
      this.syncs += 1;
      this.entries = new Map(entries.map(({ key, data }) => [key, decode(data)]));
      this.#wake();
    });
    subscription.on("update", ({ key, data, removed }) => {
      this.updates += 1;
      if (removed) this.entries.delete(key);
      else this.entries.set(key, decode(data));
      this.#wake();
    });
    subscription.on("subscribed", () => this.#wake());
    subscription.on("error", ({ error }) => print({ fact: "error", error }));
    subscription.subscribe();
  }

  async until(condition) {
    while (!condition(this)) await new Promise((resolve) => { this.#wake = resolve; });
  }

  sorted() {
    return Object.fromEntries([...this.entries].sort());
  }
}

const state = async (channel) => {
  const { entries } = await order("map_read_state", { channel, limit: -1 });
  return Object.fromEntries(entries.map(({ key, data }) => [key, data ?? null]).sort());
};

const same = async (view, channel) => {
  const [expected, shown] = [await state(channel), view.sorted()];
  const isSame = JSON.stringify(expected) === JSON.stringify(shown);
  return isSame || { expected, shown };
};

const text = "a text that stays the same from change to change";

// Five pages, while changes come.
const channel = "kept:1";
for (let number = 0; number < 23; number += 1) {
  await order("map_publish", { channel, key: `k${number}`, data: { number, text } });
}
const client = connect();
const view = new View(client.newMapSubscription(channel, { pageSize: 5, delta: "fossil" }));
await order("map_publish", { channel, key: "k0", data: { number: 100, text } });
await order("map_publish", { channel, key: "new", data: { number: 101, text } });
await order("map_remove", { channel, key: "k22" });
await view.until(({ entries }) => entries.size === 23 && entries.get("k0")?.number === 100 && !entries.has("k22"));
print({ fact: "read", same: await same(view, channel), syncs: view.syncs });

// Changes, as differences, by a back end and by clients.
for (let number = 1; number <= 3; number += 1) {
  await order("map_publish", { channel, key: "k1", data: { number, text } });
}
await view.subscription.publish("mine", encode({ number: 1 }));
await view.until(({ entries }) => entries.has("mine") && entries.get("k1").number === 3);
await view.subscription.remove("mine");
await view.until(({ entries }) => !entries.has("mine"));
const { numDeltaPayloads } = view.subscription.deltaStats();
print({ fact: "changed", same: await same(view, channel), deltas: numDeltaPayloads > 0 });

// The connection is cut, and what was missed comes as changes.
const before = { syncs: view.syncs };
client.disconnect();
await order("map_publish", { channel, key: "k2", data: { number: 200, text } });
await order("map_remove", { channel, key: "k3" });
let recovered;
view.subscription.on("subscribed", (context) => { recovered = context.recovered; });
client.connect();
await view.until(({ entries }) => entries.get("k2")?.number === 200 && !entries.has("k3"));
await order("map_publish", { channel, key: "k2", data: { number: 201, text } });
await view.until(({ entries }) => entries.get("k2")?.number === 201);
print({
  fact: "recovered", recovered, same: await same(view, channel), syncs: view.syncs - before.syncs,
});

// So much is missed that the entries are read anew.
client.disconnect();
for (let number = 0; number < 30; number += 1) {
  await order("map_publish", { channel, key: `k${number % 20}`, data: { number: 300 + number, text } });
}
client.connect();
await view.until(({ syncs, entries }) => syncs > before.syncs && entries.get("k9")?.number === 329);
print({ fact: "anew", recovered, same: await same(view, channel) });

// Who is here.
const here = new View(client.newMapClientsSubscription("here:room:1"));
await here.until(({ syncs }) => syncs === 1);
const other = connect();
const room = other.newSubscription("room:1");
room.subscribe();
await here.until(({ entries }) => entries.size === 1);
other.disconnect();
await here.until(({ entries }) => entries.size === 0);

// Entries that expire.
const short = new View(client.newMapSubscription("short:1"));
await short.until(({ syncs }) => syncs === 1);
await order("map_publish", { channel: "short:1", key: "k", data: { number: 1 } });
await short.until(({ updates }) => updates === 2);
print({ fact: "gone", entries: short.entries.size });

// A filter.
await order("map_publish", { channel: "kept:2", key: "a", data: { number: 1 }, tags: { team: "red" } });
await order("map_publish", { channel: "kept:2", key: "b", data: { number: 2 }, tags: { team: "blue" } });
const red = new View(client.newMapSubscription("kept:2", { tagsFilter: { key: "team", cmp: "eq", val: "red" } }));
await red.until(({ syncs }) => syncs === 1);
await order("map_publish", { channel: "kept:2", key: "b", data: { number: 3 }, tags: { team: "blue" } });
await order("map_publish", { channel: "kept:2", key: "c", data: { number: 4 }, tags: { team: "red" } });
await red.until(({ entries }) => entries.has("c"));
print({ fact: "filtered", keys: [...red.entries.keys()].sort() });

print({ fact: "end" });
process.exit(0);
