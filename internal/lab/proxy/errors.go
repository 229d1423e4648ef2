package proxy

import (
	"fmt"
	"net/http"

	"github.com/kabench/kabench/profiles/script"
)

// reasons are the status and reason of the proxy's own responses, by style.
var reasons = map[int][script.LikeHAProxy + 1]string{
	http.StatusBadRequest:            {"400 Bad Request", "400 Bad Request", "400 Bad request"},
	http.StatusRequestEntityTooLarge: {"413 Request Entity Too Large", "413 Request Entity Too Large", "413 Payload Too Large"},
	http.StatusBadGateway:            {"502 Bad Gateway", "502 Bad Gateway", "502 Bad Gateway"},
	http.StatusServiceUnavailable:    {"503 Service Temporarily Unavailable", "503 Service Temporarily Unavailable", "503 Service Unavailable"},
	http.StatusGatewayTimeout:        {"504 Gateway Time-out", "504 Gateway Time-out", "504 Gateway Time-out"},
}

// haproxySays is the second line of HAProxy's error pages.
var haproxySays = map[int]string{
	http.StatusBadRequest:            "Your browser sent an invalid request.",
	http.StatusRequestEntityTooLarge: "The request entity exceeds the maximum allowed.",
	http.StatusBadGateway:            "The server returned an invalid or incomplete response.",
	http.StatusServiceUnavailable:    "No server is available to handle this request.",
	http.StatusGatewayTimeout:        "The server didn't respond in time.",
}

// errorPage returns an error response: status and reason, headers other than
// Connection, and body.
func errorPage(s script.ErrorStyle, status int) (reason, headers, body string) {
	reason = reasons[status][s]
	switch s {
	case script.LikeHAProxy:
		body = fmt.Sprintf("<html><body><h1>%s</h1>\n%s\n</body></html>\n", reason, haproxySays[status])
		headers = "Cache-Control: no-cache\r\n"
	case script.LikeALB:
		body = nginxBody(reason, "")
		headers = "Server: awselb/2.0\r\n"
	default:
		body = nginxBody(reason, "<hr><center>nginx</center>\r\n")
		headers = "Server: nginx\r\n"
	}
	headers += fmt.Sprintf("Content-Type: text/html\r\nContent-Length: %d\r\n", len(body))
	return reason, headers, body
}

func nginxBody(reason, foot string) string {
	return fmt.Sprintf("<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n%s</body>\r\n</html>\r\n", reason, reason, foot)
}

// failure is why a server sent no response.
type failure struct {
	err       error
	connect   bool // the server could not be reached
	timeout   bool // it took too long
	unsent    bool // no byte of the request was written
	reused    bool // the connection had served a request before
	malformed bool // the server sent something that is no response
}

// status returns the status of the response to the client.
func (f failure) status(s script.ErrorStyle) int {
	switch {
	case f.connect && s == script.LikeHAProxy:
		return http.StatusServiceUnavailable
	case f.timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
