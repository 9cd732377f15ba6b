// npm socket.io-client: talks to two namespaces that echo, and prints what it saw, one line of JSON per fact.
//   node socketio.mjs URL polling|websocket|upgrade
import { isDeepStrictEqual } from "node:util";
import { io } from "socket.io-client";
import { print } from "./messages.mjs";

const [url, mode] = process.argv.slice(2);
const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode];

const socket = io(url, { transports, auth: { token: "good" } });
const event = (from, name) => new Promise((resolve, reject) => {
  from.once(name, resolve);
  from.once("connect_error", reject);
});
await event(socket, "connect");
const { engine } = socket.io;
print({ fact: "open", transport: engine.transport.name, recovered: socket.recovered });

// Many at once, in order, while the transport changes.
const many = Array.from({ length: 1000 }, (_, number) => number);
const received = [];
const all = new Promise((resolve) => socket.on("back", (number) => {
  received.push(number);
  if (received.length === many.length) resolve();
}));
for (const number of many) {
  socket.emit("echo", number);
  if (number % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await all;
socket.off("back");
print({ fact: "order", same: received.join() === many.join() });

const deep = { text: "Grüße, 你好, 🐟", list: [1, null, { deep: true }], empty: "" };
const data = Buffer.from([0, 1, 254, 255]);
const answer = await socket.timeout(10_000).emitWithAck("ack", deep, data);
print({ fact: "ack", same: isDeepStrictEqual(answer, deep) });
const [back, binary] = await new Promise((resolve) => {
  socket.once("back", (...args) => resolve(args));
  socket.emit("echo", deep, data);
});
print({ fact: "binary", same: isDeepStrictEqual(back, deep) && data.equals(binary) });

// The server asks, and waits for the answer.
socket.on("question", (number, answer) => answer(number + 1));
print({ fact: "call", answer: await socket.emitWithAck("ask", 41) });

// A second namespace on the same connection, and one that refuses.
const chat = io(`${url}/chat`, { transports });
await event(chat, "connect");
print({ fact: "namespace", shared: chat.io === socket.io, other: chat.id !== socket.id });
const said = event(socket, "said");
await socket.emitWithAck("join", "room");
chat.emit("tell", "room", "hello");
print({ fact: "room", text: await said });
const refused = io(`${url}/closed`, { transports });
const error = await new Promise((resolve) => refused.once("connect_error", resolve));
print({ fact: "refused", message: error.message, data: error.data });
const unknown = io(`${url}/unknown`, { transports });
print({ fact: "unknown", message: (await new Promise((resolve) => unknown.once("connect_error", resolve))).message });

if (mode === "upgrade" && engine.transport.name === "polling") await new Promise((resolve) => engine.once("upgrade", resolve));
print({ fact: "carried", transport: engine.transport.name });

// The program ends a namespace for good; it closes the connection, and the client comes back.
const ended = event(chat, "disconnect");
chat.emit("leave");
print({ fact: "ended", reason: await ended });
const before = socket.id;
const lost = event(socket, "disconnect");
socket.emit("restart");
print({ fact: "lost", reason: await lost });
await event(socket, "connect");
print({ fact: "again", other: socket.id !== before });
const left = event(socket, "disconnect");
socket.disconnect();
print({ fact: "closed", reason: await left });
process.exit(0);
