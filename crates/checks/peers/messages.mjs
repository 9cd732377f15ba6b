// What both sides say to each other, in Node and in Chromium's tests alike: the same list as in messages.py.
import { randomBytes } from "node:crypto";

export function messages() {
  const mebibyte = 1 << 20;
  return [
    "Grüße, 你好, 🐟",
    "",
    Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    "a".repeat(125),
    "b".repeat(126),
    "c".repeat(65536),
    // As easy and as hard to compress as it gets.
    "d".repeat(mebibyte),
    randomBytes(mebibyte),
  ];
}

export const print = (fact) => console.log(JSON.stringify(fact));

export const same = (sent, received) =>
  typeof sent === "string" ? sent === received : Buffer.compare(sent, Buffer.from(received)) === 0;
