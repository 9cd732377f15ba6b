"""The listening side: sends messages to a client that echoes, and prints what came back, one line of JSON per
fact. Ends after the first connection.

    python serve.py [--deflate] [--certificate FILE --key FILE]
"""

import argparse
import asyncio
import ssl

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from messages import messages, tell, tell_echo


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    options = {"compression": None, "max_size": None}
    if arguments.deflate:
        options["extensions"] = [ServerPerMessageDeflateFactory()]
    scheme = "ws"
    if arguments.certificate:
        scheme = "wss"
        options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        options["ssl"].load_cert_chain(arguments.certificate, arguments.key)
    done = asyncio.Event()

    async def converse(socket):
        try:
            headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
            tell(
                fact="open",
                extensions=socket.response.headers.get("Sec-WebSocket-Extensions", ""),
                protocol=socket.subprotocol or "",
                path=socket.request.path,
                headers=headers,
            )
            for message in messages():
                await socket.send(message)
                tell_echo(message, await socket.recv())
            await (await socket.ping(b"are you there?"))
            tell(fact="pong", text="are you there?")
            await socket.close(4002, "够了")
            tell(fact="closed", code=socket.close_code, reason=socket.close_reason)
        finally:
            done.set()

    async with serve(converse, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        tell(fact="listening", url=f"{scheme}://127.0.0.1:{port}")
        await done.wait()


asyncio.run(main())
