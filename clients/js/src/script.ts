// The global `Sockeye` of a <script>. Without `miniProgram`: mini programs have no <script>.
export { QueueFullError } from "./errors.js";
export { DroppedEvent, FailureEvent, StateEvent } from "./events.js";
export { ReconnectingSocket } from "./socket.js";
