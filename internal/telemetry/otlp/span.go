package otlp

import (
	"context"
	"net"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results"
)

// maxTries is how many earlier attempts a span shows.
const maxTries = 10

// keyValue is an attribute. OpenTelemetry has ports and statuses as numbers.
func keyValue(name, value string) attribute.KeyValue {
	if name == "server.port" || name == "http.response.status_code" {
		if n, err := strconv.Atoi(value); err == nil {
			return attribute.Int(name, n)
		}
	}
	return attribute.String(name, value)
}

// record makes the span of e, which failed in the run called run: from when it was due to
// its end.
func record(tracer trace.Tracer, run string, s *kabench.Standing, e *results.Exchange) {
	at := func(offset time.Duration) trace.SpanEventOption { return trace.WithTimestamp(s.Run.Start.Add(offset)) }
	method := telemetry.Method(s.Method)
	name := method
	if name == "" || name == "_OTHER" {
		name = "HTTP"
	}
	kind := telemetry.ErrorType(e.Phase, e.Cause, e.Status)
	attributes := []attribute.KeyValue{
		attribute.String("error.type", kind), attribute.String("kabench.run", run),
		attribute.Int64("kabench.exchange.seq", int64(e.Seq)), attribute.Bool("kabench.connection.reused", e.Reused()),
	}
	if method != "" {
		attributes = append(attributes, keyValue("http.request.method", method))
	}
	if host, port, err := net.SplitHostPort(s.Server); err == nil {
		attributes = append(attributes, keyValue("server.address", host), keyValue("server.port", port))
	}
	if e.Status > 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", e.Status))
	}
	if e.Attempts > 1 {
		attributes = append(attributes, attribute.Int("http.request.resend_count", e.Attempts-1))
	}
	if e.Conn > 0 {
		attributes = append(attributes, attribute.Int64("kabench.connection.id", int64(e.Conn)), attribute.Int("kabench.connection.use", e.Use))
	}
	_, span := tracer.Start(context.Background(), name, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(s.Run.Start.Add(e.Due)), trace.WithAttributes(attributes...))
	span.AddEvent("due", at(e.Due))
	span.AddEvent("started", at(e.Start))
	for i := range e.Tries[:min(len(e.Tries), maxTries)] {
		try := &e.Tries[i]
		span.AddEvent("attempt failed", at(try.Done), trace.WithAttributes(attribute.String("error.type", telemetry.ErrorType(try.Phase, try.Cause, 0))))
	}
	for _, step := range []struct {
		name string
		at   time.Duration
		with []attribute.KeyValue
	}{
		{"leased", e.Leased, lease(e)},
		{"connected", e.Connected, nil},
		{"secured", e.Secured, nil},
		{"written", e.Wrote, nil},
		{"first byte", e.FirstByte, nil},
		{seen(e.Cause), e.Done, ending(e)},
	} {
		if step.at != results.Never {
			span.AddEvent(step.name, at(step.at), trace.WithAttributes(step.with...))
		}
	}
	text := kind
	if e.Err != nil {
		text += ": " + results.ErrorText(e.Err)
	}
	span.SetStatus(codes.Error, text)
	span.End(trace.WithTimestamp(s.Run.Start.Add(max(e.Done, e.Due))))
}

// lease describes the connection as e leased it. Durations are in seconds.
func lease(e *results.Exchange) []attribute.KeyValue {
	list := []attribute.KeyValue{
		attribute.Float64("kabench.connection.idle", e.Idle.Seconds()), attribute.Float64("kabench.connection.age", e.Age.Seconds()),
	}
	if e.AtLease != nil {
		list = append(list, attribute.String("kabench.tcp.state", e.AtLease.State))
	}
	return list
}

func ending(e *results.Exchange) []attribute.KeyValue {
	if e.AtFailure == nil {
		return nil
	}
	return []attribute.KeyValue{attribute.String("kabench.tcp.state", e.AtFailure.State)}
}

// seen names the event that ended an exchange.
func seen(c results.Cause) string {
	switch c {
	case results.CauseFIN, results.CauseTruncated:
		return "FIN seen"
	case results.CauseRST:
		return "RST seen"
	case results.CauseCloseNotify:
		return "close_notify seen"
	}
	return "failed"
}
