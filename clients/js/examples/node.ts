// Node 22 and later have a global WebSocket; on Node 20 pass the class of npm `ws`.
import { ReconnectingSocket } from "sockeye-client";

export function follow(url: string, webSocket: unknown = globalThis.WebSocket): ReconnectingSocket {
  return new ReconnectingSocket(url, [], {
    WebSocket: webSocket,
    heartbeat: { intervalMs: 20_000, timeoutMs: 5_000, message: "ping", reply: "pong" },
    finalCodes: [1000, 1008, 4401],
  });
}
