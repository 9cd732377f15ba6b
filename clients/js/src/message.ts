// One message: what `send` takes, its length, and a copy of it for the queue.

/** What `send` takes. */
export type Data = string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBufferLike>;

/** Returns the bytes of the message's payload. */
export function byteLength(data: Data): number {
  if (typeof data === "string") return utf8Length(data);
  return isBlob(data) ? data.size : data.byteLength;
}

/** Returns a copy of a buffer, because the page may change it while the message is queued. */
export function snapshot(data: Data): Data {
  if (typeof data === "string" || isBlob(data)) return data;
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  return bytes.slice().buffer;
}

/** Converts what is neither text nor binary to text, as WebIDL does. */
export function toData(value: unknown): Data {
  if (typeof value === "string" || ArrayBuffer.isView(value) || isBuffer(value) || isBlob(value)) return value;
  return String(value);
}

/** Returns the bytes of a text in UTF-8. Mini programs have no TextEncoder. A lone surrogate counts as U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += 1;
    if (unit < 0x800) continue;
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
    // A surrogate pair is 2 units and 4 bytes; any other unit from U+0800 on is 3 bytes.
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
