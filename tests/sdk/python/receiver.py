"""A webhook receiver on loopback: keeps what arrives, answers what it is told to."""

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Arrival(NamedTuple):
    headers: dict[str, str]
    body: bytes


class Receiver:
    def __init__(self) -> None:
        self.status = 200
        self._arrivals: queue.Queue[Arrival] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = f"answered {receiver.status}".encode()
                self.send_response(receiver.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                receiver._arrivals.put(Arrival(headers, body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self, what: str, seconds: float = 30) -> Arrival:
        """The next arrival, those that came before it was asked for included."""
        try:
            return self._arrivals.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"{what}: nothing arrived in {seconds} s") from None
