// The listening side: sends messages to a client that echoes, and prints what came back, one line of JSON per
// fact. Ends after the first connection.
//   node serve.mjs [--deflate] [--certificate FILE --key FILE]
import { readFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { messages, print, same } from "./messages.mjs";

const { values } = parseArgs({
  options: { deflate: { type: "boolean" }, certificate: { type: "string" }, key: { type: "string" } },
});
const http = values.certificate
  ? createHttps({ cert: readFileSync(values.certificate), key: readFileSync(values.key) })
  : createHttp();
const server = new WebSocketServer({
  server: http,
  perMessageDeflate: values.deflate ? { threshold: 0 } : false,
  handleProtocols: (offered) => [...offered][0],
});
http.listen(0, "127.0.0.1", () => {
  print({ fact: "listening", url: `${values.certificate ? "wss" : "ws"}://127.0.0.1:${http.address().port}` });
});

const [socket, request] = await once(server, "connection");
print({
  fact: "open",
  extensions: socket.extensions,
  protocol: socket.protocol,
  path: request.url,
  headers: request.headers,
});
const closed = once(socket, "close");
for (const message of messages()) {
  socket.send(message);
  const [data, isBinary] = await once(socket, "message");
  const received = isBinary ? data : data.toString();
  print({ fact: "echo", kind: isBinary ? "binary" : "text", bytes: data.length, same: same(message, received) });
}
socket.ping("are you there?");
const [pong] = await once(socket, "pong");
print({ fact: "pong", text: pong.toString() });
socket.close(4002, "够了");
const [code, reason] = await closed;
print({ fact: "closed", code, reason: reason.toString() });
http.close();
