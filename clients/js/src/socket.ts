// A WebSocket that reconnects: it has the interface of WebSocket, and makes one WebSocket after another.

import { BaseEvent, Emitter, report } from "./emitter.js";
import type { Environment } from "./environment.js";
import { domException } from "./errors.js";
import { closeEvent, DroppedEvent, type DropReason, FailureEvent, messageEvent, StateEvent } from "./events.js";
import { Heartbeat } from "./heartbeat.js";
import { byteLength, type Data, toData, utf8Length } from "./message.js";
import { type Fresh, type Options, type Settings, settings, type WebSocketLike } from "./options.js";
import { Queue } from "./queue.js";
import { type Effect, type Ended, Machine, type State } from "./state.js";

/** The events and their types. */
export interface SocketEventMap extends WebSocketEventMap {
  error: FailureEvent;
  state: StateEvent;
  dropped: DroppedEvent;
}

type Handler<E extends Event> = ((this: WebSocket, event: E) => unknown) | null;
type Listener<K extends keyof SocketEventMap> = (this: ReconnectingSocket, event: SocketEventMap[K]) => unknown;

export interface ReconnectingSocket {
  addEventListener<K extends keyof SocketEventMap>(
    type: K,
    listener: Listener<K>,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof SocketEventMap>(
    type: K,
    listener: Listener<K>,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | EventListenerOptions,
  ): void;
}

/**
 * A WebSocket that reconnects. It can replace `WebSocket`, whose interface it has; in addition it queues messages while
 * there is no connection, detects dead connections, and reports its state.
 *
 * ```text
 *   page ── send ──> Queue ──> WebSocket ══> server
 *     ^                          │  open, message, error, close
 *     └── events ── Machine <────┘  timers, network, page visibility
 * ```
 */
export class ReconnectingSocket extends Emitter implements WebSocket {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;
  declare onopen: Handler<Event>;
  declare onmessage: Handler<MessageEvent>;
  declare onerror: Handler<Event>;
  declare onclose: Handler<CloseEvent>;
  declare onstate: ((this: ReconnectingSocket, event: StateEvent) => unknown) | null;
  declare ondropped: ((this: ReconnectingSocket, event: DroppedEvent) => unknown) | null;

  static {
    for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
      for (const target of [ReconnectingSocket, ReconnectingSocket.prototype]) {
        Object.defineProperty(target, name, { value, enumerable: true });
      }
    }
    for (const type of ["open", "message", "error", "close", "state", "dropped"]) {
      Object.defineProperty(ReconnectingSocket.prototype, `on${type}`, {
        get(this: ReconnectingSocket) {
          return this.handler(type);
        },
        set(this: ReconnectingSocket, handler: unknown) {
          this.setHandler(type, handler);
        },
        configurable: true,
        enumerable: true,
      });
    }
  }

  readonly #url: Fresh<string | URL>;
  readonly #protocols: Fresh<string | string[] | undefined>;
  readonly #settings: Settings;
  readonly #environment: Environment;
  readonly #queue: Queue;
  readonly #machine: Machine;

  /** The current WebSocket. There is never a second one whose events are handled. */
  #socket: WebSocketLike | undefined;
  /** The last WebSocket that was made: `protocol` and `extensions` can be read after it has ended. */
  #lastSocket: WebSocketLike | undefined;
  /** The number of the current attempt. Results of earlier attempts are ignored. */
  #attempt = 0;
  #binaryType: BinaryType = "blob";
  /** The `url` of the last WebSocket. */
  #lastUrl = "";
  /** Bytes that were passed to `send` after `close`, which `bufferedAmount` has to count. */
  #bytesAfterClose = 0;
  /** The WebSocket's `bufferedAmount` at the last check, and the bytes passed to it since. */
  #lastBuffered = 0;
  #bytesSent = 0;
  #timer: unknown;
  /** Unsubscribes from network and visibility events; undefined while the socket is closed. */
  #unsubscribe: (() => void) | undefined;
  /** Whether `#run` is on the call stack, which will carry out all effects. */
  #running = false;

  /**
   * @param url the URL as for `WebSocket`, or a function that is called before each attempt
   * @param protocols the subprotocols as for `WebSocket`, or a function that is called before each attempt
   * @throws what `new WebSocket` throws, unless `url` or `protocols` is a function or the socket starts closed; a TypeError
   *   or RangeError for wrong options
   */
  constructor(url: Fresh<string | URL>, protocols?: Fresh<string | string[] | undefined>, options: Options = {}) {
    super();
    if (arguments.length === 0) throw new TypeError("A socket needs a URL");
    this.#url = url;
    this.#protocols = protocols;
    this.#settings = settings(options);
    const { environment, heartbeat, queue } = this.#settings;
    this.#environment = environment;
    this.#queue = new Queue(queue);
    this.#machine = new Machine({
      ...this.#settings,
      heartbeat: heartbeat && new Heartbeat(heartbeat),
      random: environment.random,
      retry: (ended, failures) => this.#retry(ended, failures),
    });
    if (this.#settings.startClosed) return;
    this.#machine.start(environment.now(), environment.online());
    // An exception of the WebSocket constructor is thrown to our caller.
    this.#run("first");
  }

  // ---- The interface of WebSocket ----

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#machine.readyState;
  }

  /** The URL of the last attempt, as the WebSocket resolved it; empty before the first one. */
  get url(): string {
    return this.#lastUrl;
  }

  get protocol(): string {
    return this.#lastSocket?.protocol ?? "";
  }

  get extensions(): string {
    return this.#lastSocket?.extensions ?? "";
  }

  /** Bytes in our queue and in the browser's buffer. */
  get bufferedAmount(): number {
    return this.#queue.bytes + (this.#socket?.bufferedAmount ?? 0) + this.#bytesAfterClose;
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    // WebIDL: another value is ignored.
    if (type !== "blob" && type !== "arraybuffer") return;
    this.#binaryType = type;
    if (this.#socket) this.#socket.binaryType = type;
  }

  /**
   * Sends a message, or queues it until there is a connection. Messages are sent in the order of the calls, each at most
   * once. Messages that `open` listeners send go before the queued ones. After `close`, and before `connect()` of a socket
   * that starts closed, the message is dropped with a `dropped` event.
   *
   * @throws QueueFullError if there is no connection and the queue is full, unless `queue.whenFull` is "drop-oldest"
   */
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>): void {
    if (arguments.length === 0) throw new TypeError("send needs a message");
    const message = toData(data);
    // The WebSocket may be closing before its `close` event. It would discard the message; the queue keeps it.
    if (this.readyState === ReconnectingSocket.OPEN && this.#socket?.readyState === ReconnectingSocket.OPEN) {
      this.#socket.send(message as never);
      this.#bytesSent += byteLength(message);
      return;
    }
    if (this.readyState >= ReconnectingSocket.CLOSING) {
      // As in a browser, the message counts as buffered and is not sent; in addition a `dropped` event reports it.
      this.#bytesAfterClose += byteLength(message);
      this.#drop("closed", [message]);
      return;
    }
    this.#drop("overflow", this.#queue.push(message, this.#environment.now()));
    this.#setTimer();
  }

  /**
   * Closes without reconnecting. Queued messages are dropped, with a `dropped` event.
   *
   * @throws InvalidAccessError if the code is neither 1000 nor in 3000..=4999
   * @throws SyntaxError if the reason has more than 123 bytes in UTF-8
   */
  close(code?: number, reason?: string): void {
    const closeArgs = closeArguments(code, reason);
    if (this.readyState >= ReconnectingSocket.CLOSING) return;
    this.#uploadProgressed();
    this.#machine.close(this.#environment.now(), this.#socket !== undefined);
    // Also ends an attempt that still waits for the function for `url` or `protocols`.
    this.#attempt += 1;
    this.#socket?.close(...closeArgs);
    this.#run();
  }

  // ---- In addition to WebSocket ----

  /** The state as in the last `state` event, with the current `retryIn`. */
  get state(): State {
    return this.#machine.state(this.#environment.now());
  }

  /** Connects if the socket is closed or closing; does nothing if it is open or has an attempt under way or to come. */
  connect(): void {
    if (this.readyState >= ReconnectingSocket.CLOSING) this.reconnect();
  }

  /**
   * Connects now: before the delay is over, after `close`, or in place of the current connection, which is closed with
   * `code` and `reason`.
   *
   * @throws what `close` throws
   */
  reconnect(code?: number, reason?: string): void {
    const [checked = 1000, text = ""] = closeArguments(code, reason);
    const ended: Ended = { cause: "replaced", code: checked, reason: text, wasClean: true };
    this.#bytesAfterClose = 0;
    this.#machine.reconnect(this.#environment.now(), this.#environment.online(), ended);
    this.#run();
  }

  // ---- The effects of the machine ----

  /** Carries out all effects. `first`: called from the constructor, which throws what the WebSocket constructor throws. */
  #run(when: "first" | "later" = "later"): void {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let effect = this.#machine.pollEffect(); effect; effect = this.#machine.pollEffect()) {
        this.#perform(effect, when);
      }
    } finally {
      this.#running = false;
    }
    this.#setTimer();
  }

  #perform(effect: Effect, when: "first" | "later"): void {
    switch (effect.do) {
      case "dial":
        // A listener of the `state` event may have closed the socket.
        if (this.readyState === ReconnectingSocket.CONNECTING) this.#dial(when);
        return;
      case "heartbeat":
        return this.#sendHeartbeat();
      case "abandon":
        return this.#abandon(effect.ended);
      case "open":
        return this.#open();
      case "close":
        return this.#dispatchClose(effect.ended, effect.failed);
      case "state":
        this.dispatchEvent(new StateEvent(effect.state));
        return;
      case "stop":
        this.#unsubscribe?.();
        this.#unsubscribe = undefined;
        return this.#drop("closed", this.#queue.clear());
    }
  }

  #dial(when: "first" | "later"): void {
    this.#attempt += 1;
    const attempt = this.#attempt;
    const connect = (url: string | URL, protocols: string | string[] | undefined) => {
      if (attempt === this.#attempt) this.#connect(url, protocols);
    };
    const fail = (error: unknown) => {
      if (attempt !== this.#attempt) return;
      this.#end({ code: 1006, reason: "", wasClean: false, error }, true);
    };
    if (typeof this.#url !== "function" && typeof this.#protocols !== "function") {
      try {
        connect(this.#url, this.#protocols);
      } catch (error) {
        if (when === "first") throw error;
        fail(error);
      }
    } else {
      Promise.all([fresh(this.#url), fresh(this.#protocols)])
        .then((both) => connect(...both))
        .catch(fail);
    }
    this.#subscribe();
  }

  #connect(url: string | URL, protocols: string | string[] | undefined): void {
    const { WebSocket } = this.#settings;
    const socket = protocols === undefined ? new WebSocket(url) : new WebSocket(url, protocols);
    this.#socket = socket;
    this.#lastSocket = socket;
    this.#lastUrl = socket.url || String(url);
    // npm `ws` has another default.
    socket.binaryType = this.#binaryType;
    this.#listen(socket);
  }

  /** Handles the events of the WebSocket until `detach`. */
  #listen(socket: WebSocketLike): void {
    let failed = false;
    socket.onopen = () => {
      this.#machine.handleOpen(this.#environment.now());
      this.#run();
    };
    socket.onmessage = (event: MessageEvent) => this.#receive(event);
    socket.onerror = () => {
      // Dispatched together with the `close` event that follows, so that `send` in a listener finds no open connection.
      failed = true;
    };
    socket.onclose = (event: CloseEvent) => {
      detach(socket);
      this.#socket = undefined;
      const { code, reason, wasClean } = event;
      this.#end({ code, reason, wasClean }, failed);
      this.#reportUnsent(socket);
    };
  }

  #receive(event: MessageEvent): void {
    const reply = this.#settings.heartbeat?.reply;
    this.#machine.handleActivity(this.#environment.now());
    if (this.#machine.expectsReply) {
      const isReply = typeof reply === "function" ? reply(event.data) : event.data === (reply ?? event.data);
      if (isReply) this.#machine.handleReply();
      if (isReply && reply !== undefined) return;
    }
    this.dispatchEvent(messageEvent(event.data, event.origin));
  }

  #end(ended: Omit<Ended, "cause">, failed: boolean): void {
    this.#machine.handleEnd(this.#environment.now(), ended, failed);
    this.#run();
  }

  #open(): void {
    this.#uploadProgressed();
    this.dispatchEvent(new BaseEvent("open"));
    // A listener may have closed the socket.
    while (this.#queue.length > 0 && this.#socket?.readyState === ReconnectingSocket.OPEN) {
      this.#bytesSent += this.#queue.bytes;
      this.#socket.send(this.#queue.shift() as never);
      this.#bytesSent -= this.#queue.bytes;
    }
  }

  #sendHeartbeat(): void {
    const message = this.#settings.heartbeat?.message;
    try {
      this.#socket?.send((typeof message === "function" ? message() : message) as never);
    } catch (error) {
      // The function of the page has failed. The deadline for the reply stays.
      report(error);
    }
  }

  #abandon(ended: Ended): void {
    // Also ends an attempt that still waits for the function for `url` or `protocols`.
    this.#attempt += 1;
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    detach(socket);
    this.#reportUnsent(socket);
    try {
      if (ended.code === 1006) socket.close(TIMEOUT_CODE, ended.cause);
      else socket.close(ended.code, ended.reason);
    } catch {
      // Some implementations throw before the connection is open. It is detached, so nothing is missed.
    }
  }

  #dispatchClose(ended: Ended, failed: boolean): void {
    if (failed) this.dispatchEvent(new FailureEvent(ended.reason || ended.cause, ended.error));
    this.dispatchEvent(closeEvent(ended.code, ended.reason, ended.wasClean));
  }

  /** Reports what the browser still had in its buffer when the connection ended. */
  #reportUnsent(socket: WebSocketLike): void {
    if (socket.bufferedAmount > 0) this.dispatchEvent(new DroppedEvent("unsent", [], socket.bufferedAmount));
  }

  #drop(reason: DropReason, messages: Data[]): void {
    if (messages.length === 0) return;
    const bytes = messages.reduce((sum, message) => sum + byteLength(message), 0);
    this.dispatchEvent(new DroppedEvent(reason, messages, bytes));
  }

  #retry(ended: Ended, failures: number): boolean {
    try {
      return this.#settings.retry(ended, failures);
    } catch (error) {
      report(error);
      return true;
    }
  }

  // ---- The environment ----

  #subscribe(): void {
    if (this.#unsubscribe) return;
    const environment = this.#environment;
    const network = environment.onNetwork((online) => {
      this.#machine.handleNetwork(environment.now(), online);
      this.#run();
    });
    const visible = environment.onVisible(() => {
      this.#machine.handleVisible(environment.now());
      this.#run();
    });
    this.#unsubscribe = () => {
      network();
      visible();
    };
  }

  /** Sets the only timer to the earliest deadline. */
  #setTimer(): void {
    if (this.#running) return;
    const { now, setTimeout, clearTimeout } = this.#environment;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const due = Math.min(this.#machine.pollTimeout(), this.#queue.pollTimeout());
    if (due === Infinity) return;
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, due - now()));
  }

  #wake(): void {
    const now = this.#environment.now();
    if (this.#uploadProgressed()) this.#machine.handleActivity(now);
    this.#drop("expired", this.#queue.expire(now));
    this.#machine.handleTimeout(now);
    this.#run();
  }

  /**
   * Returns whether the peer has received more of an upload since the last check, which proves that it is alive. Only bytes
   * that were buffered then count: an idle kernel accepts bytes whether or not the peer is alive.
   */
  #uploadProgressed(): boolean {
    const before = this.#lastBuffered;
    const given = this.#bytesSent;
    this.#lastBuffered = this.#socket?.bufferedAmount ?? 0;
    this.#bytesSent = 0;
    return before > 0 && this.#lastBuffered < before + given;
  }
}

async function fresh<T>(value: Fresh<T>): Promise<T> {
  return typeof value === "function" ? (value as () => T | PromiseLike<T>)() : value;
}

/** Returns the arguments for `close`, checked as the WHATWG WebSockets standard says. */
function closeArguments(code: unknown, reason: unknown): [number?, string?] {
  const text = reason === undefined ? undefined : String(reason);
  let number: number | undefined;
  if (code !== undefined) {
    // WebIDL [Clamp] unsigned short.
    number = Math.round(Math.min(Math.max(Number(code) || 0, 0), 65_535));
    if (number !== 1000 && (number < 3000 || number > 4999)) {
      throw domException("InvalidAccessError", `Close code ${number} is neither 1000 nor in 3000..=4999`);
    }
  }
  if (text === undefined) return number === undefined ? [] : [number];
  if (utf8Length(text) > REASON_BYTES_MAX) {
    throw domException("SyntaxError", `The close reason is longer than ${REASON_BYTES_MAX} bytes`);
  }
  // A reason needs a code: 1000, normal closure.
  return [number ?? 1000, text];
}

/** Ignores all later events of the WebSocket. Not null: npm `ws` throws an `error` event that has no listener. */
function detach(socket: WebSocketLike): void {
  const ignore = () => {};
  socket.onopen = ignore;
  socket.onmessage = ignore;
  socket.onerror = ignore;
  socket.onclose = ignore;
}

/** "Timeout" in IANA's registry: the close code for a connection that is dropped. */
const TIMEOUT_CODE = 3008;

/** RFC 6455 section 5.5: a control frame has at most 125 bytes, two of which are the code. */
const REASON_BYTES_MAX = 123;
