// One message of the page: what `send` takes, how long it is, and how it is kept.

/** What a WebSocket can send. */
export type Data = string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>;

/** Bytes that the message has on the wire. */
export function byteLength(data: Data): number {
  if (typeof data === "string") return utf8Length(data);
  return isBlob(data) ? data.size : data.byteLength;
}

/** The message as it is now: a page may change its buffer while the message waits. */
export function snapshot(data: Data): Data {
  if (typeof data === "string" || isBlob(data)) return data;
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  return bytes.slice().buffer;
}

/** As WebIDL does it: what is neither text nor binary becomes text. */
export function toData(value: unknown): Data {
  if (typeof value === "string" || ArrayBuffer.isView(value) || isBuffer(value) || isBlob(value)) return value;
  return String(value);
}

/** Bytes of a text in UTF-8, without an encoder: mini programs have none. A lone surrogate is sent as U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += 1;
    if (unit < 0x800) continue;
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
    // A pair is 2 units and 4 bytes, everything else up here 1 unit and 3 bytes.
    if (isPair) at += 1;
    bytes += 1;
  }
  return bytes;
}

function isBlob(value: unknown): value is Blob {
  return typeof Blob === "function" && value instanceof Blob;
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]";
}
