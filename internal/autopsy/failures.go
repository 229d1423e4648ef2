package autopsy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/secrets"
)

// failures lists the requests without a whole response, in the order of time.
func (c *collector) failures() []Failure {
	var list []Failure
	for i := range c.list {
		one := &c.list[i]
		if one.twin || one.log != nil {
			continue
		}
		for _, u := range one.Unanswered {
			if u.Met == evidence.Waiting {
				continue
			}
			u.Line = redacted(u.Line)
			strayed := ""
			if one.strayedTo.IsValid() && u.Met == evidence.Forgotten {
				strayed = one.strayedTo.String()
			}
			list = append(list, Failure{
				Strayed:    strayed,
				Unanswered: u, Client: one.Client.String(), Server: one.Server.String(), TLS: one.TLS, Close: one.Close, place: one.place, leg: i,
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Failure) int { return cmp.Compare(a.when(), b.when()) })
	return list
}

// redacted blanks secrets in the target of a request line.
func redacted(line string) string {
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		return line
	}
	return method + " " + secrets.RedactURL(target)
}

// when is the time of a failure.
func (f *Failure) when() time.Duration {
	if f.Begun != evidence.NotSeen {
		return f.Begun
	}
	return max(f.Close.At, 0)
}
