// WeChat: `wx` as it is. In uni-app write `uni` instead.
import { type MiniProgram, miniProgram, ReconnectingSocket } from "sockeye-client";

declare const wx: MiniProgram;

const socket = new ReconnectingSocket("wss://example.com/chat", [], {
  ...miniProgram(wx, { header: { Authorization: "Bearer …" } }),
  heartbeat: { message: "ping", reply: "pong" },
});
socket.onmessage = ({ data }) => socket.send(data);
