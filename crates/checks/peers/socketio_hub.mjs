// npm socket.io-client and npm centrifuge at the hub, and its API: prints what they saw, one line of JSON per fact.
//   node socketio_hub.mjs URL polling|websocket|upgrade SECRET KEY
import { createHmac } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { Centrifuge } from "centrifuge";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { print } from "./messages.mjs";

const [url, mode, secret, key] = process.argv.slice(2);
const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode];

const token = (claims) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
};
const api = async (order, body) => {
  const headers = { "X-API-Key": key, "Content-Type": "application/json" };
  const response = await fetch(`${url}/api/${order}`, { method: "POST", headers, body: JSON.stringify(body) });
  return (await response.json()).result;
};
const once = (from, name) => new Promise((resolve) => from.once(name, (...args) => resolve(args)));
const ask = (socket, ...args) => socket.timeout(20_000).emitWithAck(...args);

// Without a token nobody gets in, and the client doesn't try again.
const stranger = io(url, { transports, forceNew: true });
const [refused] = await once(stranger, "connect_error");
print({ fact: "refused", message: refused.message, data: refused.data, active: stranger.active });

const socket = io(url, { transports, forceNew: true, auth: (give) => give({ token: token({ sub: "ann" }), name: "page" }) });
const [connected] = await once(socket, "connected");
print({ fact: "connected", client: typeof connected.client, expires: connected.expires, recovered: socket.recovered === true });

const joined = once(socket, "join");
const subscribed = await ask(socket, "subscribe", "news");
print({ fact: "subscribed", offset: subscribed.offset, epoch: subscribed.epoch.length > 0, recoverable: subscribed.recoverable, publications: subscribed.publications });
print({ fact: "again", ...(await ask(socket, "subscribe", "news")) });
const [place, info] = await joined;
print({ fact: "joined", place, user: info.user, own: info.client === connected.client });

// Somebody with the other client, on the same channel.
const ben = new Centrifuge(url.replace("http", "ws") + "/connection/websocket", { websocket: WebSocket, token: token({ sub: "ben" }) });
const subscription = ben.newSubscription("news");
const heard = [];
let more = () => {};
subscription.on("publication", ({ data, info: by }) => { heard.push([data, by?.user ?? null]); more(); });
const hears = async (count) => { while (heard.length < count) await new Promise((resolve) => { more = resolve; }); };
const other = once(socket, "join");
subscription.subscribe();
ben.connect();
print({ fact: "other", user: (await other)[1].user });

const fromBen = once(socket, "publication");
await subscription.publish({ text: "from ben" });
const [channel, data, meta] = await fromBen;
print({ fact: "from_ben", channel, data, offset: meta.offset, user: meta.info.user });
const fromApi = once(socket, "publication");
await api("publish", { channel: "news", data: ["from the API"], tags: { kind: "api" } });
const [, data2, meta2] = await fromApi;
print({ fact: "from_api", data: data2, meta: meta2 });
print({ fact: "published", answer: await ask(socket, "publish", "news", { text: "Grüße", list: [1, null] }) });
await hears(3);
print({ fact: "heard", heard });

const presence = await ask(socket, "presence", "news");
print({ fact: "presence", users: Object.values(presence.clients).map(({ user }) => user).sort(), stats: await ask(socket, "presence_stats", "news") });

// A page of the history, and the next.
const first = await ask(socket, "history", "news", { limit: 2 });
const last = first.publications.at(-1).offset;
const second = await ask(socket, "history", "news", { limit: 2, since: { offset: last, epoch: first.epoch } });
print({ fact: "history", first: first.publications.map(({ offset }) => offset), second: second.publications.map(({ offset }) => offset), offset: second.offset });

// Bytes are attachments, and base64 in lists.
await ask(socket, "subscribe", "raw");
const bytes = Buffer.from([0, 1, 254, 255]);
const fromSelf = once(socket, "publication");
await ask(socket, "publish", "raw", bytes);
const [, back] = await fromSelf;
const raw = await ask(socket, "history", "raw", { limit: -1 });
print({ fact: "bytes", same: bytes.equals(back), listed: raw.publications[0].b64data });
print({ fact: "mixed", ...(await ask(socket, "publish", "raw", { bytes })) });

// What isn't allowed is an error of the hub, in the ack.
print({ fact: "unknown", ...(await ask(socket, "subscribe", "nowhere:news")) });
print({ fact: "closed", ...(await ask(socket, "subscribe", "closed:news")) });
print({ fact: "wrong", ...(await ask(socket, "subscribe", 7)) });
print({ fact: "refreshed", ...(await ask(socket, "refresh", token({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 600 }))) });

// Missed publications come with the subscription.
await ask(socket, "unsubscribe", "news");
await api("publish", { channel: "news", data: "missed" });
const position = { offset: second.offset, epoch: second.epoch };
const recovered = await ask(socket, "subscribe", "news", { since: position });
print({ fact: "recovered", recovered: recovered.recovered, data: recovered.publications.map((missed) => missed.data) });

const { engine } = socket.io;
if (mode === "upgrade" && engine.transport.name === "polling") await once(engine, "upgrade");
print({ fact: "carried", transport: engine.transport.name });

// A back end ends a subscription, and then the client: for good, or for now.
const unsubscribed = once(socket, "unsubscribed");
await api("unsubscribe", { user: "ann", channel: "raw" });
print({ fact: "unsubscribed", args: await unsubscribed });
const lost = once(socket, "disconnect");
const again = once(socket, "connected");
await api("disconnect", { user: "ann", disconnect: { code: 4000, reason: "come back" } });
print({ fact: "lost", reason: (await lost)[0], other: (await again)[0].client !== connected.client });
const closing = once(socket, "closing");
const ended = once(socket, "disconnect");
await api("disconnect", { user: "ann", disconnect: { code: 4500, reason: "go away" } });
print({ fact: "ended", closing: (await closing)[0], reason: (await ended)[0], active: socket.active });
print({ fact: "same", same: isDeepStrictEqual(heard[2], [{ text: "Grüße", list: [1, null] }, "ann"]) });
process.exit(0);
