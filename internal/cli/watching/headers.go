package watching

import (
	"io"
	"time"

	"github.com/kabench/kabench/internal/capture/remade"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// maxHeaders bounds the headers that are kept, at about 120 bytes each.
const maxHeaders = 200_000

// headers keeps the newest headers of packets.
type headers struct {
	last  time.Duration // how long they are kept; 0: as long as there is room
	list  []segments.Segment
	first int // of the list
	left  int // that were not kept
}

func (h *headers) add(s *segments.Segment) {
	one := *s
	one.Payload = nil
	h.list = append(h.list, one)
	if len(h.list)-h.first > maxHeaders {
		h.first++
		h.left++
	}
	h.room()
}

// pass leaves out what is too old.
func (h *headers) pass(now time.Duration) {
	for h.last > 0 && h.first < len(h.list) && h.list[h.first].At < now-h.last {
		h.first++
	}
	h.room()
}

// room frees the place of those that are left out, when there are many.
func (h *headers) room() {
	if h.first > maxHeaders/4 {
		h.list = append(h.list[:0], h.list[h.first:]...)
		h.first = 0
	}
}

func (h *headers) count() int { return len(h.list) - h.first }

// write writes those that are the service's as a capture.
func (h *headers) write(w io.Writer, began time.Time, ours func(*segments.Segment) bool) error {
	f, err := remade.NewFile(w, began, "headers only: kabench watch reads no payload")
	if err != nil {
		return err
	}
	for i := h.first; i < len(h.list); i++ {
		if !ours(&h.list[i]) {
			continue
		}
		if err := f.Write(&h.list[i]); err != nil {
			return err
		}
	}
	return f.End()
}
