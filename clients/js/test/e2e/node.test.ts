// Node with the real server, which is killed and restarted.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import PartySocket from "partysocket/ws";
import OtherSocket from "reconnecting-websocket";
import WebSocket from "ws";
import { ReconnectingSocket, type State } from "../../src/index.js";
import { Middlebox } from "./middlebox.js";
import { binary, Server, until } from "./server.js";

const skip = binary() === undefined;
/** Node 20 has a WebSocket behind a flag. */
const own = globalThis.WebSocket;
const implementations = { "npm ws": WebSocket, "Node's own": own };

/** A socket and a log of its events. */
function follow(socket: ReconnectingSocket) {
  const received: unknown[] = [];
  const states: string[] = [];
  socket.addEventListener("message", ({ data }) => received.push(data));
  socket.addEventListener("state", ({ state }) =>
    states.push(state.ended ? `${state.name}:${state.ended.cause}` : state.name),
  );
  return { received, states };
}

for (const [name, implementation] of Object.entries(implementations)) {
  test(`${name}: after the server was killed, queued messages arrive once and in order`, {
    skip: skip || !implementation,
  }, async () => {
    await using server = await Server.start();
    const socket = new ReconnectingSocket(`${server.url}/echo`, [], { WebSocket: implementation });
    const { received, states } = follow(socket);
    socket.send("one");
    await until("the first echo", () => received.length === 1);
    await server.kill();
    await until("the loss is reported", () => socket.state.name === "waiting");
    assert.equal(socket.readyState, ReconnectingSocket.CONNECTING);
    for (const text of ["two", "three", "four"]) socket.send(text);
    await server.restart();
    await until("all the echoes", () => received.length === 4);
    socket.send("five");
    await until("the last echo", () => received.length === 5);
    assert.deepEqual(received, ["one", "two", "three", "four", "five"]);
    assert.ok(states.includes("waiting:lost"), states.join());
    socket.close(1000, "done");
    await until("the end", () => socket.readyState === ReconnectingSocket.CLOSED);
    assert.deepEqual([socket.state.ended?.code, socket.state.ended?.wasClean], [1000, true]);
  });

  test(`${name}: a socket that starts closed connects when it is told to, and stops after maxRetries`, {
    skip: skip || !implementation,
  }, async () => {
    await using server = await Server.start();
    const socket = new ReconnectingSocket(`${server.url}/echo`, [], {
      WebSocket: implementation,
      startClosed: true,
      maxRetries: 2,
      backoff: { baseMs: 10, minUptimeMs: 0 },
      // Node 20 doesn't report a refused connection.
      connectTimeoutMs: 2_000,
    });
    const { states } = follow(socket);
    assert.equal(socket.state.stopReason, "startClosed");
    socket.connect();
    await until("it opens", () => socket.readyState === ReconnectingSocket.OPEN);
    await server.kill();
    await until("it stops", () => socket.state.stopReason === "maxRetries");
    const names = states.map((state) => state.split(":")[0]);
    assert.deepEqual(names, ["connecting", "open", "waiting", "connecting", "waiting", "connecting", "closed"]);
    await server.restart();
    socket.connect();
    await until("it is open again", () => socket.readyState === ReconnectingSocket.OPEN);
    socket.close();
  });

  test(`${name}: the heartbeat detects a stopped server process`, {
    skip: skip || !implementation,
  }, async () => {
    await using server = await Server.start();
    // The echo endpoint answers with the same.
    const heartbeat = { intervalMs: 100, timeoutMs: 3_000, message: "beat", reply: "beat" };
    const socket = new ReconnectingSocket(`${server.url}/echo`, [], { WebSocket: implementation, heartbeat });
    const { received, states } = follow(socket);
    await until("it opens", () => socket.readyState === 1);
    server.freeze();
    await until("the silence is noticed", () => states.includes("waiting:heartbeat"));
    server.thaw();
    socket.send("back");
    await until("the echo", () => received.includes("back"));
    assert.deepEqual(received, ["back"]);
    socket.close();
  });

  // Issue 13, A.3.
  test(`${name}: a download that takes longer than the timeout arrives`, {
    skip: skip || !implementation,
  }, async () => {
    await using server = await Server.start();
    using middlebox = await Middlebox.start(server.port, 60_000);
    // The reply to the heartbeat comes after 2 s of download.
    middlebox.bytesPerSecond = 128 << 10;
    const heartbeat = { intervalMs: 100, timeoutMs: 300, message: "beat", reply: "beat" };
    const socket = new ReconnectingSocket(`${middlebox.url}/echo`, [], { WebSocket: implementation, heartbeat });
    const { received, states } = follow(socket);
    // Random, so that compression doesn't shorten it.
    const long = randomBytes(192 << 10).toString("base64");
    socket.onopen = () => socket.send(long);
    await until("the download", () => received.length > 0);
    assert.ok(states.includes("waiting:heartbeat"), states.join());
    assert.equal(received[0], long);
    socket.close();
  });

  // Issue 13, C.20.
  test(`${name}: an attempt that was dropped or closed leaves no connection`, {
    skip: !implementation,
  }, async () => {
    let standing = 0;
    let dialled = 0;
    const silent = createServer((connection) => {
      standing += 1;
      dialled += 1;
      connection.on("error", () => {}).on("close", () => (standing -= 1));
      connection.resume();
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
    const backoff = { baseMs: 0 };
    const socket = new ReconnectingSocket(url, [], { WebSocket: implementation, connectTimeoutMs: 100, backoff });
    await until("five attempts", () => dialled >= 5);
    socket.close();
    await until("no connection is left", () => standing === 0);
    silent.close();
  });

  test(`${name}: after a graceful stop of the server it reconnects`, {
    skip: skip || !implementation,
  }, async () => {
    await using server = await Server.start();
    const socket = new ReconnectingSocket(`${server.url}/echo`, [], { WebSocket: implementation });
    const ended: State[] = [];
    socket.addEventListener("close", () => ended.push(socket.state));
    await until("it opens", () => socket.readyState === 1);
    await server.stop();
    await until("the end is reported", () => ended.length > 0);
    // "Going away", or "service restart" with retry_ms.
    const { cause, code, reason = "", wasClean } = ended[0]?.ended ?? {};
    assert.ok(cause === "lost" && (code === 1001 || code === 1012) && wasClean, `${cause} ${code}`);
    const hint = Number(/retry_ms=(\d+)/.exec(reason)?.[1] ?? 0);
    assert.ok((ended[0]?.retryIn ?? 0) >= hint, `${ended[0]?.retryIn} ms after "${reason}"`);
    await server.restart();
    await until("it is open again", () => socket.readyState === 1);
    socket.close();
  });
}

test("a dead connection is detected, and the next one opens", { skip }, async () => {
  await using server = await Server.start();
  using middlebox = await Middlebox.start(server.port, 60_000);
  const heartbeat = { intervalMs: 100, timeoutMs: 3_000, message: "beat", reply: "beat" };
  const socket = new ReconnectingSocket(`${middlebox.url}/echo`, [], { WebSocket, heartbeat });
  const { received, states } = follow(socket);
  await until("it opens", () => socket.readyState === 1);
  middlebox.swallow();
  await until("the silence is noticed", () => states.includes("waiting:heartbeat"));
  socket.send("kept");
  await until("it is open again", () => received.includes("kept"));
  assert.ok(middlebox.connections >= 2);
  socket.close();
});

for (const [name, make] of [
  // Its types say `default`, its code doesn't.
  [
    "reconnecting-websocket",
    (url: string) => new (OtherSocket as unknown as typeof OtherSocket.default)(url, [], { WebSocket }),
  ],
  ["partysocket", (url: string) => new PartySocket(url, [], { WebSocket })],
] as const) {
  test(`npm ${name} reconnects to our server after it was killed`, { skip }, async () => {
    await using server = await Server.start();
    const socket = make(`${server.url}/echo`);
    const received: unknown[] = [];
    socket.addEventListener("message", (event: Event) => void received.push((event as MessageEvent).data));
    socket.send("one");
    await until("the first echo", () => received.length === 1);
    await server.kill();
    await until("the loss", () => socket.readyState !== 1);
    await server.restart();
    await until("it is open again", () => socket.readyState === 1);
    socket.send("two");
    await until("the second echo", () => received.length === 2);
    assert.deepEqual(received, ["one", "two"]);
    socket.close();
  });
}
