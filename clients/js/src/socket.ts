// A WebSocket that comes back: the browser's interface on top, one WebSocket after another below.

import { BaseEvent, Emitter, report } from "./emitter.js";
import type { Environment } from "./environment.js";
import { domException } from "./errors.js";
import { closeEvent, DroppedEvent, type DropReason, FailureEvent, messageEvent, StateEvent } from "./events.js";
import { Heartbeat } from "./heartbeat.js";
import { byteLength, type Data, toData, utf8Length } from "./message.js";
import { type Fresh, type Options, type Settings, settings, type WebSocketLike } from "./options.js";
import { Queue } from "./queue.js";
import { type Effect, type Ended, Machine, type State } from "./state.js";

/** What can be listened to. */
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
 * The interface of `WebSocket`, so that it can stand in its place, and what a page needs beside it: it comes back when
 * the connection is lost, keeps what is sent meanwhile, notices when the other side is gone, and says how it stands.
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

  /** The one that counts: there is never a second. */
  #socket: WebSocketLike | undefined;
  /** The last one that was made: what was agreed on can still be read after its end. */
  #latest: WebSocketLike | undefined;
  /** Of the current attempt: what an earlier one still brings is ignored. */
  #attempt = 0;
  #binaryType: BinaryType = "blob";
  /** As it was resolved last. */
  #lastUrl = "";
  /** Bytes given to `send` when it was too late, which `bufferedAmount` has to count. */
  #lateBytes = 0;
  /** What the browser had when we last looked, and what it was given since: a long upload is a sign of life. */
  #bufferedSeen = 0;
  #given = 0;
  #timer: unknown;
  /** Ends the subscriptions to network and page; there while we aren't closed. */
  #unsubscribe: (() => void) | undefined;
  /** Effects are being carried out: whoever asks for more only adds to them. */
  #running = false;

  /**
   * @param url where to: as for `WebSocket`, or a function that is asked before each attempt
   * @param protocols the subprotocols, or a function
   * @throws what `new WebSocket` throws, if url and protocols are values; TypeError and RangeError for wrong options
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
    // What the WebSocket constructor throws now is the caller's mistake, and thrown as it would be there.
    this.#run("first");
  }

  // ---- The interface of WebSocket ----

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#machine.readyState;
  }

  /** The last address, as the WebSocket resolved it; empty until a function has answered for the first time. */
  get url(): string {
    return this.#lastUrl;
  }

  get protocol(): string {
    return this.#latest?.protocol ?? "";
  }

  get extensions(): string {
    return this.#latest?.extensions ?? "";
  }

  /** Bytes that wait here or in the browser. */
  get bufferedAmount(): number {
    return this.#queue.bytes + (this.#socket?.bufferedAmount ?? 0) + this.#lateBytes;
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
   * Sends a message, or keeps it until there is a connection. Messages leave in the order of the calls, each at most
   * once; what `open` listeners send goes before what waited.
   *
   * @throws QueueFullError if it has to wait and there is no room, unless the policy is to drop the oldest
   */
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>): void {
    if (arguments.length === 0) throw new TypeError("send needs a message");
    const message = toData(data);
    // Ours may be open still when the browser's is closing: what it would swallow waits for the next one.
    if (this.readyState === ReconnectingSocket.OPEN && this.#socket?.readyState === ReconnectingSocket.OPEN) {
      this.#socket.send(message as never);
      this.#given += byteLength(message);
      return;
    }
    if (this.readyState >= ReconnectingSocket.CLOSING) {
      // As in a browser, it counts and isn't sent. Unlike there, somebody hears of it.
      this.#lateBytes += byteLength(message);
      this.#drop("closed", [message]);
      return;
    }
    this.#drop("overflow", this.#queue.push(message, this.#environment.now()));
    this.#setTimer();
  }

  /**
   * Closes for good. What still waits for a connection is dropped, with a `dropped` event.
   *
   * @throws InvalidAccessError if the code is neither 1000 nor in 3000..=4999
   * @throws SyntaxError if the reason has more than 123 bytes in UTF-8
   */
  close(code?: number, reason?: string): void {
    const words = goodbye(code, reason);
    if (this.readyState >= ReconnectingSocket.CLOSING) return;
    this.#look();
    this.#machine.close(this.#environment.now(), this.#socket !== undefined);
    // Also an attempt that still waits for its address.
    this.#attempt += 1;
    this.#socket?.close(...words);
    this.#run();
  }

  // ---- Beside it ----

  /** How it stands: what the last `state` event told, with `retryIn` as of now. */
  get state(): State {
    return this.#machine.state(this.#environment.now());
  }

  /** Connects if the socket is closed or closing; does nothing if it is open or has an attempt under way or to come. */
  connect(): void {
    if (this.readyState >= ReconnectingSocket.CLOSING) this.reconnect();
  }

  /**
   * Connects now: instead of waiting, in place of the connection there is (which is closed with code and reason), or
   * again after it was closed.
   *
   * @throws as `close` does
   */
  reconnect(code?: number, reason?: string): void {
    const [checked = 1000, text = ""] = goodbye(code, reason);
    const ended: Ended = { cause: "replaced", code: checked, reason: text, wasClean: true };
    this.#lateBytes = 0;
    this.#machine.reconnect(this.#environment.now(), this.#environment.online(), ended);
    this.#run();
  }

  // ---- What the machine asks for ----

  /** `first`: from the constructor, whose caller gets the exception of a WebSocket that can't be made. */
  #run(when: "first" | "later" = "later"): void {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let effect = this.#machine.pollEffect(); effect; effect = this.#machine.pollEffect()) {
        this.#carryOut(effect, when);
      }
    } finally {
      this.#running = false;
    }
    this.#setTimer();
  }

  #carryOut(effect: Effect, when: "first" | "later"): void {
    switch (effect.do) {
      case "dial":
        // A listener of the state may have closed it.
        if (this.readyState === ReconnectingSocket.CONNECTING) this.#dial(when);
        return;
      case "beat":
        return this.#beat();
      case "abandon":
        return this.#abandon(effect.ended);
      case "open":
        return this.#open();
      case "close":
        return this.#tellClose(effect.ended, effect.failed);
      case "state":
        this.dispatchEvent(new StateEvent(effect.state));
        return;
      case "rest":
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
    this.#latest = socket;
    this.#lastUrl = socket.url || String(url);
    // npm `ws` has a default of its own, so it is always said.
    socket.binaryType = this.#binaryType;
    this.#listen(socket);
  }

  /** Hears what the socket says, for as long as it is the one in charge. */
  #listen(socket: WebSocketLike): void {
    let failed = false;
    socket.onopen = () => {
      this.#machine.handleOpen(this.#environment.now());
      this.#run();
    };
    socket.onmessage = (event: MessageEvent) => this.#receive(event);
    socket.onerror = () => {
      // It is told together with the end that follows: until then `send` would still find an open connection.
      failed = true;
    };
    socket.onclose = (event: CloseEvent) => {
      silence(socket);
      this.#socket = undefined;
      const { code, reason, wasClean } = event;
      this.#end({ code, reason, wasClean }, failed);
      this.#tellUnsent(socket);
    };
  }

  #receive(event: MessageEvent): void {
    const reply = this.#settings.heartbeat?.reply;
    this.#machine.handleLife(this.#environment.now());
    if (this.#machine.owesReply) {
      const isReply = typeof reply === "function" ? reply(event.data) : event.data === (reply ?? event.data);
      if (isReply) this.#machine.handleAnswer();
      if (isReply && reply !== undefined) return;
    }
    this.dispatchEvent(messageEvent(event.data, event.origin));
  }

  #end(ended: Omit<Ended, "cause">, failed: boolean): void {
    this.#machine.handleEnd(this.#environment.now(), ended, failed);
    this.#run();
  }

  #open(): void {
    this.#look();
    this.dispatchEvent(new BaseEvent("open"));
    // A listener may have closed it.
    while (this.#queue.length > 0 && this.#socket?.readyState === ReconnectingSocket.OPEN) {
      this.#given += this.#queue.bytes;
      this.#socket.send(this.#queue.shift() as never);
      this.#given -= this.#queue.bytes;
    }
  }

  #beat(): void {
    const message = this.#settings.heartbeat?.message;
    try {
      this.#socket?.send((typeof message === "function" ? message() : message) as never);
    } catch (error) {
      // A function of the page: its mistake is shown, and the deadline holds as if it had been sent.
      report(error);
    }
  }

  #abandon(ended: Ended): void {
    // Also an attempt that still waits for its address.
    this.#attempt += 1;
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    silence(socket);
    this.#tellUnsent(socket);
    try {
      if (ended.code === 1006) socket.close(TIMEOUT, ended.cause);
      else socket.close(ended.code, ended.reason);
    } catch {
      // One that never opened may refuse; nobody listens to it any more.
    }
  }

  #tellClose(ended: Ended, failed: boolean): void {
    if (failed) this.dispatchEvent(new FailureEvent(ended.reason || ended.cause, ended.error));
    this.dispatchEvent(closeEvent(ended.code, ended.reason, ended.wasClean));
  }

  /** The browser's own buffer dies with the connection. */
  #tellUnsent(socket: WebSocketLike): void {
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

  // ---- What is around ----

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

  /** One timer for everything: the soonest. */
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
    if (this.#look()) this.#machine.handleLife(now);
    this.#drop("expired", this.#queue.expire(now));
    this.#machine.handleTimeout(now);
    this.#run();
  }

  /**
   * Whether more has gone out since the last look, which is as good as an answer. It says nothing unless something waited
   * then: an idle kernel takes what it is given, whether or not anybody is there.
   */
  #look(): boolean {
    const before = this.#bufferedSeen;
    const given = this.#given;
    this.#bufferedSeen = this.#socket?.bufferedAmount ?? 0;
    this.#given = 0;
    return before > 0 && this.#bufferedSeen < before + given;
  }
}

async function fresh<T>(value: Fresh<T>): Promise<T> {
  return typeof value === "function" ? (value as () => T | PromiseLike<T>)() : value;
}

/** What `close` passes on, checked as WHATWG WebSockets, `close(code, reason)`, says. */
function goodbye(code: unknown, reason: unknown): [number?, string?] {
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
  // A reason without a code: the code of a close that is nobody's fault.
  return [number ?? 1000, text];
}

/** From now on nobody hears it. Not null: npm `ws` throws an error that nobody listens for. */
function silence(socket: WebSocketLike): void {
  const nobody = () => {};
  socket.onopen = nobody;
  socket.onmessage = nobody;
  socket.onerror = nobody;
  socket.onclose = nobody;
}

/** IANA's registry: "Timeout". What an abandoned connection is told, should it still be listening. */
const TIMEOUT = 3008;

/** RFC 6455 section 5.5: a control frame has 125 bytes, two of which are the code. */
const REASON_BYTES_MAX = 123;
