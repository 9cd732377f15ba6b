// A chat page that shows the state of its connection, gets a fresh token for each attempt, and queues what is typed offline.
import { ReconnectingSocket } from "sockeye-client";

const socket = new ReconnectingSocket(
  // Called before each attempt, so the token has not expired.
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
  const retry = state.retryIn === undefined ? "" : `, next attempt in ${Math.ceil(state.retryIn / 1000)} s`;
  status.textContent = `${state.name}${retry}`;
};
// What `open` listeners send goes before the queued messages.
socket.onopen = () => socket.send('{"url":"/chat/online"}');
socket.onmessage = ({ data }) => {
  document.body.append(String(data));
};
socket.ondropped = ({ reason, messages }) => {
  status.textContent = `${messages.length} messages were not sent (${reason})`;
};
