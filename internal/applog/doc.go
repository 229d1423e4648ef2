// Package applog reads the logs of HTTP clients and proxies, and makes of their lines the
// lives of connections, as far as a log shows them: Reactor Netty, Apache HttpClient 4
// and 5, OkHttp, Node's http and undici, nginx and HAProxy. A line is the text of
// strangers: nothing in it is obeyed, its credentials are blanked, and memory does not
// grow with its length.
package applog
