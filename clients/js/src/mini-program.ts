// WeChat mini programs and uni-app, whose sockets are made by `connectSocket`, as a WebSocket.
import type { Environment } from "./environment.js";
import type { WebSocketConstructor, WebSocketLike } from "./options.js";

/** What `wx` and `uni` have in common; both fit as they are. */
export interface MiniProgram {
  connectSocket(options: {
    url: string;
    protocols?: string[];
    header?: Record<string, string>;
    fail?: (failure: { errMsg: string }) => void;
  }): SocketTask | unknown;
  onNetworkStatusChange?(callback: (status: { isConnected: boolean }) => void): void;
  offNetworkStatusChange?(callback: (status: { isConnected: boolean }) => void): void;
  onAppShow?(callback: () => void): void;
  offAppShow?(callback: () => void): void;
}

/** What `connectSocket` answers with. */
interface SocketTask {
  send(options: { data: string | ArrayBuffer; fail?: (failure: { errMsg: string }) => void }): void;
  close(options: { code?: number; reason?: string; fail?: (failure: { errMsg: string }) => void }): void;
  onOpen(callback: (opened: { header?: Record<string, string> }) => void): void;
  onMessage(callback: (message: { data: string | ArrayBuffer }) => void): void;
  onError(callback: (failure: { errMsg: string }) => void): void;
  onClose(callback: (closed: { code?: number; reason?: string }) => void): void;
}

/** What a page can't set and a mini program can. */
export interface MiniProgramOptions {
  /** Header fields of the handshake, for example `Authorization`. */
  readonly header?: Record<string, string>;
}

/** Options for a ReconnectingSocket in a mini program: `{ ...miniProgram(wx), connectTimeoutMs: 20_000 }`. */
export function miniProgram(
  program: MiniProgram,
  options: MiniProgramOptions = {},
): { WebSocket: WebSocketConstructor; environment: Pick<Environment, "online" | "onNetwork" | "onVisible"> } {
  const unopened = new Unopened();
  return {
    WebSocket: class extends TaskSocket {
      constructor(url: string | URL, protocols: string | string[] = []) {
        super(program, String(url), typeof protocols === "string" ? [protocols] : protocols, options, unopened);
      }
    },
    environment: {
      online: () => true,
      onNetwork(callback) {
        const changed = (status: { isConnected: boolean }) => callback(status.isConnected);
        program.onNetworkStatusChange?.(changed);
        return () => program.offNetworkStatusChange?.(changed);
      },
      onVisible(callback) {
        program.onAppShow?.(callback);
        return () => program.offAppShow?.(callback);
      },
    },
  };
}

type Listener = (event: never) => void;

/**
 * The tasks of an adapter that were given up before they opened. Such a task can't be closed, may open still, and counts
 * among the five that a program may have: until it has opened or failed, no new one is made.
 */
class Unopened {
  /** Since when. */
  readonly #tasks = new Map<TaskSocket, number>();
  readonly #waiting = new Map<TaskSocket, () => void>();

  add(socket: TaskSocket): void {
    // One that waits has no task yet.
    if (!this.#waiting.delete(socket)) this.#tasks.set(socket, Date.now());
  }

  delete(socket: TaskSocket): void {
    this.#tasks.delete(socket);
    this.#start();
  }

  /** Calls `start` when there is none left. */
  wait(socket: TaskSocket, start: () => void): void {
    for (const [task, since] of this.#tasks) if (Date.now() - since > UNOPENED_MS_MAX) this.#tasks.delete(task);
    this.#waiting.set(socket, start);
    this.#start();
  }

  #start(): void {
    if (this.#tasks.size > 0) return;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const start of waiting) start();
  }
}

/** Twice the time after which `connectSocket` gives up unless told otherwise: such a task will not say anything any more. */
const UNOPENED_MS_MAX = 120_000;

/** One SocketTask behind the interface of a WebSocket. */
class TaskSocket implements WebSocketLike {
  onopen: Listener | null = null;
  onmessage: Listener | null = null;
  onerror: Listener | null = null;
  onclose: Listener | null = null;
  /** There are no blobs here. */
  binaryType = "arraybuffer";
  /** Nobody tells. */
  readonly bufferedAmount = 0;
  readonly extensions = "";
  protocol = "";
  readyState = 0;
  readonly url: string;
  readonly #unopened: Unopened;
  #task: SocketTask | undefined;
  /** Of `close`, for a task that has yet to open. */
  #goodbye = { code: 1000, reason: "" };

  constructor(
    program: MiniProgram,
    url: string,
    protocols: string[],
    { header }: MiniProgramOptions,
    unopened: Unopened,
  ) {
    this.url = url;
    this.#unopened = unopened;
    unopened.wait(this, () => {
      const task = program.connectSocket({
        url,
        ...(protocols.length > 0 && { protocols }),
        ...(header && { header }),
        // uni-app answers with the task itself only if one of its three callbacks is given. It is also how too many
        // sockets, or a domain that isn't on the list, are told; perhaps before anybody listens.
        fail: ({ errMsg }) => {
          unopened.delete(this);
          this.#endSoon(errMsg);
        },
      }) as SocketTask | undefined;
      this.#task = task;
      task?.onOpen(({ header: fields = {} }) => {
        if (this.readyState > 0) {
          task.close(this.#goodbye);
          return unopened.delete(this);
        }
        const field = Object.keys(fields).find((name) => name.toLowerCase() === "sec-websocket-protocol");
        this.protocol = (field && fields[field]) || "";
        this.readyState = 1;
        call(this.onopen, {});
      });
      task?.onMessage(({ data }) => call(this.onmessage, { data, origin: "" }));
      // After an error onClose may come or not, depending on system and version.
      task?.onError(({ errMsg }) => this.#break(errMsg));
      task?.onClose(({ code, reason }) => {
        unopened.delete(this);
        this.#end(code ?? 1005, reason ?? "");
      });
    });
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    const bytes = ArrayBuffer.isView(data)
      ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
      : data;
    if (typeof bytes !== "string" && !(bytes instanceof ArrayBuffer)) {
      throw new TypeError("A mini program sends text or an ArrayBuffer");
    }
    this.#task?.send({ data: bytes, fail: ({ errMsg }) => this.#break(errMsg) });
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState > 1) return;
    this.#goodbye = { code, reason };
    if (this.readyState === 0) {
      this.#unopened.add(this);
      this.#endSoon("");
    } else {
      // If it can't be closed it isn't open.
      this.#task?.close({ code, reason, fail: ({ errMsg }) => this.#end(1006, errMsg) });
    }
    this.readyState = 2;
  }

  /** As a WebSocket, which tells nothing before its maker has returned. */
  #endSoon(reason: string): void {
    void Promise.resolve().then(() => this.#end(1006, reason));
  }

  /** Something went wrong, and the connection may stand for all that. */
  #break(reason: string): void {
    this.#unopened.delete(this);
    this.#task?.close({});
    this.#end(1006, reason);
  }

  #end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    if (code === 1006) call(this.onerror, {});
    call(this.onclose, { code, reason, wasClean: code !== 1006 });
  }
}

function call(listener: Listener | null, event: object): void {
  listener?.(event as never);
}
