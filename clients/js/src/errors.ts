// What is thrown: the browser's own exceptions by name, and one of ours.

/** The queue is full and its policy is to reject. Nothing was kept of the message; send it again later, or not. */
export class QueueFullError extends Error {
  override readonly name = "QueueFullError";

  constructor(limit: string) {
    super(`Not connected, and the queue is at ${limit}. Listen to "state" to know when to send.`);
  }
}

/** The exception that a browser's WebSocket throws. Mini programs have no DOMException: there it is an Error. */
export function domException(name: "InvalidAccessError" | "SyntaxError", message: string): Error {
  if (typeof DOMException === "function") return new DOMException(message, name);
  const error = new Error(message);
  error.name = name;
  return error;
}
