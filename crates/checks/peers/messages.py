"""What both sides say to each other: the same list as in messages.mjs."""

import json
import os

MEBIBYTE = 1 << 20


def messages():
    return [
        "Grüße, 你好, 🐟",
        "",
        bytes(range(256)),
        "a" * 125,
        "b" * 126,
        "c" * 65536,
        # As easy and as hard to compress as it gets.
        "d" * MEBIBYTE,
        os.urandom(MEBIBYTE),
    ]


def tell(**fact):
    print(json.dumps(fact), flush=True)


def tell_echo(sent, received):
    is_text = isinstance(received, str)
    size = len(received.encode() if is_text else received)
    tell(fact="echo", kind="text" if is_text else "binary", bytes=size, same=sent == received)
