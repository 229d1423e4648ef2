package script

import "github.com/kabench/kabench/internal/enum"

// Version is a version of HTTP/1 as messages state it.
type Version uint8

const (
	HTTP11 Version = iota
	HTTP10
)

var versionNames = enum.Names[Version]{"http/1.1", "http/1.0"}

func (v Version) String() string                   { return versionNames.Text(v) }
func (v Version) MarshalText() ([]byte, error)     { return versionNames.Marshal(v) }
func (v *Version) UnmarshalText(text []byte) error { return versionNames.Unmarshal(text, v) }

// Protocol is v as a status line or a request line has it.
func (v Version) Protocol() string {
	if v == HTTP10 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// Upload is what a server does with a request that has a body. To answer before
// the body is read the server takes the head off the socket byte by byte, so
// that the body stays in the kernel: it is what a close then finds unread.
type Upload uint8

const (
	ReadFirst   Upload = iota // reads it, then answers
	AnswerClose               // answers, saying close, and closes without having read it: RST, unless AfterFIN drains
	AnswerRead                // answers, then reads it and keeps the connection
	ShutInput                 // closes its input half, then as AnswerClose
)

var uploadNames = enum.Names[Upload]{"read", "answer_close", "answer_read", "shut_input"}

func (u Upload) String() string                   { return uploadNames.Text(u) }
func (u Upload) MarshalText() ([]byte, error)     { return uploadNames.Marshal(u) }
func (u *Upload) UnmarshalText(text []byte) error { return uploadNames.Unmarshal(text, u) }

// Reload is what a server does with its open connections when it is reloaded.
// It never stops listening: the new configuration's workers accept at once.
type Reload uint8

const (
	CloseIdle Reload = iota // idle ones are closed at once, busy ones with their answer, which says close
	Announce                // all are closed with their next answer, which says close
)

var reloadNames = enum.Names[Reload]{"close_idle", "announce"}

func (r Reload) String() string                   { return reloadNames.Text(r) }
func (r Reload) MarshalText() ([]byte, error)     { return reloadNames.Marshal(r) }
func (r *Reload) UnmarshalText(text []byte) error { return reloadNames.Unmarshal(text, r) }
