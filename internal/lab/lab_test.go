package lab

import (
	"testing"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const get, post = labtest.Get, labtest.Post

func start(t *testing.T, cfg script.Server) *Server {
	t.Helper()
	s, err := Start(cfg, "")
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

// finished waits for the end of connection i.
func finished(t *testing.T, s *Server, i int) story.Story {
	t.Helper()
	var st story.Story
	labtest.Eventually(t, "the connection's end is told", func() bool {
		if all := s.Stories(); len(all) > i {
			st = all[i]
		}
		return !st.ClosedAt.IsZero()
	})
	return st
}

func ending(st story.Story) story.Ending {
	return story.Ending{First: st.First, How: st.How, Why: st.Why}
}
