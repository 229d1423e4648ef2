package probe

import "github.com/kabench/kabench/internal/evidence"

// Safest is the server at the address that closes idle connections the soonest: a client
// that is safe there is safe at the others. known: something was found at all.
func (r *Result) Safest() (server evidence.Server, known bool) {
	for _, site := range r.Sites {
		if site.Err != nil || len(site.Connections) == 0 {
			continue
		}
		s := site.Server()
		if !known || s.Idle.Known() && (!server.Idle.Known() || s.Idle.Min < server.Idle.Min) {
			server, known = s, true
		}
	}
	return server, known
}
