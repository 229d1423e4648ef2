// Package lab is servers, proxies and links that behave, and misbehave, on
// script: [Server] speaks HTTP/1 on raw connections and remembers the story of
// each of them; [Proxy] passes requests to servers over a pool of its own, and
// remembers both sides; [Link] puts a round trip between a client and a server.
//
// What ends a connection is what the kernel is asked to do: close(2),
// shutdown(2), SO_LINGER. Nothing is played.
//
// Which settings are for which of the incidents kabench reproduces:
//
//	idle-race, direct-idle-order,   Config.IdleTimeout, and a Link
//	  nginx-1s, lifecycle
//	before-response                 Config.Fault: close_before_response
//	while-sending-body              Config.Upload: answer_close; Fault: close_while_reading, reset_while_reading
//	during-response                 Config.Fault: close_during_response, reset_during_response; Chunked
//	data-after-close                Config.IdleTimeout; AfterFIN tells closed sockets from draining ones
//	idle-race-tls                   Config.TLS: close_notify, then FIN; NotifyLead puts time between them
//	three-mitigations               Config.IdleTimeout, SayClose
//	nginx-upstream-ok, ...          ProxyConfig.Workers, Upstream (IdleTimeout, MaxRequests, MaxIdle, MaxLifetime, Retry);
//	  -keepalive-timeout, -mismatch   Config.MaxConnections, Threads, Backlog, MaxRequests, IdleTimeout, IdleLate
//	l7-lb-order                     ProxyConfig.IdleTimeout, Upstream.IdleTimeout, Errors: 502 and 504 as nginx, ALB, HAProxy
//	nagle-delayed-ack               Config.SplitWrites, Nagle
//	slow-start                      Config.Body, any size
//	parallel-persistent-pipelined   Config.Delay, Body; requests in a row are answered in their order
//	http10-keep-alive               Config.Version, IgnoreKeepAlive, UntilClose; Upstream.Version
//	keep-alive-hint                 Config.Hint beside IdleTimeout and MaxRequests; ProxyConfig.Hint
//	dumb-proxy                      ProxyConfig.HopByHop: blind; ProxyConnection; proxies in front of proxies
//	truncated                       Config.Fault: close_during_response, with Body, and with UntilClose
//	retry-and-idempotence           Server.Executions, Seen.Duplicates; Upstream.Retry, ProxySeen.Retries
//	half-close                      Config.Upload: shut_input, answer_close; AfterFIN: drain for the graceful close
//	hop-by-hop                      ProxyConfig.HopByHop; Config.RecordHeaders
//
// Besides: Config.Reload and ReloadEvery, for clients that meet a deploy.
package lab
