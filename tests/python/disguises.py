"""Speaks TLS and HTTP by hand behind an egress sidecar; prints what came back, in a word for each answer.

Reads one attempt per line as JSON and answers each with one line. The last of what is read says: `address`, `port`, and of these what is wanted:
`name` (in TLS), `pieces` (bytes of each record of the first message), `authority` (whom to believe; no TLS without),
`ech` (a second name, encrypted for somebody else, goes along), `send` (words for HTTP/1.1), `streams` (lists of headers, each a request of HTTP/2), `crowd` (silent connections beside).
"""

import json
import socket
import ssl
import struct
import sys

PATIENCE = 60
HEADERS, RESET, SETTINGS, GOAWAY = 1, 3, 4, 7
# Statuses that HTTP/2 has a byte for.
STATUSES = {0x88: "200", 0x89: "204", 0x8A: "206", 0x8B: "304", 0x8C: "400", 0x8D: "404", 0x8E: "500"}


def with_hidden_name(hello):
    """The first message of TLS with an encrypted one in it (ECH), which nobody here can read."""
    body = hello[9:]
    at = 34
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    sealed = struct.pack(">BHHBH32sH144s", 0, 1, 1, 7, 32, b"k" * 32, 144, b"x" * 144)
    extensions = body[at + 2 :] + struct.pack(">HH", 0xFE0D, len(sealed)) + sealed
    body = body[:at] + struct.pack(">H", len(extensions)) + extensions
    message = b"\1" + struct.pack(">I", len(body))[1:] + body
    return hello[:3] + struct.pack(">H", len(message)) + message


def hidden(plain, name):
    """Whether the first message is answered; what follows would need the key."""
    context, outgoing = ssl.create_default_context(), ssl.MemoryBIO()
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        plain.sendall(with_hidden_name(outgoing.read()))
    return "answered for the name that shows" if plain.recv(1) == b"\x16" else "closed"


class Secured:
    """TLS over a socket, the first message in records as small as is wished."""

    def __init__(self, plain, name, authority, protocol, pieces):
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False
        context.set_alpn_protocols([protocol])
        self.plain, self.incoming, self.outgoing = plain, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.pieces = pieces
        self.work(self.tls.do_handshake)

    def flush(self):
        data = self.outgoing.read()
        if data and self.pieces:
            body = data[5:]
            parts = [body[at : at + self.pieces] for at in range(0, len(body), self.pieces)]
            data = b"".join(data[:3] + struct.pack(">H", len(part)) + part for part in parts)
            self.pieces = 0
        self.plain.sendall(data)

    def work(self, action, *arguments):
        while True:
            try:
                done = action(*arguments)
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                data = self.plain.recv(65536)
                if not data:
                    raise ConnectionError from None
                self.incoming.write(data)

    def sendall(self, data):
        self.work(self.tls.write, data)

    def recv(self, size):
        try:
            return self.work(self.tls.read, size)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""


def http1(stream, words, count):
    """The status of each of `count` answers; those to GET of the servers here have a length."""
    stream.sendall(words.encode("latin-1"))
    seen, data = [], b""
    while len(seen) < count:
        while b"\r\n\r\n" not in data:
            more = stream.recv(65536)
            if not more:
                return seen + ["closed"]
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        seen.append(head.split(b" ")[1].decode())
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        while len(data) < length:
            data += stream.recv(65536)
        data = data[length:]
    return seen


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(text):
    return bytes([len(text)]) + text.encode()


def status(block):
    at = 0
    while block[at] & 0xE0 == 0x20:
        at += 1
    if block[at] in STATUSES:
        return STATUSES[block[at]]
    length, value = block[at + 1], block[at + 2 :]
    if not length & 0x80:
        return value[:length].decode()
    bits = "".join(f"{byte:08b}" for byte in value[: length & 0x7F])
    codes = {f"{digit:05b}": str(digit) for digit in range(3)}
    codes.update({f"{0b011001 + digit - 3:06b}": str(digit) for digit in range(3, 10)})
    told = ""
    while len(told) < 3:
        code = next(code for code in codes if bits.startswith(code))
        told, bits = told + codes[code], bits[len(code) :]
    return told


def http2(stream, requests):
    """Requests one after the other on one connection."""
    # Nothing is to be remembered of headers.
    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 0)))
    seen, data = [], b""
    for at, fields in enumerate(requests):
        block = b"".join(b"\0" + literal(name) + literal(value) for name, value in fields)
        stream.sendall(frame(HEADERS, 5, 2 * at + 1, block))
        while len(seen) <= at:
            while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
                more = stream.recv(65536)
                if not more:
                    return seen + ["closed"]
                data += more
            length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
            payload, data = data[9 : 9 + length], data[9 + length :]
            if kind == HEADERS:
                seen.append(status(payload))
            elif kind == RESET:
                seen.append("reset")
            elif kind == GOAWAY:
                return seen + ["closed"]
            elif kind == SETTINGS and not flags & 1:
                stream.sendall(frame(SETTINGS, 1, 0))
    return seen


def attempt(address, port, name=None, authority=None, pieces=0, send=None, count=1, streams=None, crowd=0, ech=False):
    silent = [socket.create_connection((address, port), PATIENCE) for _ in range(crowd)]
    stream = socket.create_connection((address, port), PATIENCE)
    if ech:
        return [hidden(stream, name)]
    if authority:
        stream = Secured(stream, name, authority, "h2" if streams else "http/1.1", pieces)
    seen = http2(stream, streams) if streams else http1(stream, send, count)
    del silent
    return seen


for line in sys.stdin:
    try:
        told = " ".join(attempt(**json.loads(line)[-1]))
    except (ConnectionError, ssl.SSLError):
        told = "closed"
    print(json.dumps(told), flush=True)
