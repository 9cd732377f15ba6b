"""Dials an echo server over HTTP/2 (RFC 8441) and prints what it saw, one line of JSON per fact.

    python h2_talk.py PORT PATH CERTIFICATE
"""

import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from messages import messages, tell, tell_echo

# Seconds. Nothing here waits for anything but the peer.
TIMEOUT = 30


class Wire:
    """One HTTP/2 connection with one stream, which carries a WebSocket."""

    def __init__(self, port, certificate):
        context = ssl.create_default_context(cafile=certificate)
        context.set_alpn_protocols(["h2"])
        tcp = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.tls = context.wrap_socket(tcp, server_hostname="localhost")
        tell(fact="tls", alpn=self.tls.selected_alpn_protocol())
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.flush()
        self.stream = None
        self.bytes = b""
        self.ended = False

    def flush(self):
        self.tls.sendall(self.http.data_to_send())

    def step(self):
        """Reads once; returns the events that are not about the stream's bytes."""
        data = self.tls.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        events = self.http.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                self.bytes += event.data
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended = True
            elif isinstance(event, h2.events.StreamReset):
                raise EOFError(f"the server reset the stream: {event.error_code}")
        self.flush()
        return events

    def wait_for(self, kind):
        while True:
            for event in self.step():
                if isinstance(event, kind):
                    return event

    def send(self, data):
        view = memoryview(data)
        while view:
            room = min(
                self.http.local_flow_control_window(self.stream),
                self.http.max_outbound_frame_size,
            )
            if room == 0:
                self.step()
                continue
            self.http.send_data(self.stream, bytes(view[:room]))
            view = view[room:]
            self.flush()


def main():
    port, path, certificate = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    wire = Wire(port, certificate)
    wire.wait_for(h2.events.RemoteSettingsChanged)
    code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
    tell(fact="settings", connect_protocol=wire.http.remote_settings.get(code, 0))

    deflate = PerMessageDeflate()
    wire.stream = wire.http.get_next_available_stream_id()
    wire.http.send_headers(
        wire.stream,
        [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", path),
            (":authority", f"localhost:{port}"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", f"{deflate.name}; {deflate.offer()}"),
            ("origin", f"https://localhost:{port}"),
        ],
    )
    wire.flush()
    headers = dict(wire.wait_for(h2.events.ResponseReceived).headers)
    extensions = headers.get("sec-websocket-extensions", "")
    tell(
        fact="open",
        status=headers[":status"],
        extensions=extensions,
        protocol="",
        has_accept="sec-websocket-accept" in headers,
    )
    agreed = []
    if extensions:
        deflate.finalize(extensions)
        agreed.append(deflate)

    talk = Connection(ConnectionType.CLIENT, agreed)

    def events():
        while True:
            yield from talk.events()
            if wire.bytes:
                data, wire.bytes = wire.bytes, b""
                talk.receive_data(data)
            else:
                wire.step()

    incoming = events()

    def message():
        whole = None
        for event in incoming:
            if isinstance(event, (TextMessage, BytesMessage)):
                # `data` is str, or bytes-like.
                part = event.data if isinstance(event, TextMessage) else bytes(event.data)
                whole = part if whole is None else whole + part
                if event.message_finished:
                    return whole

    for sent in messages():
        kind = TextMessage if isinstance(sent, str) else BytesMessage
        wire.send(talk.send(kind(data=sent)))
        tell_echo(sent, message())
    wire.send(talk.send(Ping(payload=b"are you there?")))
    pong = next(event for event in incoming if isinstance(event, Pong))
    tell(fact="pong", text=bytes(pong.payload).decode())
    wire.send(talk.send(CloseConnection(code=4001, reason="再见")))
    close = next(event for event in incoming if isinstance(event, CloseConnection))
    tell(fact="closed", code=int(close.code), reason=close.reason)
    wire.http.end_stream(wire.stream)
    wire.flush()
    while not wire.ended:
        wire.step()
    tell(fact="ended")


main()
