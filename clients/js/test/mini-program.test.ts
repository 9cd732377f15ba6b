import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { buildSync } from "esbuild";
import { type MiniProgram, miniProgram, ReconnectingSocket } from "../src/index.js";
import { World } from "./simulated.js";

type Callback = (event: never) => void;

/**
 * `wx.connectSocket` and its SocketTask as their documentation has them: options with success, fail and complete; at
 * most five sockets at a time; `send` and `close` fail unless open; an error may come without a close.
 */
class Program implements MiniProgram {
  readonly tasks: Task[] = [];
  readonly world: World;
  /** What `connectSocket` does. */
  mode: "opens" | "fails" | "errs without a close" = "opens";
  /** Milliseconds until a task opens. */
  opensAfterMs = 10;
  network: Callback | undefined;
  shown: Callback | undefined;

  constructor(world: World) {
    this.world = world;
  }

  connectSocket(options: Record<string, unknown>): unknown {
    // uni-app: "at least one of success, fail and complete", or the answer is a promise.
    if (!["success", "fail", "complete"].some((name) => name in options)) return Promise.resolve();
    const fail = options.fail as ((failure: { errMsg: string }) => void) | undefined;
    if (this.mode === "fails" || this.standing >= 5) {
      fail?.({ errMsg: "connectSocket:fail" });
      return undefined;
    }
    const task = new Task(options);
    this.tasks.push(task);
    this.world.after(this.opensAfterMs, () => {
      if (this.mode === "errs without a close") task.emit("error", { errMsg: "timeout" });
      else task.open();
    });
    return task;
  }

  /** Tasks that are open, or may still open. */
  get standing(): number {
    return this.tasks.filter((task) => task.readyState < 2).length;
  }

  onNetworkStatusChange(callback: Callback): void {
    this.network = callback;
  }

  offNetworkStatusChange(callback: Callback): void {
    if (this.network === callback) this.network = undefined;
  }

  onAppShow(callback: Callback): void {
    this.shown = callback;
  }

  offAppShow(callback: Callback): void {
    if (this.shown === callback) this.shown = undefined;
  }
}

class Task {
  readyState = 0;
  readonly sent: unknown[] = [];
  closed: { code?: number; reason?: string } | undefined;
  readonly options: Record<string, unknown>;
  readonly #callbacks = new Map<string, Callback>();

  constructor(options: Record<string, unknown>) {
    this.options = options;
  }

  onOpen = (callback: Callback) => this.#callbacks.set("open", callback);
  onMessage = (callback: Callback) => this.#callbacks.set("message", callback);
  onError = (callback: Callback) => this.#callbacks.set("error", callback);
  onClose = (callback: Callback) => this.#callbacks.set("close", callback);

  emit(name: string, event: object): void {
    this.#callbacks.get(name)?.(event as never);
  }

  open(): void {
    this.readyState = 1;
    this.emit("open", { header: { "Sec-WebSocket-Protocol": "v1" }, profile: {} });
  }

  send({ data, fail }: { data: unknown; fail?: (failure: { errMsg: string }) => void }): void {
    if (this.readyState === 1) this.sent.push(data);
    else fail?.({ errMsg: "sendSocketMessage:fail" });
  }

  close(options: { code?: number; reason?: string; fail?: (failure: { errMsg: string }) => void }): void {
    if (this.readyState !== 1) return options.fail?.({ errMsg: "closeSocket:fail" });
    this.closed = options;
    this.readyState = 3;
  }

  end(code: number, reason: string): void {
    this.readyState = 3;
    this.emit("close", { code, reason });
  }
}

function started(mode: Program["mode"] = "opens", opensAfterMs = 10) {
  const world = new World();
  const program = new Program(world);
  program.mode = mode;
  program.opensAfterMs = opensAfterMs;
  const adapter = miniProgram(program, { header: { Authorization: "Bearer x" } });
  const { now, random, setTimeout, clearTimeout } = world.environment;
  const environment = { ...adapter.environment, now, random, setTimeout, clearTimeout };
  const socket = new ReconnectingSocket("wss://example.com/feed", "v1", { ...adapter, environment });
  const heard: string[] = [];
  for (const type of ["open", "error"]) socket.addEventListener(type, () => heard.push(type));
  socket.addEventListener("message", ({ data }) => heard.push(`message ${data}`));
  socket.addEventListener("close", ({ code, reason }) => heard.push(`close ${code} ${reason}`.trim()));
  const task = () => {
    const last = program.tasks.at(-1);
    assert.ok(last);
    return last;
  };
  return { world, program, socket, heard, task };
}

test("a socket task opens, sends, receives and reconnects", () => {
  const { world, program, socket, heard, task } = started();
  socket.send("waits");
  world.advance(10);
  assert.deepEqual([socket.readyState, socket.protocol, socket.url], [1, "v1", "wss://example.com/feed"]);
  assert.deepEqual(task().options.protocols, ["v1"]);
  assert.deepEqual(task().options.header, { Authorization: "Bearer x" });
  const bytes = new Uint8Array([1, 2, 3, 4]);
  socket.send(bytes.subarray(1, 3));
  assert.deepEqual(task().sent, ["waits", bytes.slice(1, 3).buffer]);
  task().emit("message", { data: "hello" });
  task().end(1006, "abnormal closure");
  world.advance(1_000);
  assert.equal(program.tasks.length, 2);
  assert.deepEqual(heard, ["open", "message hello", "error", "close 1006 abnormal closure", "open"]);
});

test("close passes code and reason", () => {
  const { world, socket, heard, task } = started();
  world.advance(10);
  socket.close(4001, "bye");
  assert.deepEqual([task().closed?.code, task().closed?.reason], [4001, "bye"]);
  task().emit("close", { code: 4001, reason: "bye" });
  assert.deepEqual([socket.readyState, heard], [3, ["open", "close 4001 bye"]]);
});

// Issue 13, C.20.
test("a task that can't be closed yet is closed as soon as it opens", async () => {
  const { world, program, socket, heard, task } = started();
  socket.close(4001, "bye");
  assert.equal(program.standing, 1);
  await world.settle();
  assert.deepEqual([socket.readyState, heard], [3, ["error", "close 1006"]]);
  world.advance(10);
  assert.deepEqual([task().closed?.code, task().closed?.reason, program.standing], [4001, "bye", 0]);
  world.advance(100_000);
  assert.deepEqual([program.tasks.length, heard.length, world.timers], [1, 2, 0]);
});

test("attempts that time out never have two tasks; the next begins when the last can't open any more", async () => {
  const { world, program, socket, task } = started("opens", 45_000);
  for (let second = 0; second < 44; second += 1) {
    world.advance(1_000);
    await world.settle();
    assert.ok(program.standing <= 1, `${program.standing} after ${second} s`);
  }
  assert.deepEqual([program.tasks.length, socket.state.failures >= 2], [1, true]);
  program.opensAfterMs = 10;
  for (let second = 0; second < 60 && socket.readyState !== 1; second += 1) {
    world.advance(1_000);
    await world.settle();
    assert.ok(program.standing <= 1, `${program.standing}`);
  }
  assert.deepEqual([program.tasks.length, program.standing, socket.readyState], [2, 1, 1]);
  assert.equal(program.tasks[0]?.closed?.code, 3008);
  socket.send("here");
  assert.deepEqual(task().sent, ["here"]);
});

test("a task that fails after it was dropped lets the next one begin", async () => {
  for (const end of [
    (task: Task) => task.emit("error", { errMsg: "timeout" }),
    (task: Task) => task.end(1006, "abnormal closure"),
    (task: Task) => (task.options.fail as (failure: object) => void)({ errMsg: "connectSocket:fail" }),
  ]) {
    const { world, program, socket } = started("opens", Infinity);
    world.advance(10_000);
    await world.settle();
    program.opensAfterMs = 10;
    world.advance(2_000);
    assert.equal(program.tasks.length, 1);
    const [first] = program.tasks;
    assert.ok(first);
    end(first);
    await world.settle();
    world.advance(3_000);
    assert.deepEqual([program.tasks.length, socket.readyState], [2, 1]);
  }
});

test("a task without any callback delays the next one for two minutes at most", async (context) => {
  const { world, program, socket } = started("opens", Infinity);
  context.mock.method(Date, "now", () => world.now);
  for (let second = 0; second < 180 && program.tasks.length === 1; second += 1) {
    program.opensAfterMs = 10;
    world.advance(1_000);
    await world.settle();
  }
  world.advance(10);
  assert.deepEqual([program.tasks.length, socket.readyState], [2, 1]);
});

test("a socket that is closed while it waits for an old task makes none", async () => {
  const { world, program, socket } = started("opens", 60_000);
  world.advance(10_000);
  await world.settle();
  world.advance(5_000);
  socket.close();
  await world.settle();
  world.advance(100_000);
  assert.deepEqual([socket.readyState, program.tasks.length, program.standing], [3, 1, 0]);
});

test("two sockets may share an adapter", () => {
  const world = new World();
  const program = new Program(world);
  const adapter = miniProgram(program);
  const environment = { ...world.environment, ...adapter.environment };
  const sockets = ["a", "b"].map((name) => new ReconnectingSocket(`wss://${name}`, [], { ...adapter, environment }));
  world.advance(10);
  assert.deepEqual(
    sockets.map(({ readyState }) => readyState),
    [1, 1],
  );
});

test("a connection that fails to send, or reports an error, is closed before the next one", () => {
  const { world, program, socket, task } = started();
  world.advance(10);
  const [first] = program.tasks;
  assert.ok(first);
  first.send = ({ fail }) => fail?.({ errMsg: "sendSocketMessage:fail" });
  socket.send("lost");
  world.advance(2_000);
  assert.deepEqual([program.tasks.length, program.standing], [2, 1]);
  task().emit("error", { errMsg: "broken" });
  world.advance(2_000);
  assert.deepEqual([program.tasks.length, program.standing, socket.readyState], [3, 1, 1]);
});

test("an error without a close, and a socket that can't be made, are failed attempts", async () => {
  for (const mode of ["errs without a close", "fails"] as const) {
    const { world, program, socket, heard } = started(mode);
    await world.settle();
    world.advance(10);
    assert.match(heard.join(), /^error,close 1006 (timeout|connectSocket:fail)$/);
    program.mode = "opens";
    world.advance(2_000);
    assert.equal(socket.readyState, 1);
  }
});

test("a message that can't be sent ends the connection, and the socket reconnects", () => {
  const { world, program, socket, task } = started();
  world.advance(10);
  task().readyState = 3;
  socket.send("lost");
  world.advance(2_000);
  assert.equal(program.tasks.length, 2);
});

test("network and foreground events are handled until close", () => {
  const { world, program, socket } = started();
  world.advance(10);
  program.network?.({ isConnected: false } as never);
  assert.equal(socket.state.name, "offline");
  program.network?.({ isConnected: true } as never);
  world.advance(20);
  assert.deepEqual([socket.state.name, program.tasks.length], ["open", 2]);
  program.shown?.({} as never);
  socket.close();
  program.tasks.at(-1)?.emit("close", { code: 1000, reason: "" });
  assert.deepEqual([program.network, program.shown], [undefined, undefined]);
});

test("it runs where there is neither EventTarget nor Event nor DOMException nor URL", async () => {
  const [bundle] = buildSync({
    entryPoints: [`${import.meta.dirname}/../src/index.ts`],
    bundle: true,
    format: "iife",
    globalName: "Sockeye",
    target: "es2022",
    write: false,
  }).outputFiles;
  const world = new World();
  const program = new Program(world);
  const { setTimeout, clearTimeout } = world.environment;
  const place = createContext({ wx: program, setTimeout, clearTimeout, heard: [] as string[] });
  runInContext(bundle?.text ?? "", place);
  runInContext(
    `const socket = new Sockeye.ReconnectingSocket("wss://example.com", [], {
      ...Sockeye.miniProgram(wx), backoff: { baseMs: 0 }
    });
    socket.onopen = (event) => heard.push(event.type, event.target === socket);
    socket.addEventListener("message", { handleEvent: (event) => heard.push(event.data) }, { once: true });
    socket.addEventListener("message", () => { throw new Error("page's mistake") });
    socket.addEventListener("message", () => heard.push("and the next listener"));
    socket.addEventListener("close", (event) => heard.push(event.code, event.wasClean));
    socket.addEventListener("state", (event) => heard.push(event.state.name));
    try { socket.close(1); } catch (error) { heard.push(error.name); }`,
    place,
  );
  world.advance(10);
  program.tasks[0]?.emit("message", { data: "one" });
  assert.throws(() => world.advance(1), /page's mistake/);
  program.tasks[0]?.end(1001, "");
  assert.deepEqual(
    [...place.heard],
    ["InvalidAccessError", "open", true, "open", "one", "and the next listener", 1001, true, "waiting"],
  );
});
