package script

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// TimerVsData is what becomes of a request that lies unread in the socket when
// the idle timer fires: the order in which a server's loop looks at timers and
// at sockets. It shows when the server was busy or paused.
type TimerVsData uint8

const (
	Either     TimerVsData = iota // as it happens: the request is served, or the close is a RST
	TimerServe                    // it is read and served
	TimerFIN                      // FIN; then it is acknowledged and thrown away, see AfterFIN
	TimerRST                      // the socket is closed with it unread, so the close is a RST
)

var timerVsDataNames = enum.Names[TimerVsData]{"either", "serve", "fin", "rst"}

func (v TimerVsData) String() string                   { return timerVsDataNames.Text(v) }
func (v TimerVsData) MarshalText() ([]byte, error)     { return timerVsDataNames.Marshal(v) }
func (v *TimerVsData) UnmarshalText(text []byte) error { return timerVsDataNames.Unmarshal(text, v) }

// AfterFIN is how long a server goes on acknowledging and dropping what comes
// after its FIN, or until the client's; 0 is "closed": the kernel answers it with
// a RST. Its text is "closed", or "drain 2s".
type AfterFIN time.Duration

const closedText, drainText = "closed", "drain"

func (a AfterFIN) String() string {
	if a == 0 {
		return closedText
	}
	return drainText + " " + time.Duration(a).String()
}

// MarshalText writes the text form.
func (a AfterFIN) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (a *AfterFIN) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) == 1 && words[0] == closedText {
		*a = 0
		return nil
	}
	if len(words) == 2 && words[0] == drainText {
		if d, err := time.ParseDuration(words[1]); err == nil && d > 0 && d <= maxDelay {
			*a = AfterFIN(d)
			return nil
		}
	}
	return fmt.Errorf(`%q is neither %s nor "drain 2s", with a time up to %v`, text, closedText, maxDelay)
}

// validateManners looks at what makes a server like a real one.
func (s Server) validateManners() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := s.IdleLate.Validate(); err != nil {
		bad("idle_late: %w", err)
	}
	if !timerVsDataNames.Known(s.TimerVsData) {
		bad("timer_vs_data: %v is unknown", s.TimerVsData)
	}
	if s.AfterFIN < 0 || time.Duration(s.AfterFIN) > maxDelay {
		bad("after_fin: %v is not between 0 and %v", time.Duration(s.AfterFIN), maxDelay)
	}
	if s.TimerVsData == TimerFIN && s.AfterFIN == 0 {
		bad("timer_vs_data: fin needs the socket kept after it, because a close with bytes unread is a RST; set after_fin: drain 2s")
	}
	if s.TimerVsData == TimerRST && s.AfterFIN != 0 {
		bad("timer_vs_data: rst never happens with after_fin: %v, because the FIN comes first; set after_fin: closed", s.AfterFIN)
	}
	if err := checkHint(s.Hint); err != nil {
		bad("hint: %w", err)
	}
	if s.HintIfAsked && s.Hint == "" {
		bad("hint_if_asked: has no effect without hint; set hint or remove it")
	}
	if s.Hint != "" && s.SayClose {
		bad("hint: is never sent with say_close; remove one of them")
	}
	return errs
}

func checkHint(hint string) error {
	if strings.ContainsFunc(hint, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("is no header value; write it as timeout=5")
	}
	if len(hint) > 200 {
		return errors.New("is longer than 200 bytes; write it as timeout=5")
	}
	return nil
}
