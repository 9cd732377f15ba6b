// The SDK npm `centrifuge` talks to the hub: prints what it saw, one line of JSON per fact.
//   node centrifuge.mjs http://HOST:PORT --transport websocket|http_stream|sse [--protobuf] --secret S --api-key K
import { createHmac } from "node:crypto";
import { parseArgs } from "node:util";
import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    transport: { type: "string" }, protobuf: { type: "boolean" }, secret: { type: "string" }, "api-key": { type: "string" },
  },
});
const [base] = positionals;
const Centrifuge = values.protobuf ? Protobuf : Json;
const encode = (data) => values.protobuf ? new TextEncoder().encode(JSON.stringify(data)) : data;
const decode = (data) => values.protobuf ? JSON.parse(new TextDecoder().decode(data)) : data;

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (claims) => {
  const signed = `${base64({ alg: "HS256", typ: "JWT" })}.${base64(claims)}`;
  return `${signed}.${createHmac("sha256", values.secret).update(signed).digest("base64url")}`;
};
const seconds = () => Math.floor(Date.now() / 1000);

const order = async (method, params) => {
  const response = await fetch(`${base}/api/${method}`, {
    method: "POST",
    headers: { "X-API-Key": values["api-key"], "Content-Type": "application/json" },
    body: JSON.stringify(params),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.code} ${error.message}`);
  return result;
};

/** Returns a client of `user`, whose tokens live for `lifetime` seconds. */
const client = (user, { transport = values.transport, lifetime = 3600, channels } = {}) => {
  const paths = { websocket: "/connection/websocket", http_stream: "/connection/http_stream", sse: "/connection/sse" };
  const endpoint = (transport === "websocket" ? base.replace(/^http/, "ws") : base) + paths[transport];
  let asked = 0;
  const centrifuge = new Centrifuge([{ transport, endpoint }], {
    websocket: WebSocket, eventsource: EventSource, fetch, readableStream: ReadableStream,
    emulationEndpoint: `${base}/emulation`,
    getToken: async () => { asked += 1; return token({ sub: user, exp: seconds() + lifetime, channels }); },
    minReconnectDelay: 50, maxReconnectDelay: 500,
  });
  return { centrifuge, asked: () => asked };
};

/** Resolves when `holds`, and is asked at each of the emitter's events. */
const until = (emitter, event, holds) => new Promise((resolve) => {
  const look = () => { if (holds()) { emitter.off(event, look); resolve(); } };
  emitter.on(event, look);
  look();
});

// Subscribe, publish, history, presence.
const ann = client("ann");
const news = ann.centrifuge.newSubscription("news");
const got = [];
const subscribed = [];
news.on("publication", ({ data, offset }) => got.push({ data: decode(data), offset }));
news.on("subscribed", ({ wasRecovering, recovered }) => subscribed.push({ wasRecovering, recovered }));
news.subscribe();
ann.centrifuge.connect();
await news.ready();
for (let number = 1; number <= 3; number += 1) await news.publish(encode({ number }));
await order("publish", { channel: "news", data: { number: 4 } });
await until(news, "publication", () => got.length === 4);
const history = await news.history({ limit: 10 });
const presence = await news.presence();
const stats = await news.presenceStats();
print({
  fact: "talked", got, history: history.publications.map(({ data }) => decode(data).number),
  users: Object.values(presence.clients).map(({ user }) => user), stats,
});

// What the server refuses.
const refused = async (promise) => { try { await promise; return 0; } catch ({ code }) { return code; } };
print({
  fact: "refused", unknown: await refused(ann.centrifuge.publish("unknown:a", encode(1))),
  rpc: await refused(ann.centrifuge.rpc("nothing", encode({}))),
});

// Others hear of joins and leaves.
const heard = [];
news.on("join", ({ info }) => heard.push(`join ${info.user}`));
news.on("leave", ({ info }) => heard.push(`leave ${info.user}`));
const bob = client("bob", { transport: "websocket" });
const bobs = bob.centrifuge.newSubscription("news");
bobs.subscribe();
bob.centrifuge.connect();
await bobs.ready();
await until(news, "join", () => heard.includes("join bob"));

// Cut off, and back with what was missed.
await order("disconnect", { user: "ann", disconnect: { code: 4000, reason: "come back" } });
for (let number = 5; number <= 9; number += 1) await order("publish", { channel: "news", data: { number } });
await until(news, "publication", () => got.length >= 9);
print({ fact: "recovered", numbers: got.map(({ data }) => data.number), subscribed });
bob.centrifuge.disconnect();
await until(news, "leave", () => heard.includes("leave bob"));
print({ fact: "heard", heard: heard.filter((line) => line.endsWith("bob")) });

// The server subscribes and unsubscribes, and tokens say to what.
const carl = client("carl", { channels: ["direct"] });
const direct = [];
carl.centrifuge.on("publication", ({ channel, data }) => direct.push([channel, decode(data)]));
carl.centrifuge.connect();
await carl.centrifuge.ready();
await order("publish", { channel: "direct", data: 1 });
await order("subscribe", { user: "carl", channel: "more" });
await order("publish", { channel: "more", data: 2 });
await until(carl.centrifuge, "publication", () => direct.length === 2);
print({ fact: "direct", direct });
carl.centrifuge.disconnect();

// A token that expires is replaced.
const dora = client("dora", { lifetime: 2 });
dora.centrifuge.connect();
await dora.centrifuge.ready();
await new Promise((resolve) => {
  const look = setInterval(() => { if (dora.asked() >= 2) { clearInterval(look); resolve(); } }, 50);
});
print({ fact: "refreshed", state: dora.centrifuge.state });
dora.centrifuge.disconnect();
ann.centrifuge.disconnect();
print({ fact: "end" });
