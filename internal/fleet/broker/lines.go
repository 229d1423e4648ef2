package broker

import (
	"errors"
	"fmt"
	"sync"
)

// lines is the logger of a NATS server. It passes warnings and errors on, drops the rest, and
// remembers the error that ended the start: NATS reports that one nowhere else.
type lines struct {
	print func(string) // nil: nowhere

	mu    sync.Mutex
	fatal error // guarded by mu: the first one
}

// Noticef, Debugf and Tracef implement server.Logger.
func (l *lines) Noticef(string, ...any) {}

// Debugf drops the line.
func (l *lines) Debugf(string, ...any) {}

// Tracef drops the line.
func (l *lines) Tracef(string, ...any) {}

// Warnf passes the line on.
func (l *lines) Warnf(format string, v ...any) { l.line(format, v) }

// Errorf passes the line on.
func (l *lines) Errorf(format string, v ...any) { l.line(format, v) }

// Fatalf remembers the error, and does not end the process.
func (l *lines) Fatalf(format string, v ...any) {
	err := errors.New(fmt.Sprintf(format, v...))
	for _, value := range v {
		if cause, ok := value.(error); ok {
			err = cause // so that errors.Is finds what happened
		}
	}
	l.mu.Lock()
	if l.fatal == nil {
		l.fatal = err
	}
	l.mu.Unlock()
	l.line(format, v)
}

func (l *lines) fatalError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *lines) line(format string, v []any) {
	if l.print != nil {
		l.print(fmt.Sprintf(format, v...))
	}
}
