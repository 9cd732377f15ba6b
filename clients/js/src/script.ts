// What a <script> gets as `Sockeye`. No adapters: where they are needed there are no scripts.
export { QueueFullError } from "./errors.js";
export { DroppedEvent, FailureEvent, StateEvent } from "./events.js";
export { ReconnectingSocket } from "./socket.js";
