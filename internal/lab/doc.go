// Package lab has servers and links that follow a script, faults included:
// [Server] speaks HTTP/1 on raw connections and remembers the story of each of
// them; [Link] puts a round trip between a client and a server. Proxies are in
// package proxy, the scripts in profiles/script.
//
// A server ends a connection as real servers do, with close(2), shutdown(2) and
// SO_LINGER; the kernel does the rest.
//
// These settings reproduce the incidents:
//
//	idle-race, direct-idle-order,   script.Server.IdleTimeout, and a Link
//	  nginx-1s, lifecycle
//	before-response                 script.Server.Fault: close_before_response
//	while-sending-body              script.Server.Upload: answer_close; Fault: close_while_reading, reset_while_reading
//	during-response                 script.Server.Fault: close_during_response, reset_during_response; Chunked
//	data-after-close                script.Server.IdleTimeout; AfterFIN: closed or draining sockets
//	idle-race-tls                   script.Server.TLS: close_notify, then FIN; NotifyLead puts time between them
//	three-mitigations               script.Server.IdleTimeout, SayClose
//	nginx-upstream-ok, ...          script.Proxy.Workers, Upstream (IdleTimeout, MaxRequests, MaxIdle, MaxLifetime, Retry);
//	  -keepalive-timeout, -mismatch   script.Server.MaxConnections, Threads, Backlog, MaxRequests, IdleTimeout, IdleLate
//	l7-lb-order                     script.Proxy.IdleTimeout, Upstream.IdleTimeout, Errors: 502 and 504 as nginx, ALB, HAProxy
//	nagle-delayed-ack               script.Server.SplitWrites, Nagle
//	slow-start                      script.Server.Body, any size
//	parallel-persistent-pipelined   script.Server.Delay, Body; pipelined requests get their responses in order
//	http10-keep-alive               script.Server.Version, IgnoreKeepAlive, UntilClose; Upstream.Version
//	keep-alive-hint                 script.Server.Hint beside IdleTimeout and MaxRequests; script.Proxy.Hint
//	dumb-proxy                      script.Proxy.HopByHop: blind; ProxyConnection; proxies in front of proxies
//	truncated                       script.Server.Fault: close_during_response, with Body, and with UntilClose
//	retry-and-idempotence           Server.Executions, Seen.Duplicates; Upstream.Retry, proxy.Seen.Retries
//	half-close                      script.Server.Upload: shut_input, answer_close; AfterFIN: drain for the graceful close
//	hop-by-hop                      script.Proxy.HopByHop; script.Server.RecordHeaders
//
// Further: script.Server.Reload and ReloadEvery are what clients meet during a deploy.
package lab
