package script

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// TimerVsData says what happens to a request that is unread in the socket when the
// idle timer fires. It stands for the order in which a server's loop checks timers
// and sockets, which matters when the server was busy or paused.
type TimerVsData uint8

const (
	Either     TimerVsData = iota // not decided: the server serves the request, or its close is a RST
	TimerServe                    // the server reads and serves it
	TimerFIN                      // the server sends a FIN, then acknowledges and drops it; see AfterFIN
	TimerRST                      // the server closes the socket without reading it, so the close is a RST
)

var timerVsDataNames = enum.Names[TimerVsData]{"either", "serve", "fin", "rst"}

func (v TimerVsData) String() string                   { return timerVsDataNames.Text(v) }
func (v TimerVsData) MarshalText() ([]byte, error)     { return timerVsDataNames.Marshal(v) }
func (v *TimerVsData) UnmarshalText(text []byte) error { return timerVsDataNames.Unmarshal(text, v) }

// AfterFIN is how long a server goes on to acknowledge and drop what arrives after
// its FIN, unless the client's FIN arrives earlier. With 0 the kernel sends a RST
// for it. Its text is "closed" for 0, otherwise "drain 2s".
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

// validateClosing checks when and how the server closes.
func (s Server) validateClosing() (errs []error) {
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
