"""Checks a corpus and serves it with Datasette; see tools/browse."""

import argparse
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

import questions

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent


def fail(message, status=1):
    print(f"browse: {message}", file=sys.stderr)
    sys.exit(status)


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        fail(f"{message}; see tools/browse --help", 64)


def arguments():
    parser = Arguments(prog="tools/browse", add_help=False)
    parser.add_argument("corpus", metavar="CORPUS")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seconds", type=float, default=20)
    found = parser.parse_args()
    if not 0 <= found.port <= 65535:
        fail(f"--port is {found.port}; give a number from 1 to 65535, or 0 for any that is free", 64)
    if not 0 < found.seconds <= 86400:
        fail(f"--seconds is {found.seconds}; give a number above 0", 64)
    return found


def product(name):
    path = PROJECT / ".build" / "release" / name
    if not path.exists():
        fail(f"{path} is not there; build it first: swift build -c release")
    return str(path)


def check_corpus(corpus):
    """`logit` says in one sentence what is wrong with a folder, and trusts no catalogue that has views of its own."""
    ran = subprocess.run([product("logit"), "sql", corpus, "PRAGMA user_version", "--format", "csv"],
                         capture_output=True, text=True)
    if ran.returncode != 0:
        fail(ran.stderr.strip().removeprefix("logit: ") or f"logit sql {corpus} failed", ran.returncode)
    version, newest = int(ran.stdout.split()[-1]), len(list((PROJECT / "schema" / "catalog").glob("catalog-v*.sql")))
    if version < newest:
        fail(f"the catalogue of {corpus} is of version {version}, and its views are those of version {newest}; "
             f"run logit repair {corpus}, or any command that writes to it, which brings it up to date")


def free_port(host, port):
    """The port itself; for 0 one that is free."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return probe.getsockname()[1]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fail(f"port {port} is in use by another program; choose another with --port")
        fail(f"cannot listen on {host}, port {port} ({error.strerror or error}); choose others with --host and --port")


def share_readers(corpus):
    """What readers hold, so that `logit gc` removes no shard while its rows are looked at."""
    try:
        held = open(f"{corpus}/readers")
        fcntl.flock(held, fcntl.LOCK_SH)
        return held
    except OSError:
        return None  # a read-only copy: nothing is collected there


class Catalogue:
    """How a reader opens it: beside a log as a live database, without one as a file that does not change."""

    def __init__(self, corpus):
        self.path = f"{corpus}/catalog.sqlite"
        self.is_live = os.path.exists(self.path + "-wal")
        self.state = self.look()

    def look(self):
        found = os.stat(self.path)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def is_outdated(self):
        try:
            return not self.is_live and (os.path.exists(self.path + "-wal") or self.look() != self.state)
        except FileNotFoundError:  # `logit repair` is about to put another in its place
            return False

    def check(self):
        mode = "mode=ro" if self.is_live else "immutable=1"
        try:
            with contextlib.closing(sqlite3.connect(f"{pathlib.Path(self.path).as_uri()}?{mode}", uri=True)) as db:
                return questions.Contents(db)
        except sqlite3.Error as error:
            fail(f"cannot read {self.path} ({error}); copy the corpus to a folder that can be written, "
                 "or run logit repair on it")


def start(catalogue, settings, metadata, log):
    command = [sys.executable, "-m", "datasette", "serve"]
    command += [catalogue.path] if catalogue.is_live else ["--immutable", catalogue.path]
    command += ["--metadata", metadata, "--plugins-dir", str(HERE / "plugins"), "--template-dir", str(HERE / "templates"),
                "--load-extension", product("liblogitsql.so"), "--host", settings.host, "--port", str(settings.port)]
    for name, value in {"sql_time_limit_ms": round(1000 * settings.seconds), "max_returned_rows": 5000,
                        "default_page_size": 50, "facet_time_limit_ms": 500, "suggest_facets": "off"}.items():
        command += ["--setting", name, str(value)]
    # A session of its own: Ctrl-C comes to this process alone, which ends the other; and so does its death.
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def await_answer(server, address, log):
    for _ in range(300):
        if server.poll() is not None:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            fail(f"Datasette ended at once: {lines[-1]}")
        try:
            urllib.request.urlopen(address + "-/versions.json", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    server.terminate()
    fail(f"Datasette does not answer at {address}")


def serve(settings):
    corpus = os.path.abspath(settings.corpus)
    held = share_readers(corpus)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}/"
    server = None

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    # A parent may have blocked them for its own thread, which a child inherits.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        try:
            is_announced = False
            while True:
                catalogue = Catalogue(corpus)
                metadata = f"{folder}/metadata.json"
                pathlib.Path(metadata).write_text(json.dumps(questions.metadata(corpus, catalogue.check())))
                server = start(catalogue, settings, metadata, log)
                await_answer(server, address, log)
                if not is_announced:
                    print(f"browse: {settings.corpus} is at {address} (Ctrl-C ends it)", flush=True)
                is_announced = True
                while server.poll() is None and not catalogue.is_outdated():
                    time.sleep(0.5)
                if server.poll() is not None:
                    fail("Datasette ended; run the command again")
                server.terminate()  # a writer has come: again, beside it
                server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            if server and server.poll() is None:
                server.terminate()
                server.wait()
    if held:
        held.close()


def main():
    settings = arguments()
    check_corpus(settings.corpus)
    product("liblogitsql.so")
    settings.port = free_port(settings.host, settings.port)
    serve(settings)


main()
