package script

import "github.com/kabench/kabench/internal/enum"

// Version is the version of HTTP/1 that messages state.
type Version uint8

const (
	HTTP11 Version = iota
	HTTP10
)

var versionNames = enum.Names[Version]{"http/1.1", "http/1.0"}

func (v Version) String() string                   { return versionNames.Text(v) }
func (v Version) MarshalText() ([]byte, error)     { return versionNames.Marshal(v) }
func (v *Version) UnmarshalText(text []byte) error { return versionNames.Unmarshal(text, v) }

// Protocol returns v as it stands in a status line or a request line.
func (v Version) Protocol() string {
	if v == HTTP10 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// Upload says when a server reads the body of a request. To respond before it reads
// the body, the server reads the head byte by byte, so that the whole body stays in
// the kernel: a close then finds it unread.
type Upload uint8

const (
	ReadFirst   Upload = iota // reads the body, then responds
	AnswerClose               // responds with `Connection: close`, then closes without reading the body: a RST, unless AfterFIN drains
	AnswerRead                // responds, then reads the body and keeps the connection
	ShutInput                 // closes its input half, then does as AnswerClose
)

var uploadNames = enum.Names[Upload]{"read", "answer_close", "answer_read", "shut_input"}

func (u Upload) String() string                   { return uploadNames.Text(u) }
func (u Upload) MarshalText() ([]byte, error)     { return uploadNames.Marshal(u) }
func (u *Upload) UnmarshalText(text []byte) error { return uploadNames.Unmarshal(text, u) }

// Reload is what a server does with its open connections when it is reloaded. It
// never stops listening: the workers of the new configuration accept at once.
type Reload uint8

const (
	CloseIdle Reload = iota // closes idle ones at once and busy ones after their response, which says close
	Announce                // closes each after its next response, which says close
)

var reloadNames = enum.Names[Reload]{"close_idle", "announce"}

func (r Reload) String() string                   { return reloadNames.Text(r) }
func (r Reload) MarshalText() ([]byte, error)     { return reloadNames.Marshal(r) }
func (r *Reload) UnmarshalText(text []byte) error { return reloadNames.Unmarshal(text, r) }
