// The SDK npm `centrifuge` in Node: takes orders on standard input (sdk_orders.mjs has them), prints one line of JSON per fact.
//   node sdk.mjs http://HOST:PORT TOKENS --transport websocket|http_stream|sse [--protobuf] [--delta]
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";
import { client } from "./sdk_orders.mjs";

const { values: { transport, protobuf, delta }, positionals: [base, tokens] } = parseArgs({
  allowPositionals: true,
  options: { transport: { type: "string" }, protobuf: { type: "boolean" }, delta: { type: "boolean" } },
});
const order = client({
  Centrifuge: protobuf ? Protobuf : Json, base, tokens, transport, protobuf, delta, print,
  more: { websocket: WebSocket, eventsource: EventSource, fetch, readableStream: ReadableStream },
});
createInterface({ input: process.stdin }).on("line", order).on("close", () => process.exit(0));
