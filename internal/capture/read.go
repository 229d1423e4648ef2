package capture

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// Place is where segments were captured: one interface of one host.
type Place struct {
	Files     []string // in the order of time: a capture may be cut into several files
	Interface string   // as the file names it; "" if it does not
	Segments  int
}

// Summary is what was read.
type Summary struct {
	Begin, End time.Time // of the first and the last packet
	Packets    int
	Segments   int // of TCP
	Other      int // packets that are no TCP
	Fragments  int // parts of segments, which are left out
	Short      int // packets whose TCP header was not captured
	Cut        int // segments whose payload was not captured whole
	FINs, RSTs int // segments with these flags, each as often as it is in the files
	Places     []Place
	Notes      []string // sentences about what was not read
}

// Read reads captures and calls take with each TCP segment and the index of its Place.
// The segments of one place come in the order of their files; s and its payload are
// valid during the call. Segment.At counts from Summary.Begin.
//
// Files that follow each other in time are one capture that was cut (tcpdump -C, -G).
// Files that overlap are captures of several places, whose clocks may differ.
func Read(files []string, take func(place int, s *segments.Segment)) (*Summary, error) {
	if len(files) == 0 {
		return nil, errors.New("no capture was named")
	}
	chains, begin, err := chained(files)
	if err != nil {
		return nil, err
	}
	r := reader{take: take, links: map[int]int{}}
	r.sum.Begin = begin
	for _, chain := range chains {
		r.places = map[string]int{}
		r.chain = chain
		for _, name := range chain {
			if err := r.file(name); err != nil {
				return nil, err
			}
		}
	}
	if r.sum.Segments == 0 {
		return nil, r.nothing(files)
	}
	return &r.sum, nil
}

type reader struct {
	sum    Summary
	take   func(int, *segments.Segment)
	chain  []string
	places map[string]int // of this chain, by interface
	links  map[int]int    // packets of link types that cannot be read
	kinds  [5]int
}

// file reads one file. What is wrong in the middle of it ends the file and not the
// reading.
func (r *reader) file(name string) error {
	f, err := open(name)
	if err != nil {
		return err
	}
	defer f.close()
	var s segments.Segment
	var p packet
	place := map[int]int{} // by channel
	for {
		err := f.next(&p)
		switch {
		case err == io.EOF:
			return nil
		case err == errCut && f.count == 0:
			r.sum.Notes = append(r.sum.Notes, f.label()+" is cut off within its first packet.")
			return nil
		case err == errCut:
			r.sum.Notes = append(r.sum.Notes, fmt.Sprintf("%s is cut off behind packet %d; the packets before were read.", f.label(), f.count))
			return nil
		case err != nil:
			r.sum.Notes = append(r.sum.Notes, err.Error()+"; the packets before were read.")
			return nil
		}
		r.packet(&p)
		if !known(p.link) {
			r.links[p.link]++
			continue
		}
		k := decode(p.link, p.data, p.size, &s)
		r.kinds[k]++
		if k != isTCP {
			r.count(k)
			continue
		}
		at, ok := place[p.channel]
		if !ok {
			at = r.place(f.channel(p.channel))
			place[p.channel] = at
		}
		s.At, s.Number = p.at.Sub(r.sum.Begin), f.count
		r.segment(&s)
		r.sum.Places[at].Segments++
		r.take(at, &s)
	}
}

// packet counts a packet of any kind.
func (r *reader) packet(p *packet) {
	if r.sum.Begin.IsZero() {
		r.sum.Begin = p.at
	}
	r.sum.Packets++
	if p.at.After(r.sum.End) {
		r.sum.End = p.at
	}
}

// segment counts a segment of TCP.
func (r *reader) segment(s *segments.Segment) {
	r.sum.Segments++
	if len(s.Payload) < s.Len {
		r.sum.Cut++
	}
	if s.Flags&segments.FlagFIN != 0 {
		r.sum.FINs++
	}
	if s.Flags&segments.FlagRST != 0 {
		r.sum.RSTs++
	}
}

func (r *reader) count(k kind) {
	switch k {
	case fragment:
		r.sum.Fragments++
	case tooShort:
		r.sum.Short++
	default:
		r.sum.Other++
	}
}

// place returns the index of the place with this interface in the chain.
func (r *reader) place(channel string) int {
	at, ok := r.places[channel]
	if !ok {
		at = len(r.sum.Places)
		r.sum.Places = append(r.sum.Places, Place{Files: r.chain, Interface: channel})
		r.places[channel] = at
	}
	return at
}

// nothing is the error of captures without TCP.
func (r *reader) nothing(files []string) error {
	what := strings.Join(files, ", ")
	switch {
	case r.sum.Packets == 0 && len(r.sum.Notes) > 0:
		return fmt.Errorf("no packet can be read: %s; capture again with tcpdump -i any -w FILE tcp", strings.TrimSuffix(strings.TrimSuffix(r.sum.Notes[0], "; the packets before were read."), "."))
	case r.sum.Packets == 0:
		return fmt.Errorf("%s: no packet was captured; capture on the interface that the traffic takes: tcpdump -i any -w FILE tcp", what)
	case len(r.links) > 0 && r.sum.Short+r.sum.Other == 0:
		var link int
		for link = range r.links {
		}
		return fmt.Errorf("%s: the packets are of link type %d, which kabench does not read; capture with tcpdump -i any -w FILE tcp", what, link)
	case r.sum.Short > r.sum.Other:
		return fmt.Errorf("%s: the packets were cut before the end of their TCP headers; capture at least 96 bytes of each: tcpdump -s 96", what)
	}
	return fmt.Errorf("%s: none of the %d packets is TCP; capture with tcpdump -i any -w FILE tcp", what, r.sum.Packets)
}
