package dashboard

// Row is a row of panels.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is a picture over time.
type Panel struct {
	Title, About string
	Unit         string // Grafana's: "s", "reqps", "short"
	Queries      []Query
}

// Query is one query to Prometheus. In Expr, $run are the chosen runs, and $__rate_interval
// is a time that holds several scrapes.
type Query struct{ Expr, Legend string }

// of selects the chosen runs.
const of = `{kabench_run=~"$run"}`

// rate is the increase of a counter per second, summed by the labels.
func rate(by, metric, selector string) string {
	return "sum by (" + by + ") (rate(" + metric + selector + "[$__rate_interval]))"
}

// quantile asks for a quantile of a histogram: of its native buckets, or where Prometheus has
// not scraped those, of the classic ones.
func quantile(q, by, metric, selector string) string {
	return "histogram_quantile(" + q + ", " + rate(by, metric, selector) + ") or " +
		"histogram_quantile(" + q + ", " + rate(by+", le", metric+"_bucket", selector) + ")"
}

const run = "kabench_run"

// Rows are the panels of the dashboard.
var Rows = []Row{
	{"Run", []Panel{
		{"Requests", "Due is what the schedule wanted. Dropped were never started.", "reqps", []Query{
			{rate(run, "kabench_exchanges_due_total", of), "{{kabench_run}} due"},
			{rate(run, "kabench_exchanges_ok_total", of), "{{kabench_run}} ok"},
			{rate(run, "kabench_exchanges_failed_total", of), "{{kabench_run}} failed"},
			{rate(run, "kabench_exchanges_dropped_total", of), "{{kabench_run}} dropped"},
		}},
		{"Failures by phase and cause", "Where exchanges ended, and what ended them.", "reqps", []Query{
			{rate(run+", error_type", "kabench_outcomes_total", `{kabench_run=~"$run", error_type!=""}`), "{{kabench_run}} {{error_type}}"},
		}},
		{"Response time", "From when a request was due to its end. It has the waiting that a slow pool or server causes.", "s", []Query{
			{quantile("0.5", run, "kabench_response_duration_seconds", `{kabench_run=~"$run", kabench_outcome="ok"}`), "{{kabench_run}} p50"},
			{quantile("0.99", run, "kabench_response_duration_seconds", `{kabench_run=~"$run", kabench_outcome="ok"}`), "{{kabench_run}} p99"},
		}},
		{"Service time", "From the start of a request to its end, as a service with OpenTelemetry measures its own requests.", "s", []Query{
			{quantile("0.5", run, "http_client_request_duration_seconds", of), "{{kabench_run}} p50"},
			{quantile("0.99", run, "http_client_request_duration_seconds", of), "{{kabench_run}} p99"},
		}},
		{"Lag of kabench", "How late kabench itself was. Above load.max_lag the run is invalid.", "s", []Query{
			{quantile("0.99", run, "kabench_lag_seconds", of), "{{kabench_run}} p99"},
		}},
		{"Over and valid", "Over is 1 when the counters are those of run.json. Valid appears then.", "short", []Query{
			{"kabench_run_over" + of, "{{kabench_run}} over"},
			{"kabench_run_valid" + of, "{{kabench_run}} valid"},
		}},
	}},
	{"Pool", []Panel{
		{"Connections", "Active ones are leased.", "short", []Query{
			{"http_client_open_connections" + of, "{{kabench_run}} {{http_connection_state}}"},
			{"kabench_pool_dialing" + of, "{{kabench_run}} dialing"},
		}},
		{"Waiting and in flight", "Pending requests wait for a connection.", "short", []Query{
			{"kabench_pool_pending" + of, "{{kabench_run}} pending"},
			{"http_client_active_requests" + of, "{{kabench_run}} in flight"},
			{"kabench_buffered" + of, "{{kabench_run}} buffered"},
		}},
		{"Opened and closed", "By who closed first. A peer that closes first can race with a request.", "short", []Query{
			{rate(run, "kabench_connections_opened_total", of), "{{kabench_run}} opened"},
			{rate(run+", kabench_closer", "kabench_connections_closed_total", of), "{{kabench_run}} closed: {{kabench_closer}}"},
		}},
		{"Evicted", "Why connections left the pool.", "short", []Query{
			{rate(run+", kabench_reason", "kabench_connections_evicted_total", of), "{{kabench_run}} {{kabench_reason}}"},
		}},
		{"Life of connections", "How long closed connections had been open.", "s", []Query{
			{quantile("0.5", run, "http_client_connection_duration_seconds", of), "{{kabench_run}} p50"},
			{quantile("0.99", run, "http_client_connection_duration_seconds", of), "{{kabench_run}} p99"},
		}},
		{"Resends", "Attempts after which the request was sent again, by how they had failed.", "short", []Query{
			{rate(run+", kabench_phase, kabench_cause", "kabench_resends_total", of), "{{kabench_run}} {{kabench_phase}}/{{kabench_cause}}"},
		}},
		{"Fresh and reused", "Requests by the kind of connection they were put on.", "reqps", []Query{
			{rate(run+", kabench_connection", "kabench_exchanges_by_connection_total", of), "{{kabench_run}} {{kabench_connection}}"},
		}},
	}},
	{"Sockets and kernel", []Panel{
		{"TIME_WAIT", "On the side that closed first, for 60 s.", "short", []Query{
			{`kabench_sockets{kabench_run=~"$run", kabench_state="TIME_WAIT"}`, "{{kabench_run}} {{kabench_side}}"},
		}},
		{"CLOSE_WAIT", "The peer has closed and this side has not.", "short", []Query{
			{`kabench_sockets{kabench_run=~"$run", kabench_state="CLOSE_WAIT"}`, "{{kabench_run}} {{kabench_side}}"},
		}},
		{"Local ports", "Ports towards the target.", "short", []Query{
			{"kabench_ports_used" + of, "{{kabench_run}} used"},
			{"kabench_ports_available" + of, "{{kabench_run}} available"},
		}},
		{"Kernel events", "The kernel's TCP counters, of everything in the network namespace.", "short", []Query{
			{rate(run+", kabench_counter", "kabench_kernel_events_total", of) + " > 0", "{{kabench_run}} {{kabench_counter}}"},
		}},
		{"CPU of kabench", "In cores.", "short", []Query{{"kabench_cpu_cores" + of, "{{kabench_run}}"}}},
	}},
	{"The service beside its imitation", []Panel{
		{"Leased connections", "kabench's pool and those of services, in one picture.", "short", []Query{
			{`http_client_open_connections{kabench_run=~"$run", http_connection_state="active"}`, "kabench {{kabench_run}}"},
			{"sum by (job, name) (reactor_netty_connection_provider_active_connections)", "Reactor Netty {{job}} {{name}}"},
			{`sum by (job, httpclient) (httpcomponents_httpclient_pool_total_connections{state="leased"})`, "HttpClient 5 {{job}} {{httpclient}}"},
			{"sum by (job, envoy_cluster_name) (envoy_cluster_upstream_rq_active)", "Envoy {{job}} {{envoy_cluster_name}} (requests)"},
		}},
		{"Waiting requests", "Those that wait for a connection.", "short", []Query{
			{"kabench_pool_pending" + of, "kabench {{kabench_run}}"},
			{"sum by (job, name) (reactor_netty_connection_provider_pending_connections)", "Reactor Netty {{job}} {{name}}"},
			{"sum by (job, httpclient) (httpcomponents_httpclient_pool_total_pending)", "HttpClient 5 {{job}} {{httpclient}}"},
			{"sum by (job, envoy_cluster_name) (envoy_cluster_upstream_rq_pending_active)", "Envoy {{job}} {{envoy_cluster_name}}"},
		}},
		{"Requests and errors", "Of everything that publishes OpenTelemetry's http.client.request.duration.", "reqps", []Query{
			{rate("job, http_response_status_code, error_type", "http_client_request_duration_seconds_count", "") + " or " +
				"histogram_count(" + rate("job, http_response_status_code, error_type", "http_client_request_duration_seconds", "") + ")",
				"{{job}} {{http_response_status_code}} {{error_type}}"},
		}},
		{"Reactor Netty: pool", "Connection provider, with its metrics turned on.", "short", []Query{
			{"reactor_netty_connection_provider_total_connections", "{{job}} {{name}} {{remote_address}} total"},
			{"reactor_netty_connection_provider_active_connections", "{{job}} {{name}} {{remote_address}} active"},
			{"reactor_netty_connection_provider_idle_connections", "{{job}} {{name}} {{remote_address}} idle"},
			{"reactor_netty_connection_provider_pending_connections", "{{job}} {{name}} {{remote_address}} pending"},
			{"reactor_netty_connection_provider_max_connections", "{{job}} {{name}} {{remote_address}} limit"},
		}},
		{"HttpClient 5: pool", "Apache HttpClient with Micrometer's binder.", "short", []Query{
			{"httpcomponents_httpclient_pool_total_connections", "{{job}} {{httpclient}} {{state}}"},
			{"httpcomponents_httpclient_pool_total_pending", "{{job}} {{httpclient}} pending"},
			{"httpcomponents_httpclient_pool_total_max", "{{job}} {{httpclient}} limit"},
		}},
		{"Envoy: upstream connections", "Of a cluster.", "short", []Query{
			{"envoy_cluster_upstream_cx_active", "{{job}} {{envoy_cluster_name}} open"},
			{"envoy_cluster_upstream_rq_pending_active", "{{job}} {{envoy_cluster_name}} pending"},
		}},
		{"Envoy: connections closed", "With a request on them, by which side; and by Envoy's idle timeout.", "short", []Query{
			{rate("job, envoy_cluster_name", "envoy_cluster_upstream_cx_total", ""), "{{job}} {{envoy_cluster_name}} opened"},
			{rate("job, envoy_cluster_name", "envoy_cluster_upstream_cx_destroy_remote_with_active_rq", ""), "{{job}} {{envoy_cluster_name}} by the server, with a request"},
			{rate("job, envoy_cluster_name", "envoy_cluster_upstream_cx_destroy_local_with_active_rq", ""), "{{job}} {{envoy_cluster_name}} by Envoy, with a request"},
			{rate("job, envoy_cluster_name", "envoy_cluster_upstream_cx_idle_timeout", ""), "{{job}} {{envoy_cluster_name}} idle"},
			{rate("job, envoy_cluster_name", "envoy_cluster_upstream_rq_pending_overflow", ""), "{{job}} {{envoy_cluster_name}} queue full"},
		}},
	}},
}
