package lab

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

const closedEarly = "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nkab"

// The body that the server never reads makes its close a RST. The response arrives
// before it, and a client that still reads gets it.
func TestAnswerBeforeUpload(t *testing.T) {
	for _, upload := range []script.Upload{script.AnswerClose, script.ShutInput} {
		if upload == script.ShutInput && runtime.GOOS != "linux" {
			continue // other kernels drop what is unread when the input is closed
		}
		s := start(t, script.Server{Status: 413, Body: 3, Upload: upload})
		if got, err := labtest.Tell(t, s.Addr(), post+strings.Repeat("x", 1000)); got != closedEarly || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v: read %q, then %v", upload, got, err)
		}
		st := s.Stories()[0]
		if ending(st) != (*story.ServerEnds(story.FIN, story.WhySaidClose)) || st.Exchanges[0].Executed || s.Seen().Executed != 0 {
			t.Errorf("%v: %+v", upload, st)
		}
	}
}

// A client that goes on sending gets a write error, and then can still read the
// answer: Linux keeps what came before the RST.
func TestAnswerAfterWriteError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("says what Linux does")
	}
	s := start(t, script.Server{Status: 413, Body: 3, Upload: script.AnswerClose})
	c := labtest.Dial(t, s.Addr())
	c.Send(post + "x")
	finished(t, s, 0)
	labtest.Eventually(t, "a write to fail", func() bool {
		_, err := io.WriteString(c, "x")
		return err != nil
	})
	if got, err := c.Rest(); got != closedEarly || !errors.Is(err, io.EOF) {
		t.Errorf("read %q, then %v", got, err)
	}
}

// A graceful close ends the server's output first and takes what still comes.
func TestAnswerGracefully(t *testing.T) {
	s := start(t, script.Server{Status: 413, Body: 3, Upload: script.AnswerClose, AfterFIN: script.AfterFIN(time.Hour)})
	c := labtest.Dial(t, s.Addr())
	c.Send("POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 8000000\r\n\r\n")
	for range 1000 { // more than the socket's buffers hold
		c.Send(strings.Repeat("x", 8000))
	}
	if got, err := c.Rest(); got != closedEarly || err != io.EOF {
		t.Errorf("read %q, then %v", got, err)
	}
}

// The rest of an upload that was answered is read, and the connection kept.
func TestAnswerThenRead(t *testing.T) {
	s := start(t, script.Server{Upload: script.AnswerRead})
	c := labtest.Dial(t, s.Addr())
	c.Send(post)
	c.Response() // nothing of the body was sent yet
	if seen := s.Seen(); seen.Executed != 0 {
		t.Errorf("%+v", seen)
	}
	c.Send(strings.Repeat("x", 1000) + get)
	c.Response()
	if seen := s.Seen(); seen.Connections != 1 || seen.Executed != 2 {
		t.Errorf("%+v", seen)
	}
}

// Who asks first has sent nothing when the answer comes: the close is a FIN.
func TestExpectSparesTheUpload(t *testing.T) {
	for _, upload := range []script.Upload{script.AnswerClose, script.AnswerRead} {
		s := start(t, script.Server{Status: 413, Body: 3, Upload: upload})
		request := strings.Replace(post, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1)
		if got, err := labtest.Tell(t, s.Addr(), request); got != closedEarly || err != io.EOF {
			t.Errorf("%v: read %q, then %v", upload, got, err)
		}
	}
}

// A request without a body is none of Upload's business.
func TestUploadNeedsBody(t *testing.T) {
	s := start(t, script.Server{Upload: script.AnswerClose})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Response()
	c.Send(get)
	c.Response()
	if seen := s.Seen(); seen.Executed != 2 || seen.Connections != 1 {
		t.Errorf("%+v", seen)
	}
}
