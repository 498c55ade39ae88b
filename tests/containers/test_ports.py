"""Published ports: what can be reached from outside, and what cannot."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from dockersim.containers import Options, Publish, StartFailed

from .conftest import World

SERVE = "echo hello > /tmp/index.html; exec httpd -f -h /tmp -p {address}:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch(address: str, seconds: float = 10) -> bytes:
    """Get a page, trying again while the server starts."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def serve(world: World, publish: tuple[Publish, ...], port: int, address: str = "0.0.0.0") -> str:
    return world.start(SERVE.format(address=address, port=port), publish=publish)


def test_published_is_reached(world: World) -> None:
    host, inside = free_port(), free_port()
    name = serve(world, (Publish("127.0.0.1", host, inside),), inside)
    assert fetch(f"127.0.0.1:{host}") == b"hello\n"
    (port,) = world.containers.get(name).ports
    assert str(port) == f"127.0.0.1:{host}->{inside}/tcp"
    world.containers.remove(name, force=True)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", host), timeout=1)


def test_any_free_port_and_several(world: World) -> None:
    inside = free_port()
    name = serve(world, (Publish("127.0.0.1", 0, inside), Publish("127.0.0.1", 0, inside)), inside)
    ports = world.containers.get(name).ports
    assert len({port.host_port for port in ports}) == 2
    assert [fetch(port.address) for port in ports] == [b"hello\n"] * 2


def test_same_number_on_both_sides(world: World) -> None:
    port = free_port()
    serve(world, (Publish("127.0.0.1", port, port),), port)
    assert fetch(f"127.0.0.1:{port}") == b"hello\n"


def test_only_exposed_is_not_reached(isolated: World) -> None:
    inside = free_port()
    text = f"FROM busybox\nEXPOSE {inside}\nCMD {SERVE.format(address='0.0.0.0', port=inside)}\n"
    isolated.engine.build(isolated.engine.root, text=text, tags=["exposing"]).finish()
    name = isolated.containers.run(Options("exposing")).id
    container = isolated.containers.get(name)
    assert container.exposed == (f"{inside}/tcp",)
    assert container.ports == ()
    wait = f"until wget -qO- http://127.0.0.1:{inside}/; do sleep 0.02; done"
    assert isolated.exec(name, wait) == 0
    assert isolated.stdout == b"hello\n"
    for host in ("127.0.0.1", container.record.address.partition("/")[0]):
        with pytest.raises(OSError):
            socket.create_connection((host, inside), timeout=0.5)
    every = isolated.containers.run(Options("exposing", publish_all=True)).id
    assert fetch(isolated.containers.get(every).ports[0].address) == b"hello\n"


def test_server_on_its_own_loopback_is_not_reached(isolated: World) -> None:
    """The classic mistake: Flask's default host is 127.0.0.1, which inside a container is the container's own."""
    name = serve(isolated, (Publish("127.0.0.1", 0, 8000),), 8000, "127.0.0.1")
    assert isolated.exec(name, "until wget -qO- http://127.0.0.1:8000/; do sleep 0.02; done") == 0
    with pytest.raises((OSError, urllib.error.URLError)):
        fetch(isolated.containers.get(name).ports[0].address, 0)


def test_two_have_the_same_port_inside(isolated: World) -> None:
    names = [serve(isolated, (Publish("127.0.0.1", 0, 8000),), 8000) for _ in range(2)]
    found = [isolated.containers.get(name) for name in names]
    assert [fetch(one.ports[0].address) for one in found] == [b"hello\n"] * 2
    assert len({one.record.address for one in found}) == 2


def test_port_that_is_taken(world: World) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for inside in (8000, port):
            with pytest.raises(
                StartFailed, match=f"Bind for 127.0.0.1:{port} failed: port is already allocated"
            ) as caught:
                world.start("sleep 1000", publish=(Publish("127.0.0.1", port, inside),))
            assert caught.value.exit_code == 125
    assert world.folders() == []
    assert world.containers.list(all=True) == ()


def test_second_container_on_a_port(world: World) -> None:
    publish = (Publish("127.0.0.1", free_port(), 8000),)
    first = world.start("sleep 1000", publish=publish)
    with pytest.raises(StartFailed, match="port is already allocated"):
        world.start("sleep 1000", publish=publish)
    world.containers.stop(first, 0)
    assert world.containers.get(world.start("sleep 1000", publish=publish)).ports == publish


def test_a_stranger_has_the_port_inside(sharing: World) -> None:
    """The container would not get its port, and the published one would show the page of the stranger."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        inside = other.getsockname()[1]
        with pytest.raises(StartFailed, match=f"port {inside} of the container is taken: .*; stop that, or let"):
            sharing.start("sleep 1000", publish=(Publish("127.0.0.1", 0, inside),))
    assert sharing.folders() == []


def test_the_port_inside_is_another_published_one(sharing: World) -> None:
    """One that we have ourselves is as good as a stranger's: the first port would show the page of the second."""
    first, second, third = free_port(), free_port(), free_port()
    publish = (Publish("127.0.0.1", first, second), Publish("127.0.0.1", second, third))
    with pytest.raises(StartFailed, match=f"port {second} of the container is taken"):
        sharing.start("sleep 1000", publish=publish)


def test_much_both_ways_at_once(best: World) -> None:
    """An echo server that is sent megabytes while it answers: neither side may wait for the other to be done."""
    name = best.start("while :; do nc -l -p 8000 -e cat; done", publish=(Publish("127.0.0.1", 0, 8000),))
    port, data, received = best.containers.get(name).ports[0].host_port, bytes(range(256)) * 16384, bytearray()
    deadline = time.monotonic() + 10
    while not received and time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            sender = threading.Thread(target=lambda: _send(connection, data))
            sender.start()
            try:
                while piece := connection.recv(65536):
                    received += piece
            except OSError:  # it does not listen yet
                pass
            sender.join()
    assert received == data


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_no_network(isolated: World) -> None:
    assert isolated.sh("ifconfig -a", network="none") == 0
    assert b"127.0.0.1" in isolated.stdout
    assert b"172.17" not in isolated.stdout
    assert isolated.sh("ifconfig lo:0", network="bridge") == 0
    assert b"172.17.0." in isolated.stdout


def test_the_hosts_network(best: World) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        answering = threading.Thread(target=_hang_up, args=(server,))
        answering.start()
        assert best.sh(f"nc 127.0.0.1 {port} < /dev/null", network="host") == 0
        answering.join()
        if best.isolated:
            assert best.sh(f"nc 127.0.0.1 {port} < /dev/null") == 1


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()
