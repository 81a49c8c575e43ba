"""An S3 server that accepts no keys: it refuses every request like AWS. Its port is
written into the file that is named."""

import http.server
import socketserver
import sys

ANSWER = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InvalidAccessKeyId</Code><Message>no such key here</Message></Error>"""


class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        # Without asking a name server who this machine is.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class Refuses(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_HEAD = do_PUT = do_POST = do_GET

    def log_message(self, *_):
        pass


server = Server(("127.0.0.1", 0), Refuses)
with open(sys.argv[1], "w") as port:
    port.write(str(server.server_port))
server.serve_forever()
