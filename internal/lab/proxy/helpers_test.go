package proxy

import (
	"testing"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	get, post = labtest.Get, labtest.Post
	get10     = "GET / HTTP/1.0\r\n\r\n"
	keep10    = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
	keep11    = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: keep-alive\r\n\r\n"
)

func start(t *testing.T, cfg script.Server) *lab.Server {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ending(st story.Story) story.Ending {
	return story.Ending{First: st.First, How: st.How, Why: st.Why}
}

func howOf(f script.Fault) story.How {
	if f.Resets() {
		return story.RST
	}
	return story.FIN
}
