"""The dialling side: talks to an echo server and prints what it saw, one line of JSON per fact.

    python talk.py URL [--deflate] [--root CERTIFICATE]
"""

import argparse
import asyncio
import ssl

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from messages import messages, tell, tell_echo


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--root")
    arguments = parser.parse_args()
    options = {"compression": None, "max_size": None, "proxy": None}
    if arguments.deflate:
        # With context takeover and the smallest window: what the Node side does not ask for.
        options["extensions"] = [
            ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9)
        ]
    if arguments.root:
        options["ssl"] = ssl.create_default_context(cafile=arguments.root)
    async with connect(arguments.url, **options) as socket:
        extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        tell(fact="open", extensions=extensions, protocol=socket.subprotocol or "")
        for message in messages():
            await socket.send(message)
            tell_echo(message, await socket.recv())
        await (await socket.ping(b"are you there?"))
        tell(fact="pong", text="are you there?")
        await socket.close(4001, "再见")
        tell(fact="closed", code=socket.close_code, reason=socket.close_reason)


asyncio.run(main())
