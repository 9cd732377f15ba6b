import assert from "node:assert/strict";
import { test } from "node:test";
import { DroppedEvent, type Options, QueueFullError, ReconnectingSocket, StateEvent } from "../src/index.js";
import { World } from "./simulated.js";

const URL = "ws://example.com/feed";

/** A socket in a simulated world, and a log of its events, one word each. */
function page(options: Options = {}, world = new World()) {
  const socket = new ReconnectingSocket(URL, undefined, world.options(options));
  const heard: string[] = [];
  socket.addEventListener("open", () => heard.push("open"));
  socket.addEventListener("message", ({ data }) => heard.push(`message ${data}`));
  socket.addEventListener("error", () => heard.push("error"));
  socket.addEventListener("close", ({ code, wasClean }) => heard.push(`close ${code}${wasClean ? " clean" : ""}`));
  socket.addEventListener("state", ({ state }) => heard.push(state.name.toUpperCase()));
  socket.addEventListener("dropped", ({ reason, messages, bytes }) =>
    heard.push(`dropped ${reason} ${messages.join()} ${bytes}`),
  );
  /** Returns the events since the last call. */
  const news = () => heard.splice(0).join(", ");
  return { world, socket, news };
}

function openPage(options: Options = {}) {
  const all = page(options);
  all.world.advance(100);
  assert.equal(all.news(), "open, OPEN");
  return all;
}

// ---- The interface of WebSocket ----

test("it is a WebSocket to TypeScript and has a WebSocket's constants", () => {
  const { socket } = page();
  const asWebSocket: WebSocket = socket;
  assert.deepEqual([asWebSocket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED], [0, 1, 2, 3]);
  const { CONNECTING, OPEN, CLOSING, CLOSED } = ReconnectingSocket;
  assert.deepEqual([CONNECTING, OPEN, CLOSING, CLOSED], [0, 1, 2, 3]);
  assert.ok(socket instanceof EventTarget);
});

test("the properties are those of the current WebSocket", () => {
  const world = new World();
  const socket = new ReconnectingSocket("ws://example.com/a/../b", ["v2", "v1"], world.options());
  assert.deepEqual([socket.url, socket.protocol, socket.readyState], ["ws://example.com/b", "", 0]);
  world.advance(100);
  assert.deepEqual([socket.protocol, socket.extensions, socket.readyState], ["v2", "", 1]);
  world.last.bufferedAmount = 7;
  assert.equal(socket.bufferedAmount, 7);
});

test("the constructor throws for a wrong URL, as WebSocket's does", () => {
  const world = new World();
  assert.throws(() => new ReconnectingSocket("http://example.com", [], world.options()), { name: "SyntaxError" });
  assert.throws(() => Reflect.construct(ReconnectingSocket, []), TypeError);
  assert.equal(world.timers, 0);
  assert.equal(world.subscriptions, 0);
});

test("binaryType is set on every connection, and other values are ignored", () => {
  const { world, socket } = openPage();
  assert.equal(socket.binaryType, "blob");
  socket.binaryType = "arraybuffer";
  socket.binaryType = "text" as BinaryType;
  assert.deepEqual([socket.binaryType, world.last.binaryType], ["arraybuffer", "arraybuffer"]);
  world.last.break();
  world.advance(1_000);
  assert.deepEqual([world.sockets.length, world.last.binaryType], [2, "arraybuffer"]);
});

test("handlers are called with the event, whose target is the socket", () => {
  const world = new World();
  const socket = new ReconnectingSocket(URL, [], world.options());
  const heard: unknown[] = [];
  socket.onopen = function (event) {
    heard.push(event.type, event.target === socket, this === socket);
  };
  socket.onmessage = ({ data, origin }) => heard.push(data, origin);
  socket.onclose = ({ code }) => heard.push(code);
  socket.onerror = ({ type }) => heard.push(type);
  socket.onstate = (event) => heard.push(event instanceof StateEvent && event.state.name);
  world.advance(100);
  world.last.message("hello");
  world.last.break();
  assert.deepEqual(heard, ["open", true, true, "open", "hello", URL, "error", 1006, "waiting"]);
  assert.equal(typeof socket.onstate, "function");
});

test("close takes the codes and reasons that a browser takes", () => {
  const { world, socket } = openPage();
  for (const code of [0, 999, 1001, 1006, 2999, 5000, 70_000, Number.NaN, null]) {
    assert.throws(() => socket.close(code as number), { name: "InvalidAccessError" });
  }
  assert.throws(() => socket.close(1000, "é".repeat(62)), { name: "SyntaxError" });
  assert.equal(socket.readyState, 1);
  socket.close(4001, `${"é".repeat(61)}!`);
  assert.deepEqual(world.last.closedWith, [4001, `${"é".repeat(61)}!`]);
});

test("close without arguments closes without a code", () => {
  const { world, socket, news } = openPage();
  socket.close();
  assert.deepEqual([world.last.closedWith, socket.readyState], [[], 2]);
  world.advance(100);
  assert.equal(news(), "close 1005 clean, CLOSED");
  assert.equal(socket.readyState, 3);
});

test("after close it dispatches no event, and holds no timer or listener", () => {
  const { world, socket, news } = openPage({ heartbeat: { message: "ping" } });
  socket.close(1000, "done");
  world.advance(100);
  assert.equal(news(), "close 1000 clean, CLOSED");
  assert.deepEqual([world.timers, world.subscriptions], [0, 0]);
  world.advance(1_000_000);
  socket.close();
  assert.deepEqual([news(), world.sockets.length], ["", 1]);
});

test("close during an attempt dispatches what a browser does", () => {
  const { world, socket, news } = page();
  socket.close();
  world.advance(100);
  assert.equal(news(), "error, close 1006, CLOSED");
});

test("close waits no longer than closeTimeoutMs for the peer", () => {
  const { world, socket, news } = openPage();
  world.last.dead = true;
  socket.close();
  world.advance(4_999);
  assert.equal(news(), "");
  world.advance(1);
  assert.equal(news(), "close 1006, CLOSED");
});

test("send needs an argument, and converts what is neither text nor binary to text", () => {
  const { world, socket } = openPage();
  assert.throws(() => (socket.send as () => void)(), TypeError);
  socket.send({ toString: () => "object" } as unknown as string);
  const bytes = new Uint8Array([1, 2]);
  socket.send(bytes);
  world.advance(100);
  assert.deepEqual(world.received, ["object", bytes]);
});

test("a message after close isn't sent, counts as buffered, and is reported", () => {
  const { world, socket, news } = openPage();
  socket.close();
  socket.send("late");
  assert.equal(socket.bufferedAmount, 4);
  assert.equal(news(), "dropped closed late 4");
  world.advance(100);
  socket.send("later");
  assert.equal(socket.bufferedAmount, 9);
  assert.deepEqual(world.received, []);
});

// ---- Reconnecting ----

test("every attempt dispatches the events of a WebSocket of its own", () => {
  const { world, socket, news } = openPage();
  world.random = () => 0.5;
  world.kill();
  assert.equal(news(), "error, close 1006, WAITING");
  assert.equal(socket.readyState, 0);
  world.advance(300);
  assert.equal(news(), "CONNECTING, error, close 1006, WAITING");
  world.mode = "serves";
  world.advance(600);
  assert.equal(news(), "CONNECTING, open, OPEN");
  world.last.message("back");
  assert.equal(news(), "message back");
});

test("inside the close event of a lost connection it is CONNECTING, and queues messages", () => {
  const { world, socket } = openPage();
  socket.onclose = () => {
    assert.equal(socket.readyState, ReconnectingSocket.CONNECTING);
    socket.send("kept");
  };
  world.last.break();
  world.advance(1_000);
  assert.deepEqual(world.received, ["kept"]);
});

test("queued messages are sent in order after reconnecting, after those of `open` listeners", () => {
  const { world, socket } = page();
  socket.onopen = () => socket.send("login");
  socket.send("one");
  socket.send("two");
  assert.equal(socket.bufferedAmount, 6);
  world.advance(100);
  socket.send("three");
  world.advance(100);
  assert.deepEqual(world.received, ["login", "one", "two", "three"]);
  assert.equal(socket.bufferedAmount, 0);
});

test("a message between the server's Close frame and the close event isn't lost", () => {
  const { world, socket } = openPage();
  // The browser has received the Close frame and hasn't dispatched the event.
  world.last.readyState = 2;
  socket.send("kept");
  world.last.end(1001);
  world.advance(1_000);
  assert.deepEqual(world.received, ["kept"]);
});

test("send throws when the queue is full", () => {
  const { world, socket } = page({ queue: { messagesMax: 1 } });
  socket.send("a");
  assert.throws(() => socket.send("b"), QueueFullError);
  world.advance(100);
  assert.deepEqual(world.received, ["a"]);
});

test("messages that are dropped for newer ones, or that expire, are reported", () => {
  const { world, socket, news } = page({ queue: { messagesMax: 2, lifetimeMs: 3_000, whenFull: "drop-oldest" } });
  world.mode = "refuses";
  for (const text of ["a", "bb", "ccc"]) socket.send(text);
  assert.equal(news(), "dropped overflow a 1");
  world.advance(3_000);
  assert.match(news(), /dropped expired bb,ccc 5/);
  assert.equal(socket.bufferedAmount, 0);
});

test("messages that are queued at close are reported", () => {
  const { world, socket, news } = page();
  const dropped: DroppedEvent[] = [];
  socket.ondropped = (event) => dropped.push(event);
  const blob = new Blob(["12345"]);
  socket.send("a");
  socket.send(blob);
  socket.close();
  world.advance(100);
  assert.match(news(), /close 1006, CLOSED, dropped closed a,.* 6/);
  assert.ok(dropped[0] instanceof DroppedEvent);
  assert.deepEqual(dropped[0].messages, ["a", blob]);
});

test("bytes that the browser had buffered when the connection broke are reported", () => {
  const { world, news } = openPage();
  world.last.bufferedAmount = 1_000;
  world.last.break();
  assert.equal(news(), "error, close 1006, WAITING, dropped unsent  1000");
});

test("1008 is final unless `retry` decides otherwise", () => {
  const { world, news } = openPage();
  world.last.end(1008, "banned");
  world.advance(100_000);
  assert.equal(news(), "close 1008 clean, CLOSED");

  const asked: unknown[] = [];
  const other = openPage({
    retry: ({ code, cause }, failures) => {
      asked.push([code, cause, failures]);
      return code !== 4000;
    },
  });
  other.world.last.end(1008);
  other.world.advance(1_000);
  other.world.last.end(4000);
  other.world.advance(100_000);
  assert.deepEqual(asked, [
    [1008, "lost", 0],
    [4000, "lost", 1],
  ]);
  assert.equal(other.socket.readyState, 3);
});

test("an attempt without an answer is dropped after connectTimeoutMs", () => {
  const world = new World();
  world.mode = "is silent";
  const { socket, news } = page({ connectTimeoutMs: 2_000 }, world);
  world.advance(2_000);
  assert.equal(news(), "error, close 1006, WAITING");
  assert.equal(socket.state.ended?.cause, "timeout");
  assert.deepEqual(world.last.closedWith, [3008, "timeout"]);
});

test("after maxRetries the closed state has that stopReason, and connect begins again", () => {
  const world = new World();
  world.mode = "refuses";
  const { socket, news } = page({ maxRetries: 2 }, world);
  const states: unknown[] = [];
  socket.onstate = ({ state }) => states.push(state.stopReason);
  socket.send("waits");
  world.advance(600_000);
  assert.equal(world.dials.length, 3);
  assert.match(news(), /CONNECTING, error, close 1006, CLOSED, dropped closed waits 5$/);
  assert.deepEqual([socket.readyState, states.at(-1), world.timers, world.subscriptions], [3, "maxRetries", 0, 0]);
  world.mode = "serves";
  socket.connect();
  world.advance(100);
  assert.equal(news(), "CONNECTING, open, OPEN");
});

test("startClosed dials nobody, and holds no timer or listener, until connect or reconnect is called", () => {
  for (const method of ["connect", "reconnect"] as const) {
    const { world, socket, news } = page({ startClosed: true });
    world.advance(100_000);
    assert.deepEqual([world.dials.length, world.timers, world.subscriptions, news()], [0, 0, 0, ""]);
    assert.deepEqual([socket.readyState, socket.state.stopReason, socket.url], [3, "startClosed", ""]);
    socket.send("early");
    assert.equal(news(), "dropped closed early 5");
    // Nothing is open, so there is nothing to close.
    socket.close();
    world.advance(100);
    assert.equal(news(), "");
    socket[method]();
    world.advance(100);
    assert.deepEqual([news(), socket.bufferedAmount], ["CONNECTING, open, OPEN", 0]);
  }
});

test("connect changes nothing unless it is closed, and ends a close that is under way", () => {
  const { world, socket, news } = openPage();
  socket.connect();
  world.last.break();
  news();
  socket.connect();
  assert.equal(news(), "");
  world.advance(1_000);
  assert.equal(news(), "CONNECTING, open, OPEN");
  assert.equal(world.dials.length, 2);
  socket.close(4001, "mistake");
  socket.connect();
  world.advance(100);
  assert.equal(news(), "close 1000 clean, CONNECTING, open, OPEN");
});

test("close and reconnect work inside a listener", () => {
  const { world, socket, news } = openPage();
  socket.addEventListener("close", () => socket.close(), { once: true });
  world.last.break();
  world.advance(100);
  assert.equal(news(), "error, close 1006, WAITING, close 1006, CLOSED");
  socket.addEventListener("close", () => socket.reconnect(), { once: true });
  socket.reconnect();
  world.advance(100);
  assert.equal(news(), "CONNECTING, open, OPEN");
  world.last.break();
  world.advance(41);
  assert.equal(news(), "error, close 1006, WAITING, CONNECTING, open, OPEN");
});

test("close in the listener of the state connecting dials nobody", () => {
  const { world, socket, news } = openPage();
  socket.onstate = ({ state }) => {
    if (state.name === "connecting") socket.close();
  };
  world.last.break();
  world.advance(1_000);
  assert.equal(news(), "error, close 1006, WAITING, CONNECTING, close 1006, CLOSED");
  assert.equal(world.sockets.length, 1);
});

test("reconnect replaces the connection, and closes the old one with code and reason", () => {
  const { world, socket, news } = openPage();
  const [old] = world.sockets;
  socket.reconnect(4005, "new token");
  assert.deepEqual(old?.closedWith, [4005, "new token"]);
  old?.message("ghost");
  world.advance(100);
  assert.equal(news(), "close 4005 clean, CONNECTING, open, OPEN");
  assert.throws(() => socket.reconnect(1001), { name: "InvalidAccessError" });
});

// ---- Functions for url and protocols ----

test("url and protocols can be functions, which are called before each attempt", async () => {
  const world = new World();
  let token = 0;
  const url = async () => {
    token += 1;
    return `ws://example.com/?token=${token}`;
  };
  const socket = new ReconnectingSocket(url, () => ["v1"], world.options());
  assert.equal(socket.url, "");
  await world.settle();
  world.advance(100);
  assert.deepEqual([socket.url, socket.protocol], ["ws://example.com/?token=1", "v1"]);
  world.last.break();
  world.advance(600);
  await world.settle();
  assert.equal(socket.url, "ws://example.com/?token=2");
});

test("an exception of a function is a failed attempt, and its error is reported", async () => {
  const world = new World();
  const failure = new Error("401");
  let asked = 0;
  const url = () => {
    asked += 1;
    return asked === 1 ? Promise.reject(failure) : URL;
  };
  const retried: unknown[] = [];
  const retry: Options["retry"] = ({ cause, error }) => {
    retried.push([cause, error]);
    return true;
  };
  const socket = new ReconnectingSocket(url, [], world.options({ retry }));
  const errors: unknown[] = [];
  socket.addEventListener("error", ({ error }) => errors.push(error));
  await world.settle();
  assert.deepEqual(errors, [failure]);
  assert.deepEqual(retried, [["failed", failure]]);
  world.advance(600);
  await world.settle();
  world.advance(100);
  assert.deepEqual([socket.readyState, asked], [1, 2]);
});

test("an invalid URL from a function is a failed attempt", async () => {
  const world = new World();
  const socket = new ReconnectingSocket(() => "nowhere", [], world.options());
  await world.settle();
  assert.equal(socket.state.name, "waiting");
  assert.ok(socket.state.ended?.error instanceof Error);
  assert.equal(world.subscriptions, 2);
});

test("a function that resolves too late, or after close, dials nobody", async () => {
  const world = new World();
  const answers: ((url: string) => void)[] = [];
  const url = () => new Promise<string>((resolve) => answers.push(resolve));
  const socket = new ReconnectingSocket(url, [], world.options({ connectTimeoutMs: 1_000 }));
  await world.settle();
  world.advance(1_000);
  assert.equal(socket.state.ended?.cause, "timeout");
  world.advance(600);
  await world.settle();
  assert.equal(answers.length, 2);
  answers[0]?.("ws://example.com/late");
  await world.settle();
  assert.equal(world.sockets.length, 0);
  socket.close();
  answers[1]?.("ws://example.com/closed");
  await world.settle();
  world.advance(100);
  assert.deepEqual([world.sockets.length, socket.readyState], [0, 3]);
});

// ---- Heartbeat, sleep and network ----

test("the reply to a heartbeat isn't dispatched, other messages are", () => {
  const { world, news } = openPage({
    heartbeat: { intervalMs: 1_000, timeoutMs: 500, message: "ping", reply: "pong" },
  });
  world.reply = (data) => (data === "ping" ? "pong" : undefined);
  world.advance(10_000);
  assert.equal(world.received.length, 10);
  assert.equal(news(), "");
  // No heartbeat is without a reply, so this message is dispatched.
  world.last.message("pong");
  assert.equal(news(), "message pong");
});

// Issue 13, C.19.
test("a reply is recognised after other messages", () => {
  const { world, news } = openPage({
    heartbeat: { intervalMs: 1_000, timeoutMs: 5_000, message: "ping", reply: "pong" },
  });
  world.advance(1_000);
  world.last.message('{"news":1}');
  world.advance(100);
  world.last.message("pong");
  assert.equal(news(), 'message {"news":1}');
  // Two heartbeats have been sent, so two replies will come.
  world.advance(2_000);
  assert.deepEqual(world.received, ["ping", "ping", "ping"]);
  for (const data of ["a", "pong", "b", "pong", "pong"]) world.last.message(data);
  assert.equal(news(), "message a, message b, message pong");
});

test("a reply that is missing on one connection isn't expected on the next", () => {
  const { world, news } = openPage({ heartbeat: { intervalMs: 1_000, message: "ping", reply: "pong" } });
  world.advance(1_000);
  world.last.break();
  world.advance(700);
  world.last.message("pong");
  assert.equal(news(), "error, close 1006, WAITING, CONNECTING, open, OPEN, message pong");
});

// Issue 13, D.25.
test("a server that never replies to heartbeats is dropped once, and then kept", () => {
  const { world, socket } = openPage({ heartbeat: { message: "ping" } });
  world.advance(3_600_000);
  assert.equal(world.sockets.length, 2);
  assert.deepEqual([socket.readyState, socket.state.ended?.cause], [1, "heartbeat"]);
  // Heartbeats are still sent, to keep proxies from closing the connection.
  assert.ok(world.received.length > 140, `${world.received.length}`);
});

test("after its first reply a server has to reply", () => {
  const { world, socket } = openPage({ heartbeat: { message: "ping", reply: "pong" } });
  world.advance(300_000);
  assert.equal(world.sockets.length, 2);
  // The message of another client in a room is not a reply.
  world.last.message("hello");
  world.advance(300_000);
  assert.equal(world.sockets.length, 2);
  world.reply = () => "pong";
  world.advance(60_000);
  world.last.dead = true;
  world.advance(60_000);
  assert.deepEqual([world.sockets.length, socket.readyState], [3, 1]);
});

// Issue 13, A.3.
test("a download that takes longer than the timeout arrives, because each dropped connection doubles the timeout", () => {
  const world = new World();
  world.reply = (data) => (data === "get" ? "x".repeat(1 << 20) : "pong");
  const { socket } = page({ heartbeat: { message: "ping", reply: "pong" } }, world);
  const lengths: number[] = [];
  socket.onopen = () => socket.send("get");
  socket.onmessage = ({ data }) => {
    lengths.push(data.length);
    world.bytesPerSecond = Infinity;
  };
  world.bytesPerSecond = 16 << 10;
  // Each try takes 64 s. It is dropped 10 s, 20 s and 40 s after the heartbeat.
  world.advance(600_000);
  assert.deepEqual(lengths, [1 << 20]);
  assert.ok(world.sockets.length <= 4, `${world.sockets.length} connections`);
});

test("an upload arrives whose progress is invisible in the kernel's buffer", () => {
  const world = new World();
  world.reply = (data) => (data === "ping" ? "pong" : undefined);
  world.kernelBytes = 4 << 20;
  world.bytesPerSecond = 16 << 10;
  const { socket } = page({ heartbeat: { message: "ping", reply: "pong" } }, world);
  socket.onopen = () => socket.send("x".repeat(1 << 20));
  world.advance(600_000);
  assert.ok(world.sockets.length <= 4, `${world.sockets.length} connections`);
  assert.equal(socket.readyState, 1);
});

test("a progressing upload keeps the connection, however much the page adds to it", () => {
  const world = new World();
  world.reply = (data) => (data === "ping" ? "pong" : undefined);
  world.bytesPerSecond = 16 << 10;
  const { socket } = page({ heartbeat: { message: "ping", reply: "pong" } }, world);
  socket.send("x".repeat(1 << 20));
  for (let second = 0; second < 300; second += 1) {
    world.advance(1_000);
    // More than the link carries, so that the buffer only grows.
    socket.send("x".repeat(20 << 10));
  }
  assert.deepEqual([world.sockets.length, socket.readyState], [1, 1]);
});

test("close waits for a progressing upload, as a WebSocket does, and not for a stalled one", () => {
  const { world, socket, news } = openPage();
  world.bytesPerSecond = 16 << 10;
  socket.send("x".repeat(1 << 20));
  socket.close(1000, "done");
  world.advance(70_000);
  assert.equal(news(), "close 1000 clean, CLOSED");
  assert.deepEqual(
    world.received.map((data) => String(data).length),
    [1 << 20],
  );

  const other = openPage();
  other.world.last.bufferedAmount = 1_000;
  other.world.last.dead = true;
  other.socket.close();
  other.world.advance(5_000);
  assert.equal(other.news(), "dropped unsent  1000, close 1006, CLOSED");
});

test("after sleep a connection is replaced if the server doesn't reply to heartbeats", () => {
  const { world, socket } = openPage({ heartbeat: { message: "ping", timeoutMs: Infinity } });
  world.sleep(8 * 3_600_000);
  world.advance(15_000);
  assert.deepEqual([world.sockets.length, socket.readyState, socket.state.ended?.cause], [2, 1, "sleep"]);
});

test("message and reply of a heartbeat can be functions", () => {
  let count = 0;
  const { world, news } = openPage({
    heartbeat: {
      intervalMs: 1_000,
      message: () => {
        count += 1;
        return `{"url":"/chat/heart-beat","n":${count}}`;
      },
      reply: (data) => String(data).startsWith("alive"),
    },
  });
  world.reply = () => "alive!";
  world.advance(2_100);
  assert.deepEqual(world.received, ['{"url":"/chat/heart-beat","n":1}', '{"url":"/chat/heart-beat","n":2}']);
  assert.equal(news(), "");
});

test("without a reply the connection is dropped at once, and its later events are ignored", () => {
  const { world, socket, news } = openPage({ heartbeat: { intervalMs: 1_000, timeoutMs: 500, message: "ping" } });
  const [old] = world.sockets;
  world.last.dead = true;
  // It has been open for 60 ms.
  world.advance(1_439);
  assert.equal(news(), "");
  world.advance(1);
  assert.equal(news(), "error, close 1006, WAITING");
  assert.equal(socket.state.ended?.cause, "heartbeat");
  assert.deepEqual(old?.closedWith, [3008, "heartbeat"]);
  world.advance(600);
  assert.equal(news(), "CONNECTING, open, OPEN");
  if (old) old.dead = false;
  old?.message("ghost");
  old?.break();
  assert.equal(news(), "");
});

test("a progressing upload keeps the connection, a stalled one doesn't", () => {
  const { world, socket } = openPage({ heartbeat: { intervalMs: 1_000, timeoutMs: 500, message: "ping" } });
  world.last.bufferedAmount = 100_000;
  for (let step = 0; step < 20; step += 1) {
    world.advance(250);
    world.last.bufferedAmount -= 1_000;
  }
  assert.equal(socket.readyState, 1);
  world.advance(2_000);
  assert.equal(world.sockets[0]?.closedWith?.[1], "heartbeat");
});

test("throttled timers of a hidden tab don't make a live connection look dead", () => {
  const { world, news } = openPage({ heartbeat: { message: "ping", reply: "pong" } });
  world.reply = () => "pong";
  world.timerGrainMs = 60_000;
  world.advance(30 * 60_000);
  assert.equal(news(), "");
  assert.ok(world.received.length >= 28, `${world.received.length}`);
});

test("a hidden tab detects a dead connection after three throttled timers", () => {
  const { world, news } = openPage({ heartbeat: { message: "ping" } });
  world.timerGrainMs = 60_000;
  world.last.dead = true;
  world.advance(5 * 60_000);
  assert.match(news(), /^error, close 1006, WAITING/);
});

test("after sleep a live connection is kept, and a heartbeat is sent at once", () => {
  const { world, news } = openPage({ heartbeat: { message: "ping", reply: "pong" } });
  world.reply = () => "pong";
  world.advance(1_000);
  world.sleep(8 * 3_600_000);
  world.becomeVisible();
  world.advance(50);
  assert.deepEqual(world.received, ["ping"]);
  world.advance(60_000);
  assert.equal(news(), "");
});

test("after sleep a dead connection is replaced within the heartbeat's timeout", () => {
  const { world, news } = openPage({ heartbeat: { message: "ping" } });
  const [old] = world.sockets;
  if (old) old.dead = true;
  world.sleep(8 * 3_600_000);
  world.advance(10_000);
  assert.equal(news(), "error, close 1006, WAITING");
  world.advance(600);
  assert.equal(news(), "CONNECTING, open, OPEN");
});

test("an exception of `message` is reported as uncaught, and the connection is kept", (context) => {
  const { world, socket } = openPage({
    heartbeat: {
      intervalMs: 1_000,
      message: () => {
        throw new Error("page's mistake");
      },
    },
  });
  const uncaught: (() => void)[] = [];
  context.mock.method(globalThis, "setTimeout", (callback: () => void) => uncaught.push(callback));
  world.advance(1_000);
  assert.equal(socket.readyState, 1);
  assert.throws(uncaught[0] ?? (() => {}), /page's mistake/);
});

test("offline is reported at once, messages are queued, and the restored network dials at once", () => {
  const { world, socket, news } = openPage({ backoff: { baseMs: 60_000, maxMs: 60_000 } });
  world.setOnline(false);
  world.mode = "refuses";
  assert.equal(news(), "error, close 1006, OFFLINE");
  socket.send("kept");
  world.advance(1_000);
  world.mode = "serves";
  world.setOnline(true);
  world.advance(50);
  assert.equal(news(), "WAITING, CONNECTING, open, OPEN");
  world.advance(50);
  assert.deepEqual(world.received, ["kept"]);
});

test("retryIn counts down", () => {
  const { world, socket } = openPage();
  world.last.break();
  const { retryIn = 0, failures, ended } = socket.state;
  assert.ok(retryIn > 0 && retryIn <= 500);
  assert.deepEqual([failures, ended?.cause, ended?.code], [1, "lost", 1006]);
  world.advance(1);
  assert.equal(socket.state.retryIn, retryIn - 1);
});
