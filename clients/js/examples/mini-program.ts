// WeChat: pass `wx`. uni-app: pass `uni`.
import { type MiniProgram, miniProgram, ReconnectingSocket } from "sockeye-client";

declare const wx: MiniProgram;

const socket = new ReconnectingSocket("wss://example.com/chat", [], {
  ...miniProgram(wx, { header: { Authorization: "Bearer …" } }),
  heartbeat: { message: "ping", reply: "pong" },
});
socket.onmessage = ({ data }) => socket.send(data);
