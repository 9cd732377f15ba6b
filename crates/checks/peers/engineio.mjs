// npm engine.io-client: talks to an echo endpoint, and prints what it saw, one line of JSON per fact.
//   node engineio.mjs URL polling|websocket|upgrade
import { Socket } from "engine.io-client";
import { messages, print, same } from "./messages.mjs";

const [url, mode] = process.argv.slice(2);
const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode];

const socket = new Socket(url, { path: "/engine.io", transports });
const received = [];
let wake = () => {};
socket.on("message", (data) => {
  received.push(data);
  wake();
});
const closed = new Promise((resolve) => socket.on("close", (reason) => {
  resolve(reason);
  wake();
}));
let upgraded = 0;
socket.on("upgrade", () => {
  upgraded += 1;
});
await new Promise((resolve, reject) => {
  socket.on("open", resolve);
  socket.on("error", reject);
});
print({ fact: "open", transport: socket.transport.name });

// Many at once, in order, while the transport changes.
const until = async (count) => {
  while (received.length < count) {
    if (socket.readyState === "closed") throw new Error(`closed: ${await closed}`);
    await new Promise((resolve) => (wake = resolve));
  }
};
const many = Array.from({ length: 2000 }, (_, number) => `${number}`);
for (const message of many) {
  socket.send(message);
  if (message % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await until(many.length);
print({ fact: "order", same: received.join() === many.join() });

// What the server takes at most by one request.
// An empty text comes out of the client as undefined.
const list = messages().filter(({ length }) => length > 0 && length < 700_000);
for (const message of list) {
  received.length = 0;
  socket.send(message);
  await until(1);
  print({ fact: "echo", same: same(message, received[0]) });
}
if (mode === "upgrade" && upgraded === 0) await new Promise((resolve) => socket.on("upgrade", resolve));
print({ fact: "carried", transport: socket.transport.name, upgraded });
socket.close();
print({ fact: "closed", reason: await closed });
process.exit(0);
