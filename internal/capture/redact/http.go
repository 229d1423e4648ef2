package redact

// The words that stay.
var (
	methods  = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}
	versions = []string{"HTTP/1.1", "HTTP/1.0"}
	fields   = []string{contentLength, transferEncoding, connection, keepAlive}
	codings  = []string{"chunked", "gzip", "deflate", "compress", "identity"}
	options  = []string{"close", "keep-alive", "upgrade"}
	promises = []string{"timeout", "max"}
)

const (
	contentLength    = "Content-Length"
	transferEncoding = "Transfer-Encoding"
	connection       = "Connection"
	keepAlive        = "Keep-Alive"
)

// next returns what stands for the next byte.
func (h *half) next(c byte) byte {
	m := &h.message
	switch h.state {
	case lost:
		return blankByte
	case inStream:
		m.fresh = false
		return blankByte
	case inBody, inChunk:
		m.fresh = false
		if m.left--; m.left == 0 && h.state == inChunk {
			h.state = atChunkCR
		} else if m.left == 0 {
			h.state = between
		}
		return blankByte
	case inSize, inExtension, atChunkCR, atChunkLF:
		return h.chunkLine(c)
	}
	if c == '\n' {
		h.lineOver()
		return c
	}
	if c == '\r' {
		if h.state == atField {
			h.state = atBlank
		}
		return c
	}
	return h.inLine(c)
}

// lineOver takes the end of a line of the head.
func (h *half) lineOver() {
	m := &h.message
	if h.state == atField || h.state == atBlank {
		h.headOver()
		return
	}
	if m.field == contentLength && h.state == inValue {
		m.hasLen = m.digits > 0
	}
	h.state, m.field = atField, ""
}

// inLine takes a byte of a line of the head.
func (h *half) inLine(c byte) byte {
	m := &h.message
	switch h.state {
	case inMethod:
		if c == ' ' {
			h.state, h.word = inTarget, word{}
			return c
		}
		return h.keep(methods, c, blankLetter)
	case inTarget:
		return h.target(c)
	case inVersion:
		kept := h.keep(versions, c, blankByte)
		if h.word.bad {
			h.state = inTarget
		}
		return kept
	case inStatus:
		if c == ' ' {
			m.old = h.word.is("HTTP/1.0")
			h.state = inCode
			return c
		}
		if kept := h.keep(versions, c, blankByte); !h.word.bad || h.word.n >= len("HTTP/") {
			return kept
		}
		h.state = lost
		return blankByte
	case inCode:
		switch {
		case m.digits == 0 && c == ' ':
		case m.digits < 3 && '0' <= c && c <= '9':
			m.code = 10*m.code + int(c-'0')
			m.digits++
		case m.digits == 3 && c == ' ':
			h.state = inReason
		default:
			h.state = inReason
			return blankByte
		}
		return c
	case atField, atBlank:
		if c == ' ' || c == '\t' { // it continues the line before
			h.state, m.field = inValue, ""
			return c
		}
		h.state, h.word = inName, word{}
		return h.name(c)
	case inName:
		return h.name(c)
	case inValue:
		return h.value(c)
	}
	return blankByte
}

// target takes a byte of a request's target. The first byte remains: it shows the form.
func (h *half) target(c byte) byte {
	first := h.word.n == 0 && !h.word.bad
	h.word.bad = true
	switch {
	case c == ' ':
		h.state, h.word = inVersion, word{}
		return c
	case first && (c == '/' || c == '*' || c == 'h'):
		return c
	}
	return blankByte
}

func (h *half) name(c byte) byte {
	if c != ':' {
		if h.message.trailer {
			return blankByte
		}
		return h.keep(fields, c, blankByte)
	}
	m := &h.message
	for _, f := range fields {
		if h.word.is(f) {
			m.field = f
		}
	}
	if m.field == contentLength {
		m.digits, m.length = 0, 0
	}
	h.state, h.word, m.over = inValue, word{}, false
	return c
}

// value takes a byte of a field's value.
func (h *half) value(c byte) byte {
	switch h.message.field {
	case contentLength:
		return h.number(c)
	case transferEncoding:
		kept := h.list(codings, c)
		h.message.chunked = h.message.chunked || h.word.is("chunked")
		return kept
	case connection:
		return h.list(options, c)
	case keepAlive:
		return h.promise(c)
	}
	return blankByte
}

// number takes a byte of a Content-Length.
func (h *half) number(c byte) byte {
	m := &h.message
	switch {
	case c == ' ' || c == '\t':
		m.over = m.over || m.digits > 0
		return c
	case !m.over && '0' <= c && c <= '9' && m.digits < 19:
		m.length = 10*m.length + uint64(c-'0')
		m.digits++
		return c
	}
	m.over, m.digits = true, 0
	return blankByte
}

// list takes a byte of a list of words.
func (h *half) list(known []string, c byte) byte {
	m := &h.message
	switch {
	case c == ',':
		h.word, m.over = word{}, false
		return c
	case c == ' ' || c == '\t':
		m.over = m.over || h.word.n > 0 || h.word.bad
		return c
	case m.over: // two words without a comma
		h.word.bad = true
	}
	return h.keep(known, c, blankByte)
}

// promise takes a byte of a Keep-Alive field: names with numbers.
func (h *half) promise(c byte) byte {
	m := &h.message
	known := !h.word.bad && (h.word.is("timeout") || h.word.is("max"))
	switch {
	case c == ',':
		h.word, m.over, m.digits = word{}, false, 0
		return c
	case c == ' ' || c == '\t':
		return c
	case c == '=' && known && !m.over:
		m.over = true
		return c
	case m.over && known && '0' <= c && c <= '9' && m.digits < 10:
		m.digits++
		return c
	case m.over:
		h.word.bad = true
		return blankByte
	}
	return h.keep(promises, c, blankByte)
}

// headOver begins what follows the head.
func (h *half) headOver() {
	m := &h.message
	switch {
	case m.trailer:
		h.state = between
		return
	case h.response && (m.code < 200 || m.code == 204 || m.code == 304):
		h.state = between
		return
	case m.chunked && !m.old:
		h.state, m.digits, m.left = inSize, 0, 0
	case m.hasLen && m.length > 0:
		h.state, m.left = inBody, m.length
	case h.response && !m.hasLen:
		h.state = inStream
	default:
		h.state = between
	}
	m.fresh = true
}

// chunkLine takes a byte around a chunk.
func (h *half) chunkLine(c byte) byte {
	m := &h.message
	digit, hex := hexDigit(c)
	switch {
	case h.state == atChunkCR && c == '\r':
		h.state = atChunkLF
	case h.state == atChunkLF && c == '\n':
		h.state, m.digits, m.left = inSize, 0, 0
	case h.state == atChunkCR || h.state == atChunkLF:
		h.state = lost
		return blankByte
	case c == '\n' && m.digits > 0:
		h.state = inChunk
		if m.left == 0 {
			h.state, m.trailer, m.field = atField, true, ""
		}
	case c == '\r':
	case h.state == inExtension:
		return blankByte
	case c == ' ' || c == '\t':
	case c == ';':
		h.state = inExtension
	case hex && m.digits < 16:
		m.left = m.left<<4 | uint64(digit)
		m.digits++
	default:
		h.state = lost
		return blankByte
	}
	return c
}

func hexDigit(c byte) (value byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
