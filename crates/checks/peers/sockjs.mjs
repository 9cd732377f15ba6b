// npm sockjs-client: talks to an echo endpoint, and prints what it saw, one line of JSON per fact.
//   node sockjs.mjs URL TRANSPORT[,TRANSPORT]
import SockJS from "sockjs-client";
import { print } from "./messages.mjs";

const [url, transports] = process.argv.slice(2);

const socket = new SockJS(url, null, { transports: transports.split(",") });
const event = (name) => new Promise((resolve, reject) => {
  socket.addEventListener(name, resolve, { once: true });
  if (name !== "close") {
    socket.addEventListener("close", ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)), { once: true });
  }
});

await event("open");
print({ fact: "open", transport: socket.transport });
const messages = [
  "Grüße, 你好, 🐟", "", "50% %41 %0A </script><!-- \u0000\r\n\u2028\ufffe", "x".repeat(50_000), "\ud83d",
];
for (const message of messages) {
  socket.send(message);
  const { data } = await event("message");
  print({ fact: "echo", same: data === message.toWellFormed() });
}
// Many at once, in order.
const many = Array.from({ length: 300 }, (_, number) => `${number}`);
const received = [];
const all = new Promise((resolve) => {
  socket.onmessage = ({ data }) => {
    received.push(data);
    if (received.length === many.length) resolve();
  };
});
many.forEach((message) => socket.send(message));
await all;
print({ fact: "order", same: received.join() === many.join() });
const closed = event("close");
socket.close(4001, "bye");
const { code, wasClean } = await closed;
print({ fact: "closed", code, clean: wasClean });
process.exit(0);
