// Many seeds of a bad network, in simulated time. A failing run names its seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ReconnectingSocket } from "../src/index.js";
import { seededRandom, World } from "./simulated.js";

const SEEDS = 300;
const URL = "ws://example.com/feed";

/** Simulates an hour of lost and dead connections, restarts, sleep and no network, while messages are sent. */
function simulate(seed: number) {
  const world = new World(seed);
  const random = seededRandom(seed ^ 0x5eed);
  world.reply = (data) => (data === "ping" ? "pong" : undefined);
  const heartbeat = { intervalMs: 20_000, timeoutMs: 5_000, message: "ping", reply: "pong" };
  const queue = { messagesMax: 20, whenFull: "drop-oldest" } as const;
  const socket = new ReconnectingSocket(URL, [], world.options({ heartbeat, queue }));
  const log = { dropped: [] as unknown[], open: 0, close: 0, openNow: false };
  socket.addEventListener("dropped", ({ messages }) => log.dropped.push(...messages));
  socket.addEventListener("open", () => {
    assert.ok(!log.openNow, "open twice");
    log.openNow = true;
    log.open += 1;
  });
  socket.addEventListener("close", () => {
    log.openNow = false;
    log.close += 1;
  });
  const faults: (() => void)[] = [
    () => world.last.break(),
    () => world.last.end(1012, `retry_ms=${Math.floor(random() * 5_000)}`),
    () => world.last.end(1001),
    () => {
      world.last.dead = true;
    },
    () => world.kill(),
    () => {
      world.mode = "closes at once";
    },
    () => {
      world.mode = "is silent";
    },
    () => {
      world.mode = "serves";
    },
    () => world.setOnline(false),
    () => world.setOnline(true),
    () => world.sleep(random() * 600_000),
    () => world.becomeVisible(),
    () => {
      world.timerGrainMs = random() < 0.5 ? 1 : 60_000;
    },
    () => socket.reconnect(),
  ];
  let sent = 0;
  const end = world.now + 3_600_000;
  while (world.now < end) {
    if (random() < 0.15) faults[Math.floor(random() * faults.length)]?.();
    for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
      socket.send(PREFIX + sent);
      sent += 1;
    }
    world.advance(random() * 10_000);
    const standing = world.sockets.filter(({ readyState }) => readyState < 2);
    assert.ok(standing.length <= 1, `${standing.length} sockets at once`);
  }
  // It reconnects once the faults are over.
  world.mode = "serves";
  world.timerGrainMs = 1;
  world.setOnline(true);
  world.advance(120_000);
  return { world, socket, log, sent };
}

function forSeeds(check: (seed: number) => void): void {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      check(seed);
    } catch (error) {
      throw new Error(`with seed ${seed}`, { cause: error });
    }
  }
}

const PREFIX = "message ";

/** The numbers of the page's messages. Heartbeats have none. */
function numbersOf(messages: unknown[]): number[] {
  const own = messages.map(String).filter((data) => data.startsWith(PREFIX));
  return own.map((data) => Number(data.slice(PREFIX.length)));
}

const sorted = (numbers: number[]) => [...new Set(numbers)].sort((one, other) => one - other);

test("one connection at a time, always reconnected, no message twice, in order, every loss reported", () => {
  let survived = 0;
  forSeeds((seed) => {
    const { world, socket, log, sent } = simulate(seed);
    assert.equal(socket.readyState, 1);
    assert.ok(log.openNow && log.open > 1 && log.close >= log.open - 1);
    const numbers = numbersOf(world.received);
    assert.deepEqual(numbers, sorted(numbers), "out of order, or twice");
    // Every message was received, or reported as dropped, or in flight when a connection broke; exactly one of them.
    const fates = [...numbers, ...numbersOf(log.dropped), ...numbersOf(world.lostOnTheWay)];
    assert.deepEqual(
      fates.sort((one, other) => one - other),
      Array.from({ length: sent }, (_, number) => number),
    );
    survived += numbers.length;
  });
  assert.ok(survived > SEEDS * 100);
});

test("messages sent while there is no connection all arrive", () => {
  forSeeds((seed) => {
    const world = new World(seed);
    const socket = new ReconnectingSocket(URL, [], world.options({ queue: { messagesMax: 50 } }));
    world.mode = "refuses";
    const sent = Array.from({ length: 50 }, (_, number) => `message ${number}`);
    for (const message of sent) {
      socket.send(message);
      world.advance(world.random() * 1_000);
    }
    world.mode = "serves";
    world.advance(60_000);
    assert.deepEqual(world.received, sent);
  });
});

test("two thousand clients of a killed server reconnect spread over time, all of them", () => {
  const clients = Array.from({ length: 2_000 }, (_, index) => {
    const world = new World(index + 1);
    const socket = new ReconnectingSocket(URL, [], world.options());
    world.advance(10_000);
    world.kill();
    return { world, socket, killedAt: world.now };
  });
  const back: number[] = [];
  for (const { world, socket, killedAt } of clients) {
    world.advance(8_000);
    world.mode = "serves";
    world.advance(40_000);
    assert.equal(socket.readyState, 1);
    const dial = world.dials.at(-1) ?? 0;
    back.push(dial - killedAt - 8_000);
  }
  // Each of them tried a few times while the server was down.
  const tries = clients.map(({ world }) => world.dials.length - 2).sort((one, other) => one - other);
  assert.ok((tries.at(-1) ?? 0) < 25 && (tries[1_000] ?? 0) < 8, `${tries[1_000]}, at most ${tries.at(-1)}`);
  // No second saw more than a part of them.
  const perSecond = new Map<number, number>();
  for (const at of back) perSecond.set(Math.floor(at / 1_000), (perSecond.get(Math.floor(at / 1_000)) ?? 0) + 1);
  const most = Math.max(...perSecond.values());
  assert.ok(most < 600 && Math.min(...back) >= 0, `${most} of 2 000 in one second`);
});

test("a server that accepts and closes at once is dialled with backoff", () => {
  forSeeds((seed) => {
    const world = new World(seed);
    world.mode = "closes at once";
    new ReconnectingSocket(URL, [], world.options());
    world.advance(600_000);
    // With a ceiling of 30 s the mean is 15 s.
    assert.ok(world.dials.length < 90, `${world.dials.length} attempts in ten minutes`);
  });
});
