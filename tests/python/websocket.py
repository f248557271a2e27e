"""Opens a WebSocket, prints what it hears first, then says texts and prints the answer to each.

Arguments: host, path, file of the trusted authority (`-`: without TLS), what to say. Then every line of standard input is
said, until that or the connection ends; the latter is told. Written by hand, so that only Python itself is needed.
"""

import base64
import os
import select
import socket
import ssl
import sys

host, path, authority, *texts = sys.argv[1:]

stream = socket.create_connection((host, 80 if authority == "-" else 443), timeout=60)
if authority != "-":
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["http/1.1"])
    stream = context.wrap_socket(stream, server_hostname=host)
key = base64.b64encode(os.urandom(16)).decode()
stream.sendall(
    f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
)
reader = stream.makefile("rb")
status = reader.readline()
assert b" 101 " in status, status
while reader.readline() not in (b"\r\n", b""):
    pass


def hear() -> str:
    head = reader.read(2)
    assert head[0] == 0x81 and head[1] < 126, head
    return reader.read(head[1]).decode()


def say(text: str) -> None:
    mask = os.urandom(4)
    data = text.encode()
    frame = bytes([0x81, 0x80 | len(data)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    stream.sendall(frame)
    print(hear(), flush=True)


print(hear(), flush=True)
for text in texts:
    say(text)
while True:
    ready, _, _ = select.select([sys.stdin, stream], [], [])
    if sys.stdin in ready:
        line = sys.stdin.readline()
        if not line:
            break
        say(line.strip())
    else:
        print("cut", flush=True)
        break
