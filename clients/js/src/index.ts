// The exports of the package.
export type { BackoffOptions } from "./backoff.js";
export type { Environment } from "./environment.js";
export { QueueFullError } from "./errors.js";
export { DroppedEvent, type DropReason, FailureEvent, StateEvent } from "./events.js";
export type { HeartbeatOptions } from "./heartbeat.js";
export type { Data } from "./message.js";
export { type MiniProgram, type MiniProgramOptions, miniProgram } from "./mini-program.js";
export type { Fresh, Options, WebSocketConstructor, WebSocketLike } from "./options.js";
export type { QueueOptions } from "./queue.js";
export { ReconnectingSocket, type SocketEventMap } from "./socket.js";
export type { Cause, Ended, State, StateName, StopReason } from "./state.js";
