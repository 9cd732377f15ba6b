// Publishes to a hub through its API while the hub is killed and started again, and subscribes with npm `centrifuge`, which
// recovers. Prints one line of JSON for each hundred publications that were accepted, and after a line of input what it saw.
//   node hub_crashes.mjs http://HOST:PORT --api-key K --publishers N
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Centrifuge } from "centrifuge";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "api-key": { type: "string" }, publishers: { type: "string" } },
});
const [base] = positionals;

/** Position by publisher and number, of what was accepted. */
const accepted = new Map();
/** What the subscriber got, in its order. */
const seen = [];
let unrecovered = 0;
let recoveries = 0;
let isOver = false;

const centrifuge = new Centrifuge(`${base.replace(/^http/, "ws")}/connection/websocket`, {
  websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200,
});
const subscription = centrifuge.newSubscription("news");
subscription.on("publication", ({ data, offset }) => seen.push({ name: data.name, offset }));
subscription.on("subscribed", ({ wasRecovering, recovered }) => {
  if (!wasRecovering) return;
  recoveries += 1;
  if (!recovered) unrecovered += 1;
});
subscription.subscribe();
centrifuge.connect();
await subscription.ready();
print({ fact: "ready" });

/** Publishes until it is accepted. The key makes a repetition harmless. */
const publish = async (name) => {
  for (;;) {
    try {
      const response = await fetch(`${base}/api/publish`, {
        method: "POST",
        headers: { "X-API-Key": values["api-key"], "Content-Type": "application/json" },
        body: JSON.stringify({ channel: "news", data: { name }, idempotency_key: name }),
      });
      const { result } = await response.json();
      if (result) return result;
    } catch {
      // The server is dead, or was before it answered.
    }
    await wait(10);
  }
};

const publisher = async (number) => {
  for (let count = 1; !isOver; count += 1) {
    const name = `${number} ${count}`;
    const { offset, epoch } = await publish(name);
    accepted.set(name, { offset, epoch });
    if (accepted.size % 100 === 0) print({ fact: "accepted", count: accepted.size });
  }
};

const publishers = Array.from({ length: Number(values.publishers) }, (_, number) => publisher(number));
for await (const _ of createInterface({ input: process.stdin })) break;
isOver = true;
await Promise.all(publishers);

const last = Math.max(...[...accepted.values()].map(({ offset }) => offset));
while (seen.at(-1)?.offset !== last) await wait(10);
const names = new Set(seen.map(({ name }) => name));
print({
  fact: "end",
  accepted: accepted.size,
  seen: seen.length,
  distinct: names.size,
  missing: [...accepted.keys()].filter((name) => !names.has(name)).length,
  misplaced: seen.filter(({ name, offset }) => accepted.get(name)?.offset !== offset).length,
  inOrder: seen.every(({ offset }, index) => offset === index + 1),
  epochs: new Set([...accepted.values()].map(({ epoch }) => epoch)).size,
  recoveries,
  unrecovered,
});
centrifuge.disconnect();
process.exit(0);
