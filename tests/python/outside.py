"""An outside with name servers and listeners on many addresses. Ends when standard input closes.

argv[1] is a file to which every question that arrives is appended. All servers but 198.51.100.9 answer; that one is
silent.
"""

import socket
import struct
import sys
import threading

LOG = open(sys.argv[1], "a", buffering=1)
V4 = ["1.1.1.1", "8.8.8.8", "9.9.9.9", "10.9.9.9", "93.184.216.34", "93.184.216.35", "169.254.169.254", "198.51.100.1"]
V6 = ["2001:db8:1::34", "2001:db8:1::35", "2001:db8:1::53"]
SILENT = "198.51.100.9"
TCP_PORTS = [80, 443, 853, 5353, 8443, 9999, 18081]
UDP_PORTS = [443, 853, 5353, 9999]

A, CNAME, SOA, TXT, AAAA, HTTPS = 1, 5, 6, 16, 28, 65


def a(address):
    return socket.inet_pton(socket.AF_INET, address)


def aaaa(address):
    return socket.inet_pton(socket.AF_INET6, address)


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


# name -> [(type, time to live, data)]
ZONE = {
    "ok.test": [(A, 60, a("93.184.216.34")), (AAAA, 60, aaaa("2001:db8:1::34")), (TXT, 60, b"\x05hello")],
    "www.ok.test": [(A, 60, a("93.184.216.34"))],
    "denied.test": [(A, 60, a("93.184.216.35"))],
    "other.test": [(A, 60, a("93.184.216.35"))],
    "alias.ok.test": [(CNAME, 60, wire("denied.test")), (A, 60, a("93.184.216.35"))],
    "cdn.ok.test": [(CNAME, 60, wire("edge.cdn.test"))],
    "edge.cdn.test": [(A, 60, a("93.184.216.34"))],
    "rebind.ok.test": [(A, 60, a("169.254.169.254"))],
    "private.ok.test": [(A, 60, a("10.9.9.9"))],
    "mapped.ok.test": [(AAAA, 60, aaaa("::ffff:10.9.9.9"))],
    "both.ok.test": [(A, 60, a("93.184.216.34")), (A, 60, a("10.9.9.9"))],
    "turn.ok.test": [(A, 0, a("93.184.216.34"))],
    "loop.ok.test": [(A, 60, a("127.0.0.1"))],
    "nat64.ok.test": [(AAAA, 60, aaaa("64:ff9b::a9fe:a9fe"))],
    "through.ok.test": [(CNAME, 60, wire("middle.test"))],
    "middle.test": [(CNAME, 60, wire("www.ok.test"))],
    "big.ok.test": [(A, 60, a(f"93.184.217.{last}")) for last in range(120)],
    "hint.ok.test": [(HTTPS, 60, b"\0\1\0\0\4\0\4" + a("93.184.216.35"))],
    "six.ok.test": [(AAAA, 60, aaaa("2001:db8:1::44"))],
    "short.ok.test": [(A, 1, a("93.184.216.34"))],
}
# What some names stand for once they have been asked for.
LATER = {"turn.ok.test": [(A, 60, a("10.9.9.9"))]}


def answer(packet, server, over):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
        at += packet[at] + 1
    name, kind = ".".join(labels).lower(), struct.unpack(">H", packet[at + 1 : at + 3])[0]
    LOG.write(f"{server} {over} {name} {kind}\n")
    records, owner, found = [], name, ZONE.get(name)
    while found and kind != CNAME and found[0][0] == CNAME:
        records.append((owner, found[0]))
        owner = next(n for n in ZONE if wire(n) == found[0][2])
        found = ZONE[owner]
    records += [(owner, record) for record in found or [] if record[0] == kind]
    flags = 0x8180 if name in ZONE else 0x8183
    if name in LATER:
        ZONE[name] = LATER[name]
    body = b"".join(
        wire(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data for owner, (kind, ttl, data) in records
    )
    counts = [1, len(records), 0]
    if over == "udp" and len(body) > 1100:
        flags, body, counts = flags | 0x0200, b"", [1, 0, 0]
    elif not records:
        soa = wire("ns.test") + wire("x.test") + struct.pack(">IIIII", 1, 1, 1, 1, 30)
        body, counts = wire("test") + struct.pack(">HHIH", SOA, 1, 30, len(soa)) + soa, [1, 0, 1]
    return packet[:2] + struct.pack(">HHHHH", flags, *counts, 0) + packet[12 : at + 5] + body


def spawn(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()


def udp_names(server, address):
    while True:
        packet, peer = server.recvfrom(4096)
        if address != SILENT:
            server.sendto(answer(packet, address, "udp"), peer)


def tcp_names(server, address):
    def talk(client):
        with client:
            while head := client.recv(2, socket.MSG_WAITALL):
                packet = client.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                reply = answer(packet, address, "tcp")
                client.sendall(struct.pack(">H", len(reply)) + reply)

    while True:
        spawn(talk, server.accept()[0])


def udp_echo(server):
    while True:
        _, peer = server.recvfrom(65536)
        server.sendto(b"reached", peer)


def tcp_echo(server):
    def talk(client):
        with client:
            client.sendall(b"reached")
            while data := client.recv(4096):
                client.sendall(data)

    while True:
        spawn(talk, server.accept()[0])


def listen(kind, family, address, port):
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen(64)
    return server


for family, addresses in ((socket.AF_INET, V4 + [SILENT]), (socket.AF_INET6, V6)):
    for address in addresses:
        spawn(udp_names, listen(socket.SOCK_DGRAM, family, address, 53), address)
        spawn(tcp_names, listen(socket.SOCK_STREAM, family, address, 53), address)
        for port in UDP_PORTS:
            spawn(udp_echo, listen(socket.SOCK_DGRAM, family, address, port))
        for port in TCP_PORTS:
            spawn(tcp_echo, listen(socket.SOCK_STREAM, family, address, port))
print("ready", flush=True)
sys.stdin.read()
