package target

import (
	"net/url"

	"github.com/kabench/kabench/profiles/targets"
	"github.com/kabench/kabench/results/redact"
)

// namesOf returns what results calls the targets of requests: method and URL, without
// user, query and fragment, which may be secrets or differ between requests to one
// target.
func namesOf(requests []targets.Request, secrets *redact.Secrets) []string {
	list := make([]string, len(requests))
	for i, r := range requests {
		list[i] = r.Method
		if u, err := url.Parse(r.URL); err == nil {
			u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
			list[i] = secrets.Blank(r.Method + " " + u.String())
		}
	}
	return list
}
