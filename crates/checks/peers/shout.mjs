// A server that breaks the rules: it adds an exclamation mark to what it should send back as it came. The
// conformance check must notice.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}`));
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data.length ? `${data}!` : data, { binary: isBinary }));
});
