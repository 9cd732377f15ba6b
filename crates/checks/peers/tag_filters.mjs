// A subscription with a filter by tags, with the SDK npm `centrifuge`: live, after a reconnection, and the newest publication.
//   node tag_filters.mjs http://HOST:PORT --api-key KEY [--protobuf]
import { parseArgs } from "node:util";
import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";

const { values, positionals: [base] } = parseArgs({
  allowPositionals: true,
  options: { "api-key": { type: "string" }, protobuf: { type: "boolean" } },
});
const Centrifuge = values.protobuf ? Protobuf : Json;

const publish = async (channel, team, number) => {
  const response = await fetch(`${base}/api/publish`, {
    method: "POST",
    headers: { "X-API-Key": values["api-key"] },
    body: JSON.stringify({ channel, data: { number }, tags: { team } }),
  });
  const { error } = await response.json();
  if (error) throw new Error(JSON.stringify(error));
};

const connect = () => {
  const client = new Centrifuge(`${base.replace("http", "ws")}/connection/websocket`, {
    websocket: WebSocket, minReconnectDelay: 10, maxReconnectDelay: 50,
  });
  client.connect();
  return client;
};

// The binary encoding leaves payloads to the application.
const decode = (data) => (values.protobuf ? JSON.parse(new TextDecoder().decode(data)) : data);

/** What a subscription has received. */
class Inbox {
  publications = [];
  begun = [];
  #wake = () => {};

  constructor(subscription) {
    subscription.on("publication", ({ data, offset }) => {
      this.publications.push([decode(data).number, offset]);
      this.#wake();
    });
    subscription.on("subscribed", ({ wasRecovering, recovered }) => {
      this.begun.push([wasRecovering, recovered]);
      this.#wake();
    });
    subscription.subscribe();
  }

  async until(condition) {
    while (!condition(this)) await new Promise((resolve) => { this.#wake = resolve; });
  }

  has(number) {
    return this.publications.some(([seen]) => seen === number);
  }
}

const tagsFilter = { key: "team", cmp: "eq", val: "red" };

const client = connect();
const news = new Inbox(client.newSubscription("news", { tagsFilter }));
await news.until(({ begun }) => begun.length === 1);
await publish("news", "red", 1);
await publish("news", "blue", 2);
await publish("news", "red", 3);
await news.until((inbox) => inbox.has(3));
print({ fact: "live", publications: news.publications });

// The last ones before and after the cut are not for it.
await publish("news", "blue", 4);
client.disconnect();
await publish("news", "blue", 5);
await publish("news", "red", 6);
await publish("news", "blue", 7);
client.connect();
await news.until(({ begun }) => begun.length === 2);
await publish("news", "red", 8);
await news.until((inbox) => inbox.has(8));
print({ fact: "recovered", publications: news.publications, begun: news.begun });

// Nothing was missed that is for it.
client.disconnect();
await publish("news", "blue", 9);
client.connect();
await news.until(({ begun }) => begun.length === 3);
await publish("news", "blue", 10);
await publish("news", "red", 11);
await news.until((inbox) => inbox.has(11));
print({ fact: "again", publications: news.publications, begun: news.begun });

// The newest publication, which is for it or not.
await publish("score:1", "red", 1);
await publish("score:1", "blue", 2);
const score = new Inbox(client.newSubscription("score:1", { tagsFilter }));
await score.until(({ begun }) => begun.length === 1);
await publish("score:1", "red", 3);
await score.until((inbox) => inbox.has(3));
print({ fact: "not the newest", publications: score.publications });
const other = connect();
const newest = new Inbox(other.newSubscription("score:1", { tagsFilter }));
await newest.until(({ publications }) => publications.length === 1);
print({ fact: "the newest", publications: newest.publications });
print({ fact: "end" });
process.exit(0);
