package watch

import "github.com/kabench/kabench/internal/evidence"

// finish ends a life; it waits for what other layers say about it.
func (w *Watch) finish(l *life) {
	if l.over == notSeen {
		l.over = w.momentOf(l)
	}
	delete(w.open, l.flow)
	delete(w.cookies, l.cookie)
	if len(w.ended) >= maxEnded {
		w.report(w.ended[0])
		w.drop(1)
	}
	w.at[l.flow] = l
	w.ended = append(w.ended, l)
}

// expire reports the connections for which no layer has more to say.
func (w *Watch) expire() {
	w.lives.Pass(w.now)
	w.forget()
	n := 0
	for n < len(w.ended) && (w.ended[n].taken || w.now-w.ended[n].over > wait) {
		w.report(w.ended[n])
		n++
	}
	w.drop(n)
}

// drop forgets the first n lives that have ended.
func (w *Watch) drop(n int) {
	for _, l := range w.ended[:n] {
		if w.at[l.flow] == l {
			delete(w.at, l.flow)
		}
	}
	clear(w.ended[:n])
	w.ended = w.ended[n:]
}

// report gives a life that has ended, with what packets have shown of it so far.
func (w *Watch) report(l *life) {
	if l.taken || l.opened != notSeen && w.counted(l.flow, l.opened) {
		return
	}
	c := l.connection(max(l.over, l.since))
	if sight, ok := w.lives.Look(c.Client, c.Server); ok && w.wire && overlap(l, &sight.Connection) {
		w.told[ends(c.Client, c.Server)] = sight.Since
		c = sight.Connection
		w.complete(&c, l)
	}
	w.tell(&c)
}

func (w *Watch) tell(c *evidence.Connection) {
	w.Sum.count(c)
	w.done(c)
}

// End ends the watch: connections that are still open are reported as open.
func (w *Watch) End() {
	w.ending = true
	w.lives.End()
	w.asked = -1
	w.ask()
	for _, l := range w.ended {
		w.report(l)
	}
	w.ended = nil
	for _, l := range w.open {
		if l.gone != nil && !l.closed() {
			l.close(w.vanished(l, 0))
		}
		c := l.connection(w.now)
		if l.gone != nil {
			w.tell(&c)
			continue
		}
		w.Sum.Open++
		w.tell(&c)
	}
	clear(w.open)
	clear(w.at)
}
