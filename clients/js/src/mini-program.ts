// The sockets of WeChat mini programs and uni-app, which `connectSocket` makes, as a WebSocket.
import type { Environment } from "./environment.js";
import type { WebSocketConstructor, WebSocketLike } from "./options.js";

/** The part of `wx` and `uni` that is used; both can be passed as they are. */
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

/** What `connectSocket` returns. */
interface SocketTask {
  send(options: { data: string | ArrayBuffer; fail?: (failure: { errMsg: string }) => void }): void;
  close(options: { code?: number; reason?: string; fail?: (failure: { errMsg: string }) => void }): void;
  onOpen(callback: (opened: { header?: Record<string, string> }) => void): void;
  onMessage(callback: (message: { data: string | ArrayBuffer }) => void): void;
  onError(callback: (failure: { errMsg: string }) => void): void;
  onClose(callback: (closed: { code?: number; reason?: string }) => void): void;
}

/** Options that a mini program has and a page doesn't. */
export interface MiniProgramOptions {
  /** Header fields of the handshake, for example `Authorization`. */
  readonly header?: Record<string, string>;
}

/** Returns options for a ReconnectingSocket in a mini program: `{ ...miniProgram(wx), connectTimeoutMs: 20_000 }`. */
export function miniProgram(
  program: MiniProgram,
  options: MiniProgramOptions = {},
): { WebSocket: WebSocketConstructor; environment: Pick<Environment, "online" | "onNetwork" | "onVisible"> } {
  const closedEarly = new ClosedEarly();
  return {
    WebSocket: class extends TaskSocket {
      constructor(url: string | URL, protocols: string | string[] = []) {
        super(program, String(url), typeof protocols === "string" ? [protocols] : protocols, options, closedEarly);
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
 * The tasks that were closed before they were open. Such a task can't be closed yet, may still open, and counts towards the
 * five that a program may have. No new task is made until it has opened, to be closed at once, or has failed.
 */
class ClosedEarly {
  /** The values: when the task was closed, by `Date.now`. */
  readonly #tasks = new Map<TaskSocket, number>();
  readonly #waiting = new Map<TaskSocket, () => void>();

  add(socket: TaskSocket): void {
    // A socket that waits for its turn has no task yet.
    if (!this.#waiting.delete(socket)) this.#tasks.set(socket, Date.now());
  }

  delete(socket: TaskSocket): void {
    this.#tasks.delete(socket);
    this.#start();
  }

  /** Calls `start` when there are no such tasks. */
  wait(socket: TaskSocket, start: () => void): void {
    for (const [task, since] of this.#tasks) if (Date.now() - since > CLOSED_EARLY_MS_MAX) this.#tasks.delete(task);
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

/** Milliseconds. Twice the default timeout of `connectSocket`, after which no callback is expected any more. */
const CLOSED_EARLY_MS_MAX = 120_000;

/** A SocketTask with the interface of a WebSocket. */
class TaskSocket implements WebSocketLike {
  onopen: Listener | null = null;
  onmessage: Listener | null = null;
  onerror: Listener | null = null;
  onclose: Listener | null = null;
  /** Mini programs have no blobs. */
  binaryType = "arraybuffer";
  /** Mini programs don't report it. */
  readonly bufferedAmount = 0;
  readonly extensions = "";
  protocol = "";
  readyState = 0;
  readonly url: string;
  readonly #closedEarly: ClosedEarly;
  #task: SocketTask | undefined;
  /** The arguments of `close`, for a task that isn't open yet. */
  #closeFrame = { code: 1000, reason: "" };

  constructor(
    program: MiniProgram,
    url: string,
    protocols: string[],
    { header }: MiniProgramOptions,
    closedEarly: ClosedEarly,
  ) {
    this.url = url;
    this.#closedEarly = closedEarly;
    closedEarly.wait(this, () => {
      const task = program.connectSocket({
        url,
        ...(protocols.length > 0 && { protocols }),
        ...(header && { header }),
        // uni-app returns the task only if one of its three callbacks is given. `fail` also reports too many sockets and a
        // domain that isn't allowed, perhaps before `connectSocket` has returned.
        fail: ({ errMsg }) => {
          closedEarly.delete(this);
          this.#endSoon(errMsg);
        },
      }) as SocketTask | undefined;
      this.#task = task;
      task?.onOpen(({ header: fields = {} }) => {
        if (this.readyState > 0) {
          task.close(this.#closeFrame);
          return closedEarly.delete(this);
        }
        const field = Object.keys(fields).find((name) => name.toLowerCase() === "sec-websocket-protocol");
        this.protocol = (field && fields[field]) || "";
        this.readyState = 1;
        call(this.onopen, {});
      });
      task?.onMessage(({ data }) => call(this.onmessage, { data, origin: "" }));
      // Whether onClose is called after an error depends on system and version.
      task?.onError(({ errMsg }) => this.#fail(errMsg));
      task?.onClose(({ code, reason }) => {
        closedEarly.delete(this);
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
    this.#task?.send({ data: bytes, fail: ({ errMsg }) => this.#fail(errMsg) });
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState > 1) return;
    this.#closeFrame = { code, reason };
    if (this.readyState === 0) {
      this.#closedEarly.add(this);
      this.#endSoon("");
    } else {
      // A task that can't be closed isn't open.
      this.#task?.close({ code, reason, fail: ({ errMsg }) => this.#end(1006, errMsg) });
    }
    this.readyState = 2;
  }

  /** Ends it after the caller has returned, as a WebSocket does. */
  #endSoon(reason: string): void {
    void Promise.resolve().then(() => this.#end(1006, reason));
  }

  /** Ends it after an error, and closes the task, which may still be open. */
  #fail(reason: string): void {
    this.#closedEarly.delete(this);
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
