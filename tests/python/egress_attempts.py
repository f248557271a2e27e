"""What somebody behind an egress sidecar may try. Reads one attempt per line as JSON, answers each with one line."""

import ctypes
import encodings.idna  # noqa: F401  read while it may be
import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import time

# What is refused is refused at once; a host that is reached answers at once. This is for a slow machine.
PATIENCE = 20

CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
kept = {}


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(address, port, keep=None, source=0):
    client = socket.socket(family(address), socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    if source:
        client.bind(("", source))
    client.connect((address, port))
    said = client.recv(7, socket.MSG_WAITALL)
    if keep:
        kept[keep] = client
    else:
        client.close()
    return said.decode() or "closed"


def again(keep):
    """Goes on with a connection that was kept."""
    kept[keep].sendall(b"more")
    return "reached" if kept[keep].recv(4, socket.MSG_WAITALL) == b"more" else "cut"


def fast_open(address, port):
    client = socket.socket(family(address), socket.SOCK_STREAM)
    for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        client.setsockopt(socket.SOL_SOCKET, limit, struct.pack("@ll", PATIENCE, 0))
    client.sendto(b"early", socket.MSG_FASTOPEN, (address, port))
    return client.recv(7, socket.MSG_WAITALL).decode()


def udp(address, port, size=5, source=0, own=""):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    if source:
        client.bind((own, source))
    link = socket.if_nametoindex("wan") if address.startswith("ff02:") else 0
    client.connect((address, port, 0, link) if link else (address, port))
    client.send(b"x" * size)
    return client.recv(64).decode()


def broadcast(port):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.sendto(b"x" * 300, ("255.255.255.255", port))
    return "sent"


def rare(kind, protocol, address, port):
    """A protocol few speak; a kernel that does not know it has no way out for it either."""
    try:
        client = socket.socket(family(address), kind, protocol)
        client.settimeout(PATIENCE)
        client.connect((address, port))
        client.send(b"x")
        return client.recv(64).decode()
    except OSError as error:
        if error.errno in (1, 92, 93, 94, 97, 111, 113):
            return "refused"
        raise


def forged(own, address, port):
    """Sends in the name of somebody else, which needs no power as long as nothing is sent."""
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    level, option = (socket.IPPROTO_IPV6, 78) if ":" in address else (socket.SOL_IP, 15)
    client.setsockopt(level, option, 1)
    client.bind((own, 0))
    try:
        client.sendto(b"x", (address, port))
    except OSError as error:
        if error.errno in (1, 22, 101):
            return "not permitted"
        raise
    return "sent"


def routed(way, address, port):
    """Has IPv6 lead a packet to `address` by way of another one."""
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    stations = b"".join(socket.inet_pton(socket.AF_INET6, station) for station in (address, way))
    try:
        client.setsockopt(socket.IPPROTO_IPV6, 57, b"\0\4\4\1\1\0\0\0" + stations)
    except OSError as error:
        if error.errno in (22, 92):
            return "not permitted"
        raise
    client.connect((address, port))
    client.send(b"x")
    return client.recv(64).decode()


def extended(option):
    """An extension header of IPv6 with padding in it."""
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_IPV6, option, b"\0\0\1\4\0\0\0\0")
    return "granted"


def ping(address, patience=PATIENCE):
    kind, protocol = (b"\x80", socket.IPPROTO_ICMPV6) if ":" in address else (b"\x08", socket.IPPROTO_ICMP)
    client = socket.socket(family(address), socket.SOCK_DGRAM, protocol)
    client.settimeout(patience)
    client.sendto(kind + b"\0\0\0\0\1\0\1payload!", (address, 0))
    client.recv(64)
    return "reached"


def speak(address, port, text):
    """Another protocol than the port's."""
    with socket.create_connection((address, port), PATIENCE) as client:
        client.sendall(text.encode())
        client.shutdown(socket.SHUT_WR)
        return client.recv(64).decode("latin-1") or "closed"


def noise(address, port):
    client = socket.socket(family(address), socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    client.connect((address, port))
    client.send(b"x" * 64)
    return CODES[client.recv(64)[3] & 15]


def question(name, kind, raw):
    labels = [label.encode("latin-1") for label in name.split("." if not raw else "|")]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + wire + struct.pack(">HH", kind, 1)


def told(reply):
    if reply[5] == 0:
        return CODES[reply[3] & 15]
    at = 12
    while reply[at]:
        at += reply[at] + 1
    at += 5
    found = []
    for _ in range(struct.unpack(">H", reply[6:8])[0]):
        while reply[at] and reply[at] < 0xC0:
            at += reply[at] + 1
        at += 2 if reply[at] else 1
        kind, _, ttl, length = struct.unpack(">HHIH", reply[at : at + 10])
        data = reply[at + 10 : at + 10 + length]
        at += 10 + length
        if kind == 1:
            found.append(socket.inet_ntop(socket.AF_INET, data))
        elif kind == 28:
            found.append(socket.inet_ntop(socket.AF_INET6, data))
        elif kind == 16:
            found.append(data[1:].decode())
    code = CODES.get(reply[3] & 15, str(reply[3] & 15))
    if reply[2] & 2:
        return f"{code}, cut short"
    if len(found) > 3:
        return f"{len(found)} addresses"
    return " ".join(found) if found else (code if code != "NOERROR" else "nothing")


def dns(name, server="8.8.8.8", kind=1, over="udp", port=53, raw=False):
    message = question(name, kind, raw)
    if over == "udp":
        client = socket.socket(family(server), socket.SOCK_DGRAM)
        client.settimeout(PATIENCE)
        client.connect((server, port))
        client.send(message)
        return told(client.recv(4096))
    with socket.create_connection((server, port), PATIENCE) as client:
        client.sendall(struct.pack(">H", len(message)) + message)
        length = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
        return told(client.recv(length, socket.MSG_WAITALL))


def spray(name, server, allowed):
    """Has the sidecar ask `allowed` new questions, then asks from every port it may have asked from."""
    for at in range(allowed):
        dns(f"r{at}.ok.test")
    message = question(name, 1, False)
    for port in range(1024, 65536):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.setblocking(False)
        try:
            client.bind(("", port))
            client.sendto(message, (server, 53))
        except OSError:
            pass
        client.close()
    return "sent"


def steadily(count):
    """Does again and again what is allowed, and what is not."""
    expected = {
        "name": ("dns", ["ok.test"], "93.184.216.34"),
        "denied name": ("dns", ["other.test"], "NXDOMAIN"),
        "named": ("udp", ["93.184.216.34", 9999], "reached"),
        "address": ("tcp", ["9.9.9.9", 80], "reached"),
        "denied": ("udp", ["93.184.216.35", 9999], "not permitted"),
        "denied over TCP": ("tcp", ["93.184.216.35", 80], "refused"),
    }
    if tcp("9.9.9.9", 9999, "steady") != "reached":
        return "not reached"
    expected["kept"] = ("again", ["steady"], "reached")
    for at in range(count):
        for what, (name, arguments, wanted) in expected.items():
            seen = attempt(name, arguments, {})
            if seen != wanted:
                return f"{what}: {seen} in turn {at}"
    return "always the same"


def flood(count):
    """Asks for made-up names without waiting, then for a real one until it is told."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("8.8.8.8", 53))
    client.setblocking(False)
    for at in range(count):
        try:
            client.send(question(f"x{at}.flood.test", 1, False))
        except OSError:
            pass
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            return dns("ok.test")
        except TimeoutError:
            pass
    return "no answer"


def crowd(count):
    """Opens connections to the API that say nothing, then asks it something until it answers."""
    crowd = []
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", 18080))
        crowd.append(client)
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            return http("127.0.0.1", "/healthz")
        except (OSError, IndexError):
            time.sleep(0.1)
    return "no answer"


def silent(count, address, port):
    """Keeps connections open that say nothing; how many were taken is the listener's affair."""
    kept["silent"] = [socket.socket() for _ in range(count)]
    for client in kept["silent"]:
        client.setblocking(False)
        client.connect_ex((address, port))
    return "open"


def besiege(count):
    """Keeps so many connections to the API open that say nothing, each replaced as soon as it is closed."""
    parent = os.getpid()
    if os.fork():
        return "besieging"
    poller, crowd = select.epoll(), {}
    while True:
        while len(crowd) < count:
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", 18080))
            poller.register(client, select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR)
            crowd[client.fileno()] = client
        for ready, _ in poller.poll(1):
            poller.unregister(ready)
            crowd.pop(ready).close()
        if os.getppid() != parent:
            os._exit(0)


def http(address, path, port=18080):
    with socket.create_connection((address, port), 20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return client.recv(12, socket.MSG_WAITALL).decode().split()[1]


def sockets(what):
    if what == "raw":
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    elif what == "raw6":
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    elif what == "packet":
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    elif what == "mark":
        socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)
    elif what == "gre":
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
    elif what == "icmp":
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    elif what == "transparent":
        socket.socket().setsockopt(socket.SOL_IP, 19, 1)
    return "granted"


def run(words):
    done = subprocess.run(words, capture_output=True, text=True)
    return "done" if done.returncode == 0 else "not permitted" if "ermitted" in done.stderr else done.stderr.strip()


def impostor(port):
    """Takes the place of the sidecar's API; what is answered there must not get out."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen()
    kept["impostor"] = server
    return "listening"


def visitors():
    readable, _, _ = select.select([kept["impostor"]], [], [], 0)
    return "a visitor" if readable else "nobody came"


ATTEMPTS = {name: value for name, value in globals().items() if callable(value)}


def attempt(name, arguments, named):
    try:
        return ATTEMPTS[name](*arguments, **named)
    except PermissionError:
        return "not permitted"
    except (ConnectionError, TimeoutError) as error:
        return "no answer" if isinstance(error, TimeoutError) else "refused"
    except OSError as error:
        return "refused" if error.errno in (101, 111, 113) else f"error {error.errno}"


def give_up_all_power():
    """Here rather than by who starts this: where Python lies may be nobody else's business."""
    libc = ctypes.CDLL(None)
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
give_up_all_power()
for line in sys.stdin:
    name, arguments, named = json.loads(line)
    print(json.dumps(attempt(name, arguments, named)), flush=True)
