// A TCP proxy that closes idle connections, as nginx does, or stops forwarding.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export class Middlebox {
  /** The number of connections that were closed because they were idle. */
  cuts = 0;
  connections = 0;
  /** The number of bytes that clients sent. */
  heard = 0;
  /** From the server to each client. */
  bytesPerSecond = Infinity;
  readonly #listener: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(target: number, idleMs: number) {
    this.#listener = createServer((client) => this.#join(client, connect(target, "127.0.0.1"), idleMs));
  }

  static async start(target: number, idleMs: number): Promise<Middlebox> {
    const middlebox = new Middlebox(target, idleMs);
    middlebox.#listener.listen(0, "127.0.0.1");
    await once(middlebox.#listener, "listening");
    return middlebox;
  }

  get url(): string {
    const address = this.#listener.address();
    return `ws://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  /** Stops forwarding on all current connections, even their end, as if the cable were pulled. */
  swallow(): void {
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        for (const event of ["data", "close", "error"]) socket.removeAllListeners(event);
        socket.on("error", () => {}).resume();
      }
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  #join(client: Socket, server: Socket, idleMs: number): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    this.connections += 1;
    client.on("data", (bytes) => {
      this.heard += bytes.length;
      server.write(bytes);
    });
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    // Like nginx's proxy_read_timeout: the time since the server sent something.
    const cut = setTimeout(() => {
      this.cuts += 1;
      end();
    }, idleMs).unref();
    server.on("data", (bytes) => {
      cut.refresh();
      client.write(bytes);
      if (this.bytesPerSecond === Infinity) return;
      server.pause();
      setTimeout(() => server.resume(), (bytes.length * 1_000) / this.bytesPerSecond);
    });
    server.on("close", () => clearTimeout(cut));
  }
}
