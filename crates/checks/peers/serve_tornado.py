"""Tornado's server: sends messages to a client that echoes, and prints what came back, one line of JSON per fact.
Ends after the first connection.

It ignores `server_no_context_takeover` in the offer, and takes its context over.

    python serve_tornado.py [--deflate]
"""

import argparse
import asyncio

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from messages import MEBIBYTE, messages, tell, tell_echo


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--deflate", action="store_true")
    arguments = parser.parse_args()
    done = asyncio.Event()
    received = asyncio.Queue()

    class Talk(WebSocketHandler):
        def get_compression_options(self):
            return {} if arguments.deflate else None

        def open(self):
            tell(
                fact="open",
                extensions=self._headers.get("Sec-WebSocket-Extensions", ""),
                protocol=self.selected_subprotocol or "",
            )
            asyncio.create_task(self.talk())

        async def talk(self):
            for message in messages():
                await self.write_message(message, binary=isinstance(message, bytes))
                tell_echo(message, await received.get())
            # Each refers to the one before, where contexts are taken over.
            for number in range(20):
                message = f'{{"type":"message","from":"somebody","text":"again {number}"}}'
                await self.write_message(message)
                assert await received.get() == message
            self.close(4002, "够了")

        def on_message(self, message):
            received.put_nowait(message)

        def on_close(self):
            tell(fact="closed", code=self.close_code, reason=self.close_reason)
            done.set()

    application = Application([("/.*", Talk)], websocket_max_message_size=2 * MEBIBYTE)
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(application).add_sockets(sockets)
    tell(fact="listening", url=f"ws://127.0.0.1:{sockets[0].getsockname()[1]}")
    await done.wait()


asyncio.run(main())
