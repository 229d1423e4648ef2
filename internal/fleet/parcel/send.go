package parcel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"
)

// scansAtMost is how often Send begins again because the files changed under it.
const scansAtMost = 3

// Send sends the files of dir, and returns their hash when the broker has all of them. It
// waits for the broker and for the run's stream for as long as ctx allows. It may be called
// again, by another process too: what the broker has is not sent again. If the files have
// changed since, the new parcel replaces the older one.
//
// Files must not change meanwhile; folders and links are refused, and files whose names begin
// with a dot stay behind. dir is not changed: it is the truth until the controller has said
// that it has the hash.
func Send(ctx context.Context, nc *nats.Conn, key Key, dir string, o Options) (hash string, err error) {
	if err := key.check(); err != nil {
		return "", err
	}
	l, err := newLink(nc, o)
	if err != nil {
		return "", err
	}
	defer l.close()
	for scans := 1; ; scans++ {
		p, err := scan(ctx, dir, o.maxBytes())
		if err != nil {
			return "", err
		}
		s := &sender{link: l, key: key, plan: p, window: newWindow(), limiter: rate.NewLimiter(rate.Inf, ChunkBytes)}
		if o.BytesPerSecond > 0 {
			s.limiter.SetLimit(rate.Limit(o.BytesPerSecond))
		}
		err = s.send(ctx)
		if err == nil {
			return p.Hash, nil
		}
		if !errors.Is(err, errChanged) {
			return "", err
		}
		if scans == scansAtMost {
			return "", fmt.Errorf("the files of %s change while they are sent: send them when the run has ended", dir)
		}
	}
}

// sender sends one plan.
type sender struct {
	*link
	key     Key
	plan    *plan
	window  *window
	limiter *rate.Limiter

	mu   sync.Mutex
	have int64 // guarded by mu: bytes that the broker has
}

// send sends what the broker lacks, until it lacks nothing; then the manifest.
func (s *sender) send(ctx context.Context) error {
	for {
		missing, err := s.missing(ctx)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return s.publishManifest(ctx)
		}
		if err := s.publishAll(ctx, missing); err != nil {
			return err
		}
	}
}

// missing lists the chunks that the broker lacks.
func (s *sender) missing(ctx context.Context) ([]chunk, error) {
	there, err := s.link.there(ctx, s.key, &s.plan.manifest)
	if err != nil {
		return nil, err
	}
	var list []chunk
	have := int64(0)
	for c := range s.plan.chunks() {
		if there[c.number] {
			have += c.bytes
		} else {
			list = append(list, c)
		}
	}
	s.mu.Lock()
	s.have = have
	s.mu.Unlock()
	s.progress(have, s.plan.Bytes)
	return list, nil
}

// there returns the numbers of the chunks that the broker has.
func (l *link) there(ctx context.Context, key Key, m *manifest) (map[int]bool, error) {
	var numbers map[int]bool
	err := l.retry(ctx, "the broker does not say what it has", func(ctx context.Context) error {
		s, err := l.js.Stream(ctx, stream(key.Run))
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(key.chunk(m.generation(), "*")))
		if err != nil {
			return err
		}
		numbers = make(map[int]bool, len(info.State.Subjects))
		for subject := range info.State.Subjects {
			if n, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:]); err == nil {
				numbers[n] = true
			}
		}
		return nil
	})
	return numbers, err
}

// publishAll publishes chunks, several at a time, and returns the first error.
func (s *sender) publishAll(ctx context.Context, list []chunk) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan chunk)
	var workers sync.WaitGroup
	for range min(windowAtMost, len(list)) {
		workers.Go(func() {
			buffer := make([]byte, ChunkBytes)
			for c := range queue {
				if err := s.publish(ctx, c, buffer); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, c := range list {
		select {
		case queue <- c:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// publish publishes a chunk until the broker has it.
func (s *sender) publish(ctx context.Context, c chunk, buffer []byte) error {
	data, hash, err := s.plan.read(c, buffer)
	if err != nil {
		return err
	}
	if err := s.limiter.WaitN(ctx, len(data)); err != nil {
		return err
	}
	s.window.enter()
	began := time.Now()
	err = s.retry(ctx, "the results cannot be sent", func(ctx context.Context) error {
		_, err := s.js.PublishMsg(ctx, &nats.Msg{
			Subject: s.key.chunk(s.plan.generation(), c.number),
			Header:  s.plan.headers(c, hash),
			Data:    data,
		}, jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithExpectStream(stream(s.key.Run)))
		if conflict(err) {
			return nil // the broker has it: an earlier try, or another process, has sent it
		}
		return err
	})
	s.window.leave(time.Since(began))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.have += c.bytes
	have := s.have
	s.mu.Unlock()
	s.progress(have, s.plan.Bytes)
	return nil
}

// conflict reports whether a message was refused because its subject has another one.
func conflict(err error) bool {
	refused := new(jetstream.APIError)
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// publishManifest says that the parcel is complete. It replaces an older manifest.
func (s *sender) publishManifest(ctx context.Context) error {
	text, err := json.Marshal(s.plan.manifest)
	if err != nil {
		return err
	}
	err = s.retry(ctx, "the list of the results cannot be sent", func(ctx context.Context) error {
		str, err := s.js.Stream(ctx, stream(s.key.Run))
		if err != nil {
			return err
		}
		last := uint64(0)
		switch older, err := str.GetLastMsgForSubject(ctx, s.key.manifest()); {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return err
		case string(older.Data) == string(text):
			return nil
		default:
			last = older.Sequence
		}
		_, err = s.js.PublishMsg(ctx, &nats.Msg{Subject: s.key.manifest(), Data: text},
			jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithExpectStream(stream(s.key.Run)))
		return err // in a conflict the next try looks again
	})
	if err == nil {
		// Subscribers of the manifest's subject hear it before it is stored, which is too
		// early to fetch it.
		_ = s.nc.Publish(s.key.notice(), nil) // if it is lost, Receive looks a little later
	}
	return err
}
