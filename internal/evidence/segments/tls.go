package segments

// TLS record types and lengths (RFC 8446 §5.1, §5.2).
const (
	recordChangeCipher = 20
	recordAlert        = 21
	recordHandshake    = 22
	recordData         = 23
	recordHeader       = 5
	recordMax          = 1<<14 + 256
	// A TLS 1.3 alert looks like data: two bytes, the type byte, and a tag of 16. Data of
	// two bytes would look the same, but does not occur as the last record before a FIN.
	sealedAlert = 19
)

// records follows the TLS records of one direction.
type records struct {
	header [recordHeader]byte
	have   int // bytes of header
	left   int // bytes of the record that have not come
	lost   bool
	data   int // records of data
}

// beginsRecord reports whether b is the beginning of a TLS record.
func beginsRecord(b []byte) bool {
	if len(b) < 3 || b[0] < recordChangeCipher || b[0] > recordData || b[1] != 3 || b[2] > 4 {
		return false
	}
	return len(b) < recordHeader || int(b[3])<<8|int(b[4]) <= recordMax
}

// miss takes note of n bytes that were not observed.
func (r *records) miss(n int) {
	if r.lost || n > r.left {
		r.lost, r.have, r.left = true, 0, 0
		return
	}
	if r.left -= n; r.left == 0 {
		r.have = 0
	}
}

// takeRecords takes bytes of one side of a TLS connection.
func (t *talk) takeRecords(side int, p piece) {
	r := &t.records[side]
	if r.lost {
		if !p.begin || !beginsRecord(p.payload) {
			t.turn(side, p)
			return
		}
		r.lost, r.have, r.left = false, 0, 0
	}
	for p.length > 0 {
		n := min(p.length, r.left)
		if r.left > 0 {
			t.inRecord(side, p, n)
			if r.left -= n; r.left == 0 {
				r.have = 0
			}
			p = p.after(n)
			continue
		}
		n = copy(r.header[r.have:], p.payload)
		r.have += n
		start := p
		p = p.after(n)
		if n == 0 || r.have == recordHeader && !beginsRecord(r.header[:]) {
			r.lost = true
			t.turn(side, p)
			return
		}
		if r.have < recordHeader {
			continue
		}
		if r.left = r.size(); r.left == 0 {
			r.have = 0
		}
		t.record(side, start)
	}
}

func (r *records) kind() byte { return r.header[0] }
func (r *records) size() int  { return int(r.header[3])<<8 | int(r.header[4]) }

// record takes the header of a record; p begins with it, or with its last bytes.
func (t *talk) record(side int, p piece) {
	r := &t.records[side]
	t.alerts[side] = mark{}
	sealed := r.kind() == recordData && r.size() == sealedAlert
	switch {
	case r.kind() == recordAlert || sealed:
		t.alerts[side] = mark{
			seen: true, order: p.order, at: p.at, seq: p.seq + uint32(recordHeader+r.size()),
			ack: p.ack, acks: p.acks, number: p.number, guess: sealed,
		}
	case r.kind() == recordHandshake:
		t.handshake = true
		if side == server {
			t.helloAck = p.ack
		}
	case r.kind() == recordChangeCipher:
		t.ready = p.at
	default:
		r.data++
		if side == client && r.data == 1 && t.tls13 {
			t.ready = p.at // it is the client's Finished
			return
		}
		if side == server && t.handshake && t.records[client].data == 0 && !(t.missed && int32(p.ack-t.helloAck) >= finishedAndRequest) {
			t.tls13 = true // its handshake looks like data
			return
		}
		t.turnRecord(side, p)
	}
}

// inRecord takes n bytes of the record that has begun.
func (t *talk) inRecord(side int, p piece, n int) {
	r := &t.records[side]
	if r.kind() != recordData || r.size() == sealedAlert {
		return
	}
	if side == client && r.data == 1 && t.tls13 {
		return
	}
	switch {
	case side == client:
		if len(t.pending) > 0 && !t.responds {
			t.continued(p, n)
		}
		t.last = p.at
	case t.responds:
		t.current.Done = p.at
		t.last = p.at
	}
}

// turnRecord takes the beginning of a record of data.
func (t *talk) turnRecord(side int, p piece) {
	if side == server {
		// What nobody asked for is a session ticket or the like, except at the beginning of
		// an observation, and where the request can be among bytes that were not observed.
		if !t.responds && (len(t.pending) > 0 || t.missed || t.count == 0 && !t.handshake) {
			t.answer(p.at)
		}
		return
	}
	if (len(t.pending) == 0 || t.responds) && t.records[client].size() >= smallestRequest {
		t.ask(p)
	}
}

// finishedAndRequest is how many bytes a client has sent at least when it has sent the
// end of its handshake in TLS 1.3 (64 or 80 bytes) and a request.
const finishedAndRequest = 64 + recordHeader + smallestRequest

// smallestRequest is the length of a record with the shortest HTTP/1.1 request, "GET /
// HTTP/1.1" with an empty Host. Shorter ones are control frames of HTTP/2.
const smallestRequest = 41

// turn takes bytes in which the records are not found: a change of direction is what
// is left.
func (t *talk) turn(side int, p piece) {
	if p.length == 0 {
		return
	}
	t.last = p.at
	if side == client {
		t.askOrContinue(p)
		return
	}
	if !t.responds && !t.missed && len(t.pending) == 0 && (t.count > 0 || t.handshake) {
		return
	}
	t.moreResponse(p)
}

// EndsWithAlert reports whether the last TLS record in a segment is an alert, and
// whether that was guessed from its length. length is the segment's length in bytes,
// payload its captured beginning; the segment must begin with a record.
func EndsWithAlert(payload []byte, length int) (alert, guessed bool) {
	for at := 0; at < length; {
		if at+recordHeader > len(payload) {
			return false, false // not captured
		}
		kind := payload[at]
		if kind < recordChangeCipher || kind > recordData || payload[at+1] != 3 {
			return false, false // no record
		}
		size := int(payload[at+3])<<8 | int(payload[at+4])
		alert = kind == recordAlert || kind == recordData && size == sealedAlert
		guessed = alert && kind == recordData
		at += recordHeader + size
		if at > length {
			return false, false // the record continues in the next segment, so it is no alert
		}
	}
	return alert, guessed
}
