package redact

// The header of a TLS record (RFC 8446 §5.1).
const (
	recordHeader = 5
	recordMax    = 1<<14 + 256
	firstType    = 20
	lastType     = 23
)

// record is how far the TLS records of a direction have come.
type record struct {
	have int // bytes of the header
	size int
	left int // bytes of the record that have not come
	lost bool
}

// beginsRecord reports whether b is the beginning of a TLS record.
func beginsRecord(b []byte) bool {
	if len(b) < 3 || b[0] < firstType || b[0] > lastType || b[1] != 3 || b[2] > 4 {
		return false
	}
	return len(b) < recordHeader || int(b[3])<<8|int(b[4]) <= recordMax
}

// blankRecords blanks the content of records. Their headers remain.
func (h *half) blankRecords(b []byte) {
	r := &h.record
	for i, c := range b {
		switch {
		case r.lost:
			b[i] = blankByte
		case r.left > 0:
			r.left--
			b[i] = blankByte
		case r.header(c):
			b[i] = c
		default:
			r.lost = true
			b[i] = blankByte
		}
	}
}

// header takes a byte of a record's header; false: it is none.
func (r *record) header(c byte) bool {
	switch r.have {
	case 0:
		if c < firstType || c > lastType {
			return false
		}
	case 1:
		if c != 3 {
			return false
		}
	case 2:
		if c > 4 {
			return false
		}
	case 3:
		r.size = int(c) << 8
		if r.size > recordMax {
			return false
		}
	default:
		r.left = r.size | int(c)
		r.have = 0
		return true
	}
	r.have++
	return true
}

// miss takes note of n bytes that were not captured.
func (r *record) miss(n int) {
	if r.lost || n > r.left {
		*r = record{lost: true}
		return
	}
	r.left -= n
}
