package harness

import (
	"net/url"

	"github.com/kabench/kabench/profiles/targets"
	"github.com/kabench/kabench/results"
)

// targetNames are what results calls the targets of requests: method and URL,
// without what tells requests to one target apart, or is a secret: the user, the
// query and the fragment.
func targetNames(requests []targets.Request, secrets *results.Secrets) []string {
	names := make([]string, len(requests))
	for i, r := range requests {
		names[i] = r.Method
		if u, err := url.Parse(r.URL); err == nil {
			u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
			names[i] = secrets.Blank(r.Method + " " + u.String())
		}
	}
	return names
}
