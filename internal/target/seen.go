package target

import (
	"reflect"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/results"
)

// Fill sets what kabench's own server, proxies and link saw in run; what the target
// does not have stays nil.
func (t *Target) Fill(run *results.Run) {
	if t.link != nil {
		late := t.link.Late()
		run.Link = &results.LinkSeen{Delivered: late.Count, Late: results.Late{LateP99: late.P99.Seconds(), LateMax: late.Max.Seconds()}}
	}
	if t.names != nil {
		seen := t.names.Seen()
		run.DNS = &results.DNSSeen{Queries: seen.Queries, Unanswered: seen.Unanswered}
	}
	if len(t.lab) > 0 {
		run.Lab = labSeen(t.lab)
		if t.network != nil {
			run.Lab.Hosts = map[string]uint64{}
			for i, s := range t.lab {
				run.Lab.Hosts[t.hosts[i]] = s.Seen().Requests
			}
		}
	}
	if len(t.proxies) > 0 {
		run.Proxy = proxySeen(t.proxies)
	}
}

// labSeen adds up what the servers saw.
func labSeen(servers []*lab.Server) *results.LabSeen {
	var sum results.LabSeen
	for _, s := range servers {
		add(&sum, s.Seen())
		late := s.Late()
		sum.LateP99, sum.LateMax = max(sum.LateP99, late.P99.Seconds()), max(sum.LateMax, late.Max.Seconds())
		for name, n := range s.Headers() {
			if sum.Headers == nil {
				sum.Headers = map[string]uint64{}
			}
			sum.Headers[name] += n
		}
	}
	return &sum
}

// proxySeen adds up what the proxies saw.
func proxySeen(proxies []*proxy.Proxy) *results.ProxySeen {
	var sum results.ProxySeen
	for _, p := range proxies {
		add(&sum, p.Seen())
	}
	return &sum
}

// add adds each of seen's counts, all of them uint64, to that of the same name
// in sum.
func add[Sum, Seen any](sum *Sum, seen Seen) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(seen)
	for i := range from.NumField() {
		field := to.FieldByName(from.Type().Field(i).Name)
		field.SetUint(field.Uint() + from.Field(i).Uint())
	}
}
