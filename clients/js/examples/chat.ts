// A chat page: says how it stands, comes back with a fresh token, and keeps what is typed meanwhile.
import { ReconnectingSocket } from "sockeye-client";

const socket = new ReconnectingSocket(
  // Asked before each attempt, so the token is never stale.
  async () => {
    const { token } = await (await fetch("/token")).json();
    return `wss://example.com/chat?token=${token}`;
  },
  undefined,
  {
    heartbeat: {
      message: '{"url":"/chat/heart-beat"}',
      reply: (data) => String(data).startsWith('{"event":"HEARTBEAT"'),
    },
    queue: { lifetimeMs: 60_000 },
  },
);

const status = document.createElement("p");
document.body.append(status);

socket.onstate = ({ state }) => {
  const retry = state.retryIn === undefined ? "" : `, again in ${Math.ceil(state.retryIn / 1000)} s`;
  status.textContent = `${state.name}${retry}`;
};
// What open listeners send goes before what waited.
socket.onopen = () => socket.send('{"url":"/chat/online"}');
socket.onmessage = ({ data }) => {
  document.body.append(String(data));
};
socket.ondropped = ({ reason, messages }) => {
  status.textContent = `${messages.length} messages were not sent (${reason})`;
};
