package http1

import (
	"bytes"
	"fmt"
)

// lines cuts a head into lines as it arrives, and joins the folded ones. A line
// that is whole in what was fed is used where it lies; only one that comes in
// pieces, or whose next line may continue it, is gathered.
type lines struct {
	at          place
	joined      int    // bytes of buf that are a field line, joined and trimmed, whose continuation is being gathered behind it
	whole       bool   // buf is such a line and nothing else; the next byte decides whether it is continued
	crlf        bool   // the last line ended in CRLF, not in a bare LF
	endedInCRLF bool   // the blank line did, and so did the one before it
	buf         []byte // what came in pieces
}

// place is what kind of line comes next.
type place uint8

const (
	atStatus place = iota
	atFirst        // the first field, or the blank line
	atMore
)

// begin makes l ready for a head, or with atFirst for a trailer.
func (l *lines) begin(at place) {
	*l = lines{at: at, crlf: true, buf: l.buf[:0]}
}

// next takes bytes of a line. The line, its LF included, is valid until buf
// changes; nil: its end has not come, and buf has it so far.
func (l *lines) next(b []byte) (line []byte, used int) {
	i := bytes.IndexByte(b, '\n')
	if i >= 0 && len(l.buf) == 0 {
		return b[:i+1], i + 1
	}
	if i < 0 {
		l.buf = append(l.buf, b...)
		return nil, len(b)
	}
	l.buf = append(l.buf, b[:i+1]...)
	return l.buf, i + 1
}

// feed takes bytes up to the blank line, which it reports as over, or all of them,
// and gives h the lines. Lines may end in a bare LF (RFC 9112, section 2.2), and may be
// folded (section 5.2).
func (l *lines) feed(b []byte, h *head) (used int, over bool, err error) {
	for used < len(b) {
		if l.whole {
			if err := l.unfold(b[used], h); err != nil {
				return used, false, err
			}
		}
		line, n := l.next(b[used:])
		used += n
		if line == nil {
			return used, false, nil
		}
		line = line[l.joined : len(line)-1]
		before := l.crlf
		if l.crlf = len(line) > 0 && line[len(line)-1] == '\r'; l.crlf {
			line = line[:len(line)-1]
		}
		switch {
		case l.joined > 0:
			l.keep(line)
		case l.at == atStatus:
			err = h.status(line)
			l.at, l.buf = atFirst, l.buf[:0]
		case len(line) == 0:
			l.endedInCRLF = l.crlf && before
			l.buf = l.buf[:0]
			return used, true, nil
		case l.at == atFirst && isBlank(line[0]):
			err = fmt.Errorf("malformed header: the first line %.80q begins with a blank", line)
		case bytes.IndexByte(line, ':') < 0:
			err = fmt.Errorf("malformed header line %.80q: no colon", line)
		case used < len(b) && !isBlank(b[used]):
			err = h.field(trimBlanks(line))
			l.at, l.buf = atMore, l.buf[:0]
		default:
			l.at = atMore
			l.keep(line)
		}
		if err != nil {
			return used, false, err
		}
	}
	return used, false, nil
}

// keep puts a line, which may be the end of buf, behind what is joined.
func (l *lines) keep(line []byte) {
	l.buf = append(l.buf[:l.joined], trimBlanks(line)...)
	l.joined, l.whole = 0, true
}

// unfold decides, by the first byte of the next line, whether it continues the
// one in buf; if not, that line is h's.
func (l *lines) unfold(next byte, h *head) error {
	l.whole = false
	if isBlank(next) {
		l.buf = append(l.buf, ' ')
		l.joined = len(l.buf)
		return nil
	}
	err := h.field(l.buf)
	l.buf = l.buf[:0]
	return err
}
