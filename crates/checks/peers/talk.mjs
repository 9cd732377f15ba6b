// The dialling side: talks to an echo server and prints what it saw, one line of JSON per fact.
//   node talk.mjs URL --with ws|own [--deflate] [--root CERTIFICATE]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { WebSocket as Ws } from "ws";
import { messages, print, same } from "./messages.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { with: { type: "string" }, deflate: { type: "boolean" }, root: { type: "string" } },
});
const [url] = positionals;

const socket = values.with === "own" ? new globalThis.WebSocket(url) : new Ws(url, {
  perMessageDeflate: values.deflate ? { threshold: 0 } : false,
  ca: values.root ? readFileSync(values.root) : undefined,
});
socket.binaryType = "arraybuffer";

const event = (name) => new Promise((resolve, reject) => {
  socket.addEventListener(name, resolve, { once: true });
  socket.addEventListener("error", (error) => reject(new Error(error.message)), { once: true });
});

await event("open");
print({ fact: "open", extensions: socket.extensions, protocol: socket.protocol });
for (const message of messages()) {
  socket.send(message);
  const { data } = await event("message");
  print({ fact: "echo", kind: typeof data === "string" ? "text" : "binary", bytes: Buffer.byteLength(data), same: same(message, data) });
}
if (values.with !== "own") {
  const pong = new Promise((resolve) => socket.once("pong", resolve));
  socket.ping("are you there?");
  print({ fact: "pong", text: (await pong).toString() });
}
socket.close(4001, "再见");
const { code, reason, wasClean } = await event("close");
print({ fact: "closed", code, reason, clean: wasClean });
