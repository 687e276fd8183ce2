"""stream.stream and stream.portforward: exec, attach and forwarded ports over WebSocket."""

import json
import http.server
import socket
import threading

from kubernetes import client, stream
from kubernetes.stream.ws_client import ERROR_CHANNEL

from cluster import PATIENCE, Case


class Streams(Case):
    def exec(self, pod, command, core=None, **options):
        options = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **options}
        call = (core or self.core).connect_get_namespaced_pod_exec
        return stream.stream(call, pod, self.namespace, command=command, **options)

    def test_a_command_runs_in_a_container(self):
        self.run_pod("says", {"SIM_EXEC_OUTPUT": "grüße\n", "SIM_LOG": "log\n"})
        self.assertEqual(self.exec("says", ["echo"]), "grüße\n")
        self.assertEqual(self.exec("says", ["echo"], binary=True), "grüße\n".encode())
        call = self.core.connect_get_namespaced_pod_attach
        self.assertEqual(stream.stream(call, "says", self.namespace, stdout=True, stderr=True), "log\n")
        with self.assertRaisesRegex(client.ApiException, "404"):
            self.exec("none", ["echo"])
        with self.assertRaisesRegex(client.ApiException, "400"):
            self.exec("says", ["echo"], container="other")

    def test_its_exit_code_is_told(self):
        self.run_pod("fails", {"SIM_EXEC_CODE": "7"})
        process = self.exec("fails", ["false"], _preload_content=False)
        process.run_forever(timeout=PATIENCE)
        status = json.loads(process.read_channel(ERROR_CHANNEL))
        self.assertEqual((status["status"], status["reason"]), ("Failure", "NonZeroExitCode"))
        self.assertEqual(status["details"]["causes"], [{"reason": "ExitCode", "message": "7"}])

    def test_both_versions_of_the_protocol_are_spoken(self):
        self.run_pod("echoes", {"SIM_EXEC_ECHO": "true"})
        old = client.ApiClient()
        old.set_default_header("sec-websocket-protocol", "v4.channel.k8s.io")
        for core, version in ((self.core, "v5.channel.k8s.io"), (client.CoreV1Api(old), "v4.channel.k8s.io")):
            process = self.exec("echoes", ["cat"], core=core, stdin=True, _preload_content=False)
            self.assertEqual(process.subprotocol, version)
            process.write_stdin("text\n")
            process.write_stdin(b"bytes\n")
            self.assertEqual(process.readline_stdout(timeout=PATIENCE), "text")
            self.assertEqual(process.readline_stdout(timeout=PATIENCE), "bytes")
            if version.startswith("v5"):
                process.close_channel(0)
                process.run_forever(timeout=PATIENCE)
                self.assertEqual(process.returncode, 0)
            else:
                process.close()

    def test_ports_are_forwarded(self):
        class Hello(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, *_):
                pass

        # A pod on its node's network is reached at the node's address, which here is this machine's.
        self.run_pod("listens", hostNetwork=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        unused = socket.socket()
        unused.bind(("127.0.0.1", 0))
        refusing = unused.getsockname()[1]
        try:
            forward = stream.portforward(
                self.core.connect_get_namespaced_pod_portforward,
                "listens",
                self.namespace,
                ports=f"{port},{refusing}",
            )
            connection = forward.socket(port)
            connection.setblocking(True)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while b"hello" not in answer:
                piece = connection.recv(1024)
                self.assertTrue(piece, answer)
                answer += piece
            self.assertTrue(answer.startswith(b"HTTP/1.0 200"))
            self.assertIsNone(forward.error(port))
            self.eventually("the other port's error", lambda: forward.error(refusing))
            self.assertIn(str(refusing), forward.error(refusing))
            forward.close()

            proxied = self.core.connect_get_namespaced_pod_proxy_with_path(f"listens:{port}", self.namespace, "x")
            self.assertEqual(proxied, "hello")
        finally:
            server.shutdown()
            server.server_close()
            unused.close()
