package wording

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// reference is every failure by every client, in that client's words; texts of
// one cell are divided by " · ". A cell in parentheses has no text.
var reference = map[string]string{
	"before_response/fin": `
reactor-netty | PrematureCloseException: Connection prematurely closed BEFORE response · channel gone inactive with 1 missing response(s)
go | Get "http://x/": EOF · http: server closed idle connection
fasthttp | the server closed connection before returning the first response byte. Make sure the server returns 'Connection: close' response header before closing the connection
apache-hc5 | NoHttpResponseException: host:80 failed to respond · ConnectionClosedException: Connection closed by peer · Connection is closed
apache-hc4 | NoHttpResponseException: host:80 failed to respond · The target server failed to respond
okhttp | java.io.IOException: unexpected end of stream on http://x/... · EOFException: \n not found: limit=0 content=
jdk | java.io.IOException: HTTP/1.1 header parser received no bytes · HTTP/1.1 header parser received no bytes Caused by: EOFException: EOF reached while reading
httpurlconnection | java.net.SocketException: Unexpected end of file from server
node | Error: socket hang up · FetchError: request to http://x/ failed, reason: socket hang up
undici | SocketError: other side closed · TypeError: fetch failed
urllib3 | ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))
requests | ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))
boto3 | ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response')) · Connection was closed before we received a valid response from endpoint URL: "x"
httpx | RemoteProtocolError: Server disconnected without sending a response.
aiohttp | ServerDisconnectedError: Server disconnected
ruby | EOFError: end of file reached · too many connection resets (due to end of file reached - EOFError) after 1 requests on 600, last used 0.0003 seconds ago
libcurl | curl: (52) Empty reply from server
hyper | connection closed before message completed
dotnet | An error occurred while sending the request. The response ended prematurely. (ResponseEnded) · An error occurred while sending the request.
aws-sdk-java | The connection was closed during the request. The request will usually succeed on a retry, but if it does not
nginx | upstream prematurely closed connection while reading response header from upstream
haproxy | be/s1 0/0/0/-1/3 502 208 - - SH-- 1/1
envoy | 503 UC upstream_reset_before_response_started{connection_termination} · upstream connect error or disconnect/reset before headers. reset reason: connection termination`,
	"write_body/fin": `
reactor-netty | PrematureCloseException: Connection has been closed BEFORE response, while sending request body`,
	"write_headers/fin": `
reactor-netty | AbortedException: Connection has been closed BEFORE send operation
hyper | operation was canceled: connection closed`,
	"response_headers/fin": `
reactor-netty | PrematureChannelClosureException: Connection closed before received headers
go | net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "Content-Le" · net/http: HTTP/1.x transport connection broken: unexpected EOF
fasthttp | error when reading response headers: EOF. Buffer size=27, contents: "HTTP/1.1 200 OK"
apache-hc5 | ClientProtocolException: Invalid header; error at offset 10: <Content-Le>
apache-hc4 | ProtocolException: Invalid header: Content-Le
jdk | parsing HTTP/1.1 header, receiving [Content-Le], parser state [HEADER]
node | socket hang up
undici | other side closed
httpx | Server disconnected without sending a response.
aiohttp | ServerDisconnectedError(<RawResponseMessage(code=200)>)
ruby | Net::HTTPBadResponse: wrong header line format
hyper | connection closed before message completed
nginx | upstream prematurely closed connection while reading response header from upstream
libcurl | (no error)
urllib3 | (no error)
requests | (no error)
httpurlconnection | (no error)`,
	"during_response/truncated": `
reactor-netty | PrematureCloseException: Connection prematurely closed DURING response
go | unexpected EOF
fasthttp | unexpected EOF
apache-hc5 | Premature end of Content-Length delimited message body (expected: 100; received: 10)
apache-hc4 | Premature end of Content-Length delimited message body (expected: 100; received: 10)
okhttp | ProtocolException: unexpected end of stream
jdk | fixed content-length: 100, bytes received: 10
httpurlconnection | (no error)
node | aborted · stream has been aborted
undici | other side closed · TypeError: terminated
urllib3 | Connection broken: IncompleteRead(10 bytes read, 90 more expected)
requests | ChunkedEncodingError: Connection broken: IncompleteRead(10 bytes read, 90 more expected)
httpx | peer closed connection without sending complete message body (received 10 bytes, expected 100)
aiohttp | ClientPayloadError: Response payload is not completed
ruby | (no error)
libcurl | curl: (18) transfer closed with 90 bytes remaining to read
hyper | error reading a body from connection · end of file before message length reached
dotnet | The response ended prematurely, with at least 90 additional bytes expected. (ResponseEnded)
nginx | upstream prematurely closed connection while reading upstream
haproxy | be/s1 0/0/0/1/3 200 208 - - SD-- 1/1
envoy | upstream_reset_after_response_started{connection_termination}`,
	"during_response/fin": `
reactor-netty | PrematureCloseException: Connection prematurely closed DURING response
go | unexpected EOF
fasthttp | the server closed connection before returning the first response byte. Make sure the server returns 'Connection: close' response header before closing the connection
apache-hc5 | Premature end of chunk coded message body: closing chunk expected · Truncated chunk (expected size: 5; actual size: 3)
apache-hc4 | Premature end of chunk coded message body: closing chunk expected · Truncated chunk (expected size: 5; actual size: 3)
okhttp | ProtocolException: unexpected end of stream · java.io.EOFException
jdk | chunked transfer encoding, state: READING_LENGTH · chunked transfer encoding, state: READING_DATA
httpurlconnection | Premature EOF
node | aborted · stream has been aborted
undici | other side closed · TypeError: terminated
urllib3 | IncompleteRead(5 bytes read) · Response ended prematurely
requests | IncompleteRead(5 bytes read) · Response ended prematurely
httpx | peer closed connection without sending complete message body (incomplete chunked read)
aiohttp | ClientPayloadError: Response payload is not completed
ruby | EOFError: end of file reached
libcurl | curl: (18) transfer closed with outstanding read data remaining
hyper | error reading a body from connection · unexpected EOF during chunk size line
dotnet | The response ended prematurely. (ResponseEnded)
nginx | upstream prematurely closed connection while reading upstream
haproxy | be/s1 0/0/0/1/3 200 208 - - SD-- 1/1
envoy | upstream_reset_after_response_started{connection_termination}`,
	"before_response/rst": `
reactor-netty | java.net.SocketException: Connection reset · recvAddress(..) failed with error(-104): Connection reset by peer · readAddress(..) failed: Connection reset by peer
go | read tcp 10.0.0.1:1->10.0.0.2:2: read: connection reset by peer
fasthttp | the server closed connection before returning the first response byte. Make sure the server returns 'Connection: close' response header before closing the connection
apache-hc5 | java.net.SocketException: Connection reset
apache-hc4 | java.net.SocketException: Connection reset
okhttp | java.net.SocketException: Connection reset
httpurlconnection | java.net.SocketException: Connection reset
jdk | HTTP/1.1 header parser received no bytes Caused by: java.net.SocketException: Connection reset
node | read ECONNRESET
undici | read ECONNRESET
urllib3 | ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))
requests | ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))
httpx | ReadError: [Errno 104] Connection reset by peer
aiohttp | ClientOSError: [Errno 104] Connection reset by peer
ruby | Errno::ECONNRESET: Connection reset by peer
libcurl | curl: (56) Recv failure: Connection reset by peer
hyper | connection error: Connection reset by peer (os error 104)
dotnet | Unable to read data from the transport connection: Connection reset by peer.
nginx | recv() failed (104: Connection reset by peer) while reading response header from upstream
haproxy | be/s1 0/0/0/-1/3 502 208 - - SH-- 1/1`,
	"write_body/rst": `
libcurl | curl: (55) Send failure: Connection reset by peer`,
	"connect/refused": `
reactor-netty | AnnotatedConnectException: Connection refused: /127.0.0.1:11
go | dial tcp 127.0.0.1:1: connect: connection refused
fasthttp | error when dialing 127.0.0.1:1: dial tcp4 127.0.0.1:1: connect: connection refused
apache-hc5 | HttpHostConnectException: Connect to http://host:1 [/127.0.0.1] failed: Connection refused
apache-hc4 | HttpHostConnectException: Connect to host:1 [/127.0.0.1] failed: Connection refused
okhttp | ConnectException: Failed to connect to /127.0.0.1:1
jdk | java.net.ConnectException · java.net.ConnectException Caused by: java.nio.channels.ClosedChannelException
httpurlconnection | ConnectException: Connection refused
node | connect ECONNREFUSED 127.0.0.1:1
undici | connect ECONNREFUSED 127.0.0.1:1
urllib3 | Failed to establish a new connection: [Errno 111] Connection refused
requests | HTTPConnectionPool(host='x', port=1): Max retries exceeded with url: / (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))
boto3 | Could not connect to the endpoint URL: "x"
httpx | ConnectError: [Errno 111] Connection refused · ConnectError: All connection attempts failed
aiohttp | ClientConnectorError: Cannot connect to host x:1 ssl:default [Connect call failed ('127.0.0.1', 1)]
ruby | Errno::ECONNREFUSED: Failed to open TCP connection to 127.0.0.1:1 (Connection refused - connect(2) for 127.0.0.1:1)
libcurl | curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server
hyper | tcp connect error: Connection refused (os error 111)
dotnet | Connection refused (host:1)
nginx | connect() failed (111: Connection refused) while connecting to upstream
haproxy | be/s1 0/0/-1/-1/3 503 208 - - SC-- 1/1
envoy | 503 UF remote connection failure`,
	"connect/port_exhausted": `
reactor-netty | AnnotatedSocketException: Cannot assign requested address: /127.0.0.1:18080
go | dial tcp 127.0.0.1:1: connect: cannot assign requested address
fasthttp | error when dialing 127.0.0.1:1: dial tcp4 127.0.0.1:1: connect: cannot assign requested address
apache-hc5 | java.net.BindException: Cannot assign requested address
apache-hc4 | java.net.BindException: Cannot assign requested address
okhttp | BindException: Cannot assign requested address
jdk | ConnectException: Cannot assign requested address
httpurlconnection | BindException: Cannot assign requested address
node | connect EADDRNOTAVAIL 127.0.0.1:18080 - Local (0.0.0.0:0)
undici | connect EADDRNOTAVAIL 127.0.0.1:18080 - Local (0.0.0.0:0)
urllib3 | Failed to establish a new connection: [Errno 99] Cannot assign requested address
requests | Max retries exceeded with url: / (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 99] Cannot assign requested address'))
httpx | ConnectError: [Errno 99] Cannot assign requested address
aiohttp | Cannot connect to host x:1 ssl:default [Cannot assign requested address]
ruby | Errno::EADDRNOTAVAIL: Failed to open TCP connection to x (Cannot assign requested address - connect(2) for x)
libcurl | curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server
hyper | tcp connect error: Cannot assign requested address (os error 99)
dotnet | Cannot assign requested address (host:1)
nginx | connect() to 127.0.0.1:1 failed (99: Cannot assign requested address) while connecting to upstream
haproxy | Connect() failed for backend be: no free ports.
envoy | 503 UF local connection failure`,
	"acquire/queue_full": `
reactor-netty | PoolAcquirePendingLimitException: Pending acquire queue has reached its maximum size of 32 · No pending allowed and pool has reached allocation limit
aws-sdk-java | Too many outstanding acquire operations · Maximum pending connection acquisitions exceeded. The request rate is too high
fasthttp | no free connections available to host
nginx | no live upstreams while connecting to upstream
haproxy | be/s1 0/5001/-1/-1/5001 503 208 - - sQ-- 1/1
envoy | 503 UO reset reason: overflow
apache-hc5 | (no bound)
apache-hc4 | (no bound)
go | (no bound)
urllib3 | (no bound)
requests | (no bound)
httpx | (no bound)
aiohttp | (no bound)
dotnet | (no bound)
libcurl | (no bound)
okhttp | (no cap)
jdk | (no cap)
httpurlconnection | (no cap)
node | (no cap)
undici | (no cap)
hyper | (no cap)`,
	"acquire/timeout": `
reactor-netty | PoolAcquireTimeoutException: Pool#acquire(Duration) has been pending for more than the configured timeout of 45000ms
aws-sdk-java | Acquire operation took longer then configured maximum time · Acquire operation took longer than the configured maximum time. This indicates
apache-hc5 | ConnectionRequestTimeoutException: Timeout deadline: 200 MILLISECONDS, actual: 200 MILLISECONDS
apache-hc4 | ConnectionPoolTimeoutException: Timeout waiting for connection from pool
go | context deadline exceeded (Client.Timeout exceeded while awaiting headers)
fasthttp | no free connections available to host
urllib3 | EmptyPoolError: HTTPConnectionPool(host='x', port=1): Pool is empty and a new connection can't be opened due to blocking mode. · Pool reached maximum size and no more connections are allowed.
httpx | PoolTimeout
aiohttp | Connection timeout to host http://x/ · TimeoutError
dotnet | The request was canceled due to the configured HttpClient.Timeout of 100 seconds elapsing.
libcurl | No connections available, total of 10 reached. · curl: (28) Operation timed out
ruby | Waited 5 sec, 0/5 available
haproxy | be/s1 0/5001/-1/-1/5001 503 208 - - sQ-- 1/1
envoy | 504 UT upstream request timeout
okhttp | (no cap)
jdk | (no cap)
node | (no cap)
undici | (no cap)
hyper | (no cap)`,
	"done/": `
urllib3 | Connection pool is full, discarding connection: host. Connection pool size: 10`,
	"before_response/timeout": `
reactor-netty | io.netty.handler.timeout.ReadTimeoutException
go | net/http: timeout awaiting response headers · context deadline exceeded (Client.Timeout exceeded while awaiting headers)
apache-hc5 | java.net.SocketTimeoutException: Read timed out
apache-hc4 | java.net.SocketTimeoutException: Read timed out
httpurlconnection | java.net.SocketTimeoutException: Read timed out
okhttp | java.net.SocketTimeoutException: timeout
jdk | java.net.http.HttpTimeoutException: request timed out
undici | Headers Timeout Error
urllib3 | Read timed out. (read timeout=0.1)
requests | Read timed out. (read timeout=0.1)
httpx | ReadTimeout: timed out
aiohttp | Timeout on reading data from socket
nginx | upstream timed out (110: Connection timed out) while reading response header from upstream
haproxy | be/s1 0/0/0/-1/5001 504 208 - - sH-- 1/1
envoy | 504 UT upstream request timeout`,
	"during_response/timeout": `
undici | Body Timeout Error`,
}

// Every row of the reference is explained, and For has words for its outcome.
func TestReference(t *testing.T) {
	for outcome, rows := range reference {
		for row := range strings.Lines(strings.TrimSpace(rows)) {
			client, texts, _ := strings.Cut(strings.TrimSpace(row), " | ")
			if !strings.HasPrefix(texts, "(no ") {
				for text := range strings.SplitSeq(texts, " · ") {
					explains(t, text, client, outcome)
				}
			}
			phase, cause, _ := strings.Cut(outcome, "/")
			var o Outcome
			if o.Phase.UnmarshalText([]byte(phase)) != nil || o.Cause.UnmarshalText([]byte(cause)) != nil {
				t.Fatalf("%s is no outcome", outcome)
			}
			words := append(For(client, o.Phase, o.Cause, false), For(client, o.Phase, o.Cause, true)...)
			if len(words) == 0 {
				t.Errorf("For(%s, %s) has nothing to say", client, o)
			}
			if strings.HasPrefix(texts, "(no ") && !strings.HasPrefix(strings.Join(words, ""), "(nothing") {
				t.Errorf("For(%s, %s) = %q, and it says nothing", client, o, words)
			}
		}
	}
	if got := For("okhttp", results.PhaseBeforeResponse, results.CauseRST, true); !strings.Contains(got[0], "re-sends") {
		t.Errorf("OkHttp re-sends on a reused connection: %q", got)
	}
}
