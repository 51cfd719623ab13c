"""Run `scratch-embed` commands in forks of a process that has imported the package.

Most of a short command's time goes to starting Python and to importing NumPy and Numba.  The server
does this once, and forks for each request.  A fork is a process of its own: it gets the arguments,
folder, environment and standard streams of the client, a program that a shell finds under the name
scratch-embed, and ends by sys.exit; the client ends with its exit code.

What this cannot show is whether a command imports all that it needs, because all is imported.
So the commands of README.md run as `python -m scratch_embed` (the fixture shell in conftest.py).
"""
import contextlib
import gc
import json
import multiprocessing
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path

ROOT = Path(__file__).parents[1]

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"."], [0, 1, 2])
request = dict(argv=sys.argv, folder=os.getcwd(), environment=dict(os.environ))
server.sendall(json.dumps(request).encode())
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.makefile().read() or 1))
"""


def client(address: str) -> str:
    """The program scratch-embed, which runs its arguments in the server at this Unix socket."""
    return CLIENT.format(python=sys.executable, address=address)


@contextlib.contextmanager
def fork_server(address: str) -> Iterator[None]:
    """Within the block a server answers clients; it ends with the block or with this process."""
    with subprocess.Popen([sys.executable, __file__, address], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
                          ) as process:
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


# ---- the server's process ------------------------------------------------------------------------

def serve(address):
    """Answer clients until standard input is closed."""
    import_package()
    gc.freeze()                                        # a fork need not copy what it never frees
    running = {}                                       # {sentinel of a process: it, connection}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            for ready in wait([server, sys.stdin, *running]):
                if ready is sys.stdin:
                    return
                if ready is server:
                    connection, _ = server.accept()
                    process = start(connection)
                    running[process.sentinel] = process, connection
                else:
                    send_exit_code(*running.pop(ready))


def import_package():
    """Import all modules of the package but the entry point, and call a kernel.

    When the first kernel is called, Numba imports most of itself.
    """
    import scratch_embed
    from scratch_embed.text.bpe_merging import pair_table
    pair_table({(0, 1): (0, 2)})
    for found in pkgutil.walk_packages(scratch_embed.__path__, "scratch_embed."):
        if not found.name.endswith("__main__"):
            __import__(found.name)


def start(connection):
    """Start the process of a client's command.  -> Process"""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as received:
        request = json.loads(received.read())
    process = multiprocessing.get_context("fork").Process(target=run, args=(request, streams))
    process.start()
    for stream in streams:
        os.close(stream)
    return process


def run(request, streams):
    """Run a command with these streams, as `python -m scratch_embed` does."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["argv"]
    sys.stdin, sys.stdout = open(0), open(1, "w")
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")
    from scratch_embed.__main__ import main
    sys.exit(main())


def send_exit_code(process, connection):
    """Send the exit code of a process that has ended; 128 + the number of a signal."""
    process.join()
    code = process.exitcode
    connection.sendall(str(code if code >= 0 else 128 - code).encode())
    connection.shutdown(socket.SHUT_RDWR)              # forks have copies of it, so close() is not
    connection.close()                                 # enough


if __name__ == "__main__":
    serve(sys.argv[1])
