// The SDK npm `centrifuge` where the back end of docs/howto/authorise-with-your-back-end.md decides: prints what it saw, one line of
// JSON per fact.
//   node hooked.mjs ws://HOST:PORT/connection/websocket
import { Centrifuge } from "centrifuge";
import { WebSocket } from "ws";
import { print } from "./messages.mjs";

const [url] = process.argv.slice(2);

/** Returns a client whose request has the cookie of a session, as a browser's would. */
const client = (session) => {
  const withCookie = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers: { Cookie: `theme=dark; session=${session}` } });
    }
  };
  return new Centrifuge(url, { websocket: withCookie, minReconnectDelay: 50, maxReconnectDelay: 500 });
};
const event = (emitter, name) => new Promise((resolve) => { emitter.once(name, resolve); });
const failed = async (promise) => promise.then(() => ({}), ({ code, message, temporary }) => ({ code, message, temporary }));

const stranger = client("stolen");
stranger.connect();
const { code, reason } = await event(stranger, "disconnected");
print({ fact: "stranger", code, reason });

const ann = client("session-of-ann");
ann.connect();
const lobby = ann.newSubscription("room:lobby");
const got = [];
lobby.on("publication", ({ data, info }) => got.push({ data, name: info.connInfo.name }));
lobby.subscribe();
await lobby.ready();
print({ fact: "empty", ...(await failed(lobby.publish({ text: " " }))) });
const heard = event(lobby, "publication");
await lobby.publish({ text: " hello " });
await heard;
const { data: answer } = await ann.rpc("whoami", {});
print({ fact: "ann", got, answer });

const bob = client("session-of-bob");
bob.connect();
const board = bob.newSubscription("room:board");
board.subscribe();
const refused = await event(board, "unsubscribed");
print({ fact: "bob", code: refused.code, reason: refused.reason });

for (const each of [ann, bob]) each.disconnect();
print({ fact: "end" });
