// The code of docs/howto/stay-connected-from-a-page.md. With a bundler, import the names and drop the prefix `Sockeye.`.
import * as Sockeye from "sockeye-client";

const banner = document.createElement("p");
const retryButton = document.createElement("button");
document.body.append(banner, retryButton);

const url = "wss://example.com/feed";
const socket = new Sockeye.ReconnectingSocket(url);

socket.onstate = ({ state }) => {
  banner.textContent = {
    connecting: "connecting …",
    open: "",
    waiting: `connection lost, next attempt in ${Math.ceil((state.retryIn ?? 0) / 1000)} s`,
    offline: "no network",
    closed: "connection closed",
  }[state.name];
};
retryButton.onclick = () => socket.reconnect();

const watched = new Sockeye.ReconnectingSocket(url, [], { heartbeat: { message: "ping", reply: "pong" } });

const withToken = async () => `wss://example.com/feed?token=${await (await fetch("/token")).text()}`;
const authorized = new Sockeye.ReconnectingSocket(withToken, [], { finalCodes: [1008, 4401] });

socket.ondropped = ({ reason, messages }) => {
  banner.textContent = `${messages.length} messages were not sent: ${reason}`;
};

export { authorized, socket, watched };
