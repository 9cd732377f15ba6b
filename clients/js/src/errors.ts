// The exceptions: those that a browser's WebSocket throws, and QueueFullError.

/** `send` found the queue full, and `queue.whenFull` is "reject". The message was not kept. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";

  constructor(limit: string) {
    super(`Not connected, and the queue is at ${limit}. Listen to "state" to know when to send.`);
  }
}

/** Returns a DOMException as a browser's WebSocket throws it, or an Error of that name in mini programs, which have none. */
export function domException(name: "InvalidAccessError" | "SyntaxError", message: string): Error {
  if (typeof DOMException === "function") return new DOMException(message, name);
  const error = new Error(message);
  error.name = name;
  return error;
}
