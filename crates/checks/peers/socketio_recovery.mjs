// npm socket.io-client that loses its connection and comes back, at the hub: prints what it saw, one line of JSON per fact.
//   node socketio_recovery.mjs URL polling|websocket SECRET KEY [restart]
import { createHmac } from "node:crypto";
import { io } from "socket.io-client";
import { print } from "./messages.mjs";

const [url, mode, secret, key, restart] = process.argv.slice(2);

const token = (claims) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
};
const api = async (order, body) => {
  const headers = { "X-API-Key": key, "Content-Type": "application/json" };
  for (;;) {
    const sent = fetch(`${url}/api/${order}`, { method: "POST", headers, body: JSON.stringify(body) });
    const response = await sent.catch(() => undefined);
    if (response) return (await response.json()).result;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const publish = async (channel, ...list) => { for (const data of list) await api("publish", { channel, data }); };
const once = (from, name) => new Promise((resolve) => from.once(name, (...args) => resolve(args)));

let user = "ann";
const open = (auth = {}) => {
  const socket = io(url, {
    transports: [mode], forceNew: true, reconnection: false,
    auth: (give) => give({ ...auth, token: token({ sub: user }) }),
  });
  socket.seen = [];
  let more = () => {};
  socket.on("publication", (channel, data) => { socket.seen.push(`${channel} ${data}`); more(); });
  socket.until = async (count) => { while (socket.seen.length < count) await new Promise((resolve) => { more = resolve; }); };
  socket.ask = (...args) => socket.timeout(20_000).emitWithAck(...args);
  return socket;
};
// The connection breaks without a word of the client.
const breaks = async (socket) => {
  const lost = once(socket, "disconnect");
  socket.io.engine.close();
  return (await lost)[0];
};
const back = async (socket) => {
  const connected = once(socket, "connected");
  socket.connect();
  const [{ recovered }] = await connected;
  return { recovered: socket.recovered, told: recovered };
};

const socket = open();
await once(socket, "connected");
const first = socket._pid;
print({ fact: "pid", length: first.length });
// Without any event but the first.
await breaks(socket);
print({ fact: "empty", ...(await back(socket)), same: socket._pid === first });
await socket.ask("subscribe", "news");
await socket.ask("subscribe", "chat");
// Without a publication.
await breaks(socket);
print({ fact: "zero", ...(await back(socket)), seen: socket.seen });
await publish("news", 1);
await socket.until(1);

if (restart) {
  print({ fact: "ready" });
  await once(socket, "disconnect");
  await publish("news", 2, 3);
  await publish("chat", "a");
  print({ fact: "restarted", ...(await back(socket)), same: socket._pid === first });
  await publish("news", 4);
  await socket.until(5);
  print({ fact: "seen", news: socket.seen.filter((one) => one.startsWith("news")), chat: socket.seen.filter((one) => one.startsWith("chat")) });
  process.exit(0);
}

// With publications in both channels, and bytes among them.
await breaks(socket);
await publish("news", 2, 3);
await publish("chat", "a");
print({ fact: "missed", ...(await back(socket)), same: socket._pid === first });
await publish("news", 4);
await socket.until(5);
// What came again has positions as well: nothing comes twice.
await breaks(socket);
print({ fact: "again", ...(await back(socket)) });
await socket.ask("unsubscribe", "chat");
await breaks(socket);
await publish("chat", "b");
print({ fact: "left", ...(await back(socket)) });
await publish("news", 5);
await socket.until(6);
print({ fact: "seen", news: socket.seen.filter((one) => one.startsWith("news")), chat: socket.seen.filter((one) => one.startsWith("chat")) });

// The old connection is still there, as far as the server knows: the newer one takes over.
const ended = once(socket, "disconnect");
const closing = once(socket, "closing");
const newer = open({ pid: socket._pid, offset: socket._lastOffset });
const [{ recovered: taken }] = await once(newer, "connected");
print({ fact: "taken", recovered: taken, same: newer._pid === first, code: (await closing)[0].code, reason: (await ended)[0] });
await publish("news", 6);
await newer.until(1);
print({ fact: "newer", seen: newer.seen, older: socket.seen.length });

// Somebody else with the id of the connection.
user = "eve";
const eve = open({ pid: newer._pid, offset: newer._lastOffset });
const [{ recovered: stolen }] = await once(eve, "connected");
print({ fact: "stolen", recovered: stolen, same: eve._pid === first, lives: newer.connected });
user = "ann";

// More than the history keeps.
await breaks(newer);
await publish("news", ...Array.from({ length: 12 }, (_, number) => number));
const before = newer.seen.length;
print({ fact: "pruned", ...(await back(newer)), same: newer._pid === first });
await newer.ask("subscribe", "news");
await publish("news", "after");
await newer.until(before + 1);
print({ fact: "afresh", seen: newer.seen.slice(before) });

// A position that the server hasn't given.
const forged = open({ pid: newer._pid, offset: `${newer._pid.slice(0, 10)}.0:1:epoch` });
const [{ recovered }] = await once(forged, "connected");
print({ fact: "forged", recovered });

// In a channel without a history nothing can be recovered.
await forged.ask("subscribe", "live:news");
const { _pid: live } = forged;
await breaks(forged);
print({ fact: "live", ...(await back(forged)), same: forged._pid === live });

// Who leaves doesn't come back.
const left = forged._pid;
forged.disconnect();
print({ fact: "gone", ...(await back(forged)), same: forged._pid === left });
process.exit(0);
