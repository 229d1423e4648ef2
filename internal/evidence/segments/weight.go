package segments

import (
	"unsafe"

	"github.com/kabench/kabench/internal/evidence"
)

// Bounds of the bytes that all connections hold together: of heads, of segments that
// wait for earlier ones, of requests and of exchanges.
const (
	heavy     = 64 << 20  // above, a connection keeps fewer exchanges
	maxWeight = 128 << 20 // above, the connection that was seen least recently makes room
)

// weight is how many bytes a connection holds beside its fixed part.
func (l *life) weight() int {
	n := cap(l.talk.requests.head) + cap(l.talk.exchanges)*int(unsafe.Sizeof(evidence.Exchange{})) +
		cap(l.talk.pending)*int(unsafe.Sizeof(request{})) + len(l.talk.pending)*maxLine
	for side := range l.flows {
		for i := range l.flows[side].held {
			n += cap(l.flows[side].held[i].payload)
		}
	}
	return n
}

// weigh notes what a connection holds after a segment, and makes room for it.
func (v *Lives) weigh(l *life) {
	if v.weight > heavy && len(l.talk.exchanges) > evidence.KeptFirst+keptHeavy {
		l.talk.trimTo(keptHeavy)
		l.talk.exchanges = append(make([]evidence.Exchange, 0, len(l.talk.exchanges)+keptHeavy), l.talk.exchanges...)
	}
	n := l.weight()
	v.weight += n - l.weighs
	l.weighs = n
	for v.weight > maxWeight && len(v.open) > 1 && v.evict(l) {
	}
}

// evict ends the connection that was seen least recently, if it is not this one.
func (v *Lives) evict(but *life) bool {
	oldest := v.ended.oldest()
	if oldest == nil || oldest == but {
		oldest = v.live.oldest()
	}
	if oldest == nil || oldest == but {
		return false
	}
	v.Early++
	v.finish(oldest.key(), oldest, v.now)
	return true
}
