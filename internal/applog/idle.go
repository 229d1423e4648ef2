package applog

import "fmt"

// idlePool stands for the idle connections of a client whose log does not name its
// connections: a request that opened none was on one of them.
type idlePool struct {
	lives  *lives
	format string
	free   map[string][]*life // by server, the one used last is at the end
	made   int
}

// fresh is a new connection to a server.
func (p *idlePool) fresh(server string, l *line) *life {
	p.made++
	c := p.lives.get(fmt.Sprintf("%s %d", p.format, p.made), p.format, l)
	if c.Server = address(server); !c.Server.IsValid() {
		c.Host = server
	}
	return c
}

// take is the idle connection that a request uses again. With several, the one used
// last is as good as any, and how long it had been idle is not known.
func (p *idlePool) take(server string, l *line) *life {
	list := p.free[server]
	if len(list) == 0 { // it was opened before the log began
		c := p.fresh(server, l)
		c.known = false
		return c
	}
	c := list[len(list)-1]
	c.doubt, c.Guessed = len(list) > 1, c.Guessed || len(list) > 1
	p.free[server] = list[:len(list)-1]
	return c
}

// give is the end of an exchange on a connection that stays open.
func (p *idlePool) give(server string, c *life) {
	if p.free == nil {
		p.free = map[string][]*life{}
	}
	list := p.free[server]
	if len(p.free) > maxServers {
		p.free, list = map[string][]*life{}, nil
	}
	if len(list) >= maxFree {
		p.lives.end(list[0])
		list = list[1:]
	}
	p.free[server] = append(list, c)
}

// maxServers and maxFree bound what is kept.
const (
	maxServers = 1000
	maxFree    = 2000
)

// failed is an error of the exchange on c, after which the connection is gone.
func (p *idlePool) failed(c *life, l *line, text string) {
	by, how, basis, why := causeOf(text)
	c.closed(l, by, how, basis, why)
	p.lives.end(c)
}

// alone makes the connection of a request about which nothing else is known.
func (p *idlePool) alone(server string, l *line) *life {
	c := p.fresh(server, l)
	c.known, c.Alone = false, true
	return c
}
