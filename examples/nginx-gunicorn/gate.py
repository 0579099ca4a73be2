"""Closes the door to new connections before nginx stops, so that nginx finds nobody waiting.

Linux has no call for "take no new connections, but let me have those already made": when a listening
socket closes, whoever was connected and not yet accepted gets a reset. nginx closes its socket like that.

So, at SIGTERM, this process puts a socket of its own beside nginx's on the same port (SO_REUSEPORT, hence
`reuseport` in nginx.conf), has the kernel hand every new connection attempt to it, and drops them there
unanswered: the client's kernel tries again a second later and is refused by then, and no request was sent.
Connections made before stay nginx's. Once nginx has taken all of them this process ends, and runmate goes
on to stop nginx. A child holds the socket for the moment until nginx has closed its own.

No privilege is needed, only that nginx runs as the same user. Where the kernel refuses (gVisor, say),
it says so and ends, and nginx stops as it would without it.
"""

import ctypes
import os
import re
import signal
import socket
import struct
import time

PORT = int(os.environ.get("PORT") or 8080)
SO_ATTACH_REUSEPORT_CBPF, IP_MINTTL = 51, 21  # missing in Python's socket module
SYN_RECV, LISTEN = "03", "0A"
LINE = rf": \w+:{PORT:04X} \w+:\w+ %s \w+:(\w+) "
PATIENCE = 1.0  # seconds; a handshake takes one round trip


def sockets(state):
    """The queue length of each TCP socket on our port that is in this state."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        # One pass in C: there may be ten thousand lines of connections just closed.
        return [int(queued, 16) for queued in re.findall(LINE % state, table.read())]


def waiting():
    """Whether a connection is being made or waits to be accepted."""
    return any(sockets(LISTEN)) or bool(sockets(SYN_RECV))


def close_door():
    others = len(sockets(LISTEN))
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Unanswered goes whatever has passed a router, or starts with a lower TTL than 255: all but a few
    # exotic neighbours.
    door.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)
    door.bind(("0.0.0.0", PORT))
    door.listen()
    # Who of the port's sockets gets a connection is decided by this program of one instruction: "return
    # the index of the newest", which is ours.
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, others))
    program = struct.pack("HL", 1, ctypes.addressof(code))
    door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
    return door


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def main():
    # Blocked, then waited for: a signal between two lines of this program cannot be lost.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    signal.sigwait(stop)
    try:
        door = close_door()
    except OSError as error:
        print(f"cannot hold new connections off ({error}); nginx will reset those it has not accepted")
        return
    time.sleep(0.01)  # for a packet that was on its way to nginx's socket at this instant
    wait_until(lambda: not waiting())
    if os.fork() == 0:
        os.setsid()  # out of the process group: runmate counts this process as stopped
        wait_until(lambda: len(sockets(LISTEN)) == 1)  # ours alone
        door.close()


main()
