package script

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestProxyConfigYAML(t *testing.T) {
	const text = `
idle_timeout: 60s
hop_by_hop: removed
proxy_connection: understood
errors: alb
workers: 2
upstream:
  version: http/1.0
  idle_timeout: 9s
  max_requests: 3
  max_lifetime: 10s
  max_idle: 1
  order: fifo
  retry: idempotent
`
	want := Proxy{
		IdleTimeout: time.Minute, ProxyConnection: Understood, Errors: LikeALB, Workers: 2,
		Upstream: Upstream{Version: HTTP10, IdleTimeout: 9 * time.Second, MaxRequests: 3, MaxLifetime: 10 * time.Second,
			MaxIdle: 1, Order: FIFO, Retry: RetryIdempotent},
	}
	var read, again Proxy
	if err := yaml.UnmarshalWithOptions([]byte(text), &read, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Error(diff)
	}
	written, err := yaml.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalWithOptions(written, &again, yaml.Strict()); err != nil || again != want {
		t.Errorf("written as\n%s\nread as %+v, %v", written, again, err)
	}
}

func TestProxyConfigValidate(t *testing.T) {
	for want, cfg := range map[string]Proxy{
		"idle_timeout: -1ns is negative":               {IdleTimeout: -1},
		"max_requests: -1 is negative":                 {MaxRequests: -1},
		"hint: is no header value":                     {Hint: "\r"},
		"hop_by_hop: unknown(9)":                       {HopByHop: 9, ProxyConnection: PassedOn},
		"proxy_connection: unknown(9)":                 {ProxyConnection: 9},
		"proxy_connection: removed never happens with": {HopByHop: Forwarded},
		"hint: is never sent with hop_by_hop":          {HopByHop: Forwarded, ProxyConnection: PassedOn, Hint: "timeout=5"},
		"via: \"two words\" is not":                    {Via: "two words"},
		"errors: unknown(9)":                           {Errors: 9},
		"workers: -1 is not between":                   {Workers: -1},
		"hop_by_hop: a blind proxy keeps":              {HopByHop: Blind, ProxyConnection: PassedOn, IdleTimeout: 1},
		"upstream.idle_timeout: -1ns is negative":      {Upstream: Upstream{IdleTimeout: -1}},
		"upstream.timeout: -1ns is negative":           {Upstream: Upstream{Timeout: -1}},
		"upstream.max_idle: -1 is negative":            {Upstream: Upstream{MaxIdle: -1}},
		"upstream.version: unknown(9)":                 {Upstream: Upstream{Version: 9}},
		"upstream.order: unknown(9)":                   {Upstream: Upstream{Order: 9}},
		"upstream.retry: unknown(9)":                   {Upstream: Upstream{Retry: 9}},
		"upstream.retry: is none":                      {Upstream: Upstream{Retries: 1}},
		"upstream.per_request: keeps no":               {Upstream: Upstream{PerRequest: true, MaxIdle: 1}},
	} {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
	blind := Proxy{HopByHop: Blind, ProxyConnection: PassedOn, Errors: LikeALB, Upstream: Upstream{Timeout: 1, ConnectTimeout: 1}}
	for _, cfg := range []Proxy{{}, blind} {
		if err := cfg.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestProxyNames(t *testing.T) {
	for _, name := range hopByHopNames {
		reads(t, name, new(HopByHop))
	}
	for _, name := range proxyConnectionNames {
		reads(t, name, new(ProxyConnection))
	}
	for _, name := range leaseOrderNames {
		reads(t, name, new(LeaseOrder))
	}
	for _, name := range retryNames {
		reads(t, name, new(Retry))
	}
	for _, name := range errorStyleNames {
		reads(t, name, new(ErrorStyle))
	}
}
