"""Tornado's client: talks to an echo server and prints what it saw, one line of JSON per fact.

It offers `client_max_window_bits`, and ignores `client_no_context_takeover` in the answer.

    python talk_tornado.py URL [--deflate]
"""

import argparse
import asyncio

from tornado.websocket import websocket_connect

from messages import MEBIBYTE, messages, tell, tell_echo


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--deflate", action="store_true")
    arguments = parser.parse_args()
    options = {"max_message_size": 2 * MEBIBYTE}
    if arguments.deflate:
        options["compression_options"] = {}
    socket = await websocket_connect(arguments.url, **options)
    extensions = socket.headers.get("Sec-WebSocket-Extensions", "")
    tell(fact="open", extensions=extensions, protocol=socket.selected_subprotocol or "")
    for message in messages():
        await socket.write_message(message, binary=isinstance(message, bytes))
        tell_echo(message, await socket.read_message())
    # Each refers to the one before, where contexts are taken over.
    for number in range(20):
        message = f'{{"type":"message","from":"somebody","text":"again {number}"}}'
        await socket.write_message(message)
        assert await socket.read_message() == message, socket.close_reason
    socket.close(4001, "再见")
    while await socket.read_message() is not None:
        pass
    tell(fact="closed", code=socket.close_code, reason=socket.close_reason)


asyncio.run(main())
