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

/** Options for a ReconnectingSocket in a mini program: `{ ...miniProgram(wx), heartbeat: {} }`. */
export function miniProgram(
  program: MiniProgram,
  options: MiniProgramOptions = {},
): { WebSocket: WebSocketConstructor; environment: Pick<Environment, "online" | "onNetwork" | "onVisible"> } {
  return {
    WebSocket: class extends TaskSocket {
      constructor(url: string | URL, protocols: string | string[] = []) {
        super(program, String(url), typeof protocols === "string" ? [protocols] : protocols, options);
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
  readonly #task: SocketTask | undefined;

  constructor(program: MiniProgram, url: string, protocols: string[], { header }: MiniProgramOptions) {
    this.url = url;
    const task = program.connectSocket({
      url,
      ...(protocols.length > 0 && { protocols }),
      ...(header && { header }),
      // uni-app answers with the task itself only if one of its three callbacks is given. It is also how too many
      // sockets, or a domain that isn't on the list, are told; perhaps before anybody listens.
      fail: ({ errMsg }) => void Promise.resolve().then(() => this.#end(1006, errMsg)),
    }) as SocketTask | undefined;
    this.#task = task;
    task?.onOpen(({ header: fields = {} }) => {
      const field = Object.keys(fields).find((name) => name.toLowerCase() === "sec-websocket-protocol");
      this.protocol = (field && fields[field]) || "";
      this.readyState = 1;
      call(this.onopen, {});
    });
    task?.onMessage(({ data }) => call(this.onmessage, { data, origin: "" }));
    // After an error onClose may come or not, depending on system and version.
    task?.onError(({ errMsg }) => this.#end(1006, errMsg));
    task?.onClose(({ code, reason }) => this.#end(code ?? 1005, reason ?? ""));
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    const bytes = ArrayBuffer.isView(data)
      ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
      : data;
    if (typeof bytes !== "string" && !(bytes instanceof ArrayBuffer)) {
      throw new TypeError("A mini program sends text or an ArrayBuffer");
    }
    this.#task?.send({ data: bytes, fail: ({ errMsg }) => this.#end(1006, errMsg) });
  }

  close(code = 1000, reason = ""): void {
    this.readyState = Math.max(this.readyState, 2);
    // If it can't be closed it isn't open.
    this.#task?.close({ code, reason, fail: ({ errMsg }) => this.#end(1006, errMsg) });
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
