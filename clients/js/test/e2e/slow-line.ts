// What a ReconnectingSocket makes of a slow line, for the checks that have one: `slow-line.ts URL COUNT BYTES [MS]` asks
// an echo endpoint for so many messages of so many bytes, once after every opening, with a heartbeat whose interval and
// time-out are MS. It ends when all of them have come over one connection, and prints how often it was given up before.
import { randomBytes } from "node:crypto";
import { ReconnectingSocket } from "../../src/index.js";

const [url = "", count = "", bytes = "", ms] = process.argv.slice(2);
const beat = { message: "beat", reply: "beat" };
const heartbeat = ms === undefined ? beat : { ...beat, intervalMs: Number(ms), timeoutMs: Number(ms) };
const socket = new ReconnectingSocket(url, [], { heartbeat });
socket.binaryType = "arraybuffer";

const ended: string[] = [];
let came = 0;
socket.addEventListener("open", () => {
  came = 0;
  // Random, so that nothing of it can be compressed.
  for (let index = 0; index < Number(count); index += 1) socket.send(randomBytes(Number(bytes)));
});
socket.addEventListener("state", ({ state }) => {
  if (state.name === "waiting") ended.push(state.ended?.cause ?? "");
});
socket.addEventListener("message", ({ data }) => {
  if (!(data instanceof ArrayBuffer) || data.byteLength !== Number(bytes)) throw new Error(`a message of ${data}`);
  came += 1;
  if (came < Number(count)) return;
  process.stdout.write(`${JSON.stringify({ came, ended })}\n`);
  socket.close();
});
